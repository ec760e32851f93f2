"""One world for all clients, one run of each version of ocean.js, and the table of what they could do."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from importlib.metadata import version as version_of

import pytest

from tests.clients import oceanjs_runs, oceanpy_runs, table
from tests.clients.driving import Runs
from tests.clients.table import Outcomes
from tests.harness.local_stack import LocalStack, spawn_service, world_in

_RUNS = pytest.StashKey[Runs]()
_PYTHON_RUNS = pytest.StashKey[Runs]()
_OTHERS = pytest.StashKey[Outcomes]()
OTHERS = {
    "test_web3": f"web3.py {version_of('web3')}",
    "test_ipfshttpclient": f"ipfshttpclient {version_of('ipfshttpclient')}",
}
"""Which client the tests of a module speak for."""


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with world_in(tmp_path_factory.mktemp("clients-world")) as made:
        yield made


@pytest.fixture(scope="session")
def trusting_provider(world: LocalStack) -> str:
    """A second Provider of the same world, which trusts as the original does where the lists are empty."""
    url = world.second_provider_url
    settings = {
        **world.settings["provider"],
        "listen": {"host": "127.0.0.1", "port": int(url.rpartition(":")[2])},
        "publicUrl": url,
        "internalUrl": url,
        "database": str(world.folder / "trusting.sqlite"),
        "trust": {"emptyLists": "all"},
    }
    spawn_service(world, "provider", settings)
    return url


@pytest.fixture(scope="session")
def oceanjs(world: LocalStack, trusting_provider: str, pytestconfig: pytest.Config) -> Runs:
    """Every step of every version, taken once for the session."""
    if reason := oceanjs_runs.missing():
        pytest.skip(reason)
    runs: Runs = {}
    for version in oceanjs_runs.VERSIONS:
        runs[version] = {
            **oceanjs_runs.run(world, version, "permit first", world.provider_url),
            **oceanjs_runs.run(world, version, "unmodified", trusting_provider),
        }
    pytestconfig.stash[_RUNS] = runs
    return runs


@pytest.fixture(scope="session")
def oceanpy(world: LocalStack, trusting_provider: str, pytestconfig: pytest.Config) -> Runs:
    """Every step, taken once for the session. Its installation and its waiting take a minute or two."""
    if not (pytestconfig.getoption("--full") or pytestconfig.getoption("--write-docs")):
        pytest.skip("ocean.py is driven with --full")
    if reason := oceanpy_runs.missing():
        pytest.skip(reason)
    providers = {"permit first": world.provider_url, "unmodified": trusting_provider}
    runs = {
        oceanpy_runs.NAME: {
            f"{chapter}: {step.name}": step
            for chapter, url in providers.items()
            for step in oceanpy_runs.run(world, chapter, url).values()
        }
    }
    pytestconfig.stash[_PYTHON_RUNS] = runs
    return runs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember how the tests of the other clients ended."""
    report = yield
    client = OTHERS.get(item.path.stem)
    if client and (report.when == "call" or report.outcome != "passed"):
        item.config.stash.setdefault(_OTHERS, {})[client, item.name] = report.outcome
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if config.getoption("--write-docs") and _RUNS in config.stash:
        others = config.stash.get(_OTHERS, {})
        table.write(config.stash[_RUNS], config.stash.get(_PYTHON_RUNS, {}), others)
