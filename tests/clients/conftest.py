"""One world for all clients, one run of each version of ocean.js, and the table of what they could do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients import oceanjs_runs, table
from tests.clients.oceanjs_runs import Runs
from tests.worlds.local import World, spawn, world_in


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_in(tmp_path_factory.mktemp("clients-world")) as made:
        yield made


@pytest.fixture(scope="session")
def trusting_provider(world: World) -> str:
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
    spawn(world, "provider", settings)
    return url


@pytest.fixture(scope="session")
def oceanjs(world: World, trusting_provider: str, request: pytest.FixtureRequest) -> Runs:
    """Every step of every version, taken once for the session."""
    if reason := oceanjs_runs.missing():
        pytest.skip(reason)
    runs: Runs = {}
    for version in oceanjs_runs.VERSIONS:
        runs[version] = {
            **oceanjs_runs.run(world, version, "permit first", world.provider_url),
            **oceanjs_runs.run(world, version, "unmodified", trusting_provider),
        }
    if request.config.getoption("--write-docs"):
        table.write(runs)
    return runs
