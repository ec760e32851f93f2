"""Fixtures for projects that test against a box: ``box``, ``publisher``, ``consumer``, ``dataset``,
``algorithm``, ``run_job``.

pytest finds this by the wheel's entry point; it costs nothing until a fixture is used. A box that is up is
used and left up; otherwise the session boots one and stops it at its end. Under xdist the workers share that
box, each with accounts of its own, as two processes that send from one account would meet at its nonce. A
failed test's report carries what its jobs said.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# pytest loads this module in every project that has the wheel: the box is imported in fixtures only.
if TYPE_CHECKING:
    from sandbox.box import Box
    from sandbox.testing.parties import FinishedJob, TestConsumer, TestPublisher

JOBS: pytest.StashKey[list[FinishedJob]] = pytest.StashKey()
"""Jobs that a test has run, kept at its item for the report."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options; their names begin with c2d, because all plugins share one name space."""
    group = parser.getgroup("c2d-box")
    group.addoption("--c2d-home", type=Path, help="home of the box to test against (default: c2d-box's own)")
    group.addoption("--c2d-keep", action="store_true", help="leave the box up that this session has booted")


@pytest.fixture(scope="session")
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    """The box: the one that is up, or one that is up until the session ends."""
    from sandbox.box import open_box
    from sandbox.testing.sharing import shared_box

    keep = bool(request.config.getoption("--c2d-keep"))
    with shared_box(open_box(request.config.getoption("--c2d-home")), keep=keep) as opened:
        yield opened


@pytest.fixture(scope="session")
def publisher(box: Box) -> TestPublisher:
    """Return the publisher of this session: an account that publishes and permits."""
    from sandbox.testing.parties import TestPublisher

    return TestPublisher(box, _funded_account(box, 0))


@pytest.fixture(scope="session")
def consumer(box: Box) -> TestConsumer:
    """Return the consumer of this session: an account that orders, starts and reads results."""
    from sandbox.testing.parties import TestConsumer

    return TestConsumer(box, _funded_account(box, 1))


@pytest.fixture(scope="session")
def dataset(publisher: TestPublisher) -> Callable[..., str]:
    """Return a function: ``dataset(content, name=…, price=…)`` publishes a text or a file and returns its
    DID.
    """
    return publisher.dataset


@pytest.fixture(scope="session")
def algorithm(publisher: TestPublisher) -> Callable[..., str]:
    """Return a function: ``algorithm(script, image=…, entrypoint=…)`` publishes a text or a file, returns the
    DID.
    """
    return publisher.algorithm


@pytest.fixture
def run_job(
    request: pytest.FixtureRequest, publisher: TestPublisher, consumer: TestConsumer
) -> Callable[..., FinishedJob]:
    """``run_job(dataset, algorithm)`` permits, orders, starts, waits; the job at its end.

    ``permit=False`` leaves the permission to the test: a refusal is raised as ``c2d_box.errors.Refused``.
    """
    done = request.node.stash.setdefault(JOBS, [])

    def run(
        dataset: str, algorithm: str, *additional: str, permit: bool = True, timeout: float = 300
    ) -> FinishedJob:
        # Every dataset of a job has to permit the algorithm.
        for did in (dataset, *additional) if permit else ():
            publisher.permit(did, algorithm)
        finished = consumer.run(dataset, algorithm, *additional, timeout=timeout)
        # A refused start has no job and nothing to report.
        done.append(finished)
        return finished

    return run


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the logs of a failed test's jobs to its report."""
    outcome: Any = yield
    report = outcome.get_result()
    # Logs cost requests, so only failures of the test itself pay for them.
    if report.when == "call" and report.failed:
        for job in item.stash.get(JOBS, []):
            report.sections.append((f"c2d-box job {job.id}", job.report()))


def _funded_account(box: Box, role: int) -> str:
    """Return an account for this process and role, with test money."""
    from sandbox.testing.parties import funded_account

    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker:
        return ("publisher", "consumer")[role]
    return funded_account(box, _worker_account(worker, role))


def _worker_account(worker: str, role: int) -> int:
    """Return the index of the account of an xdist worker: two for each, from 8 on, since the lower numbers
    have roles."""
    from sandbox.verbs.accounts import ACCOUNTS

    index = 8 + 2 * int(worker.removeprefix("gw")) + role
    if index >= ACCOUNTS:
        most = (ACCOUNTS - 8) // 2
        raise pytest.UsageError(f"a box has accounts for {most} workers: run pytest with -n {most} at most")
    return index
