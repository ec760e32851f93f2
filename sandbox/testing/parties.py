"""Objects with which tests use a box: publish a text, run an algorithm on it, read the results."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from c2d_box.client import JobDetails, JobRequest
from sandbox.box import Box
from sandbox.defaults import ENTRYPOINT, IMAGE
from sandbox.progress import Progress, run_verb
from sandbox.testing.telling import print_event
from sandbox.verbs.accounts import signer
from sandbox.verbs.compute import jobs
from sandbox.verbs.faucet import faucet
from sandbox.verbs.publishing import assets


def funded_account(box: Box, index: int) -> str:
    """Return the account of that index, with money for a few hundred orders."""
    # Test money of the box's own chain; the amounts only have to be large enough.
    _run_verb(faucet(box, str(index), eth=100, ocean=10_000))
    return str(index)


class TestPublisher:
    """Publishes datasets and algorithms and permits runs, as ``account``. A test gets one from the fixture
    ``publisher``.
    """

    __test__ = False  # its name is no invitation to pytest

    def __init__(self, box: Box, account: str) -> None:
        self.box, self.account = box, account

    @property
    def address(self) -> str:
        """Return the account's Ethereum address."""
        return signer(self.account).address

    def dataset(
        self,
        content: str | Path,
        name: str = "test data",
        *,
        price: float = 0.0,
        services: tuple[str, ...] = ("compute",),
    ) -> str:
        """Publish a text, or the file at a path; return its DID. Nobody may compute on it yet."""
        offer = assets.AssetOffer(name, price=price, services=services)
        with _as_file(content, "data.csv") as path:
            return str(_run_verb(assets.publish_dataset(self.box, self.account, str(path), offer)).did)

    def algorithm(
        self,
        script: str | Path,
        name: str = "test algorithm",
        *,
        image: str = IMAGE,
        entrypoint: str = ENTRYPOINT,
        price: float = 0.0,
        services: tuple[str, ...] = ("access",),
    ) -> str:
        """Publish a text, or the file at a path, that runs in ``image``; return its DID."""
        offer = assets.AssetOffer(name, price=price, services=services)
        with _as_file(script, "algorithm.py") as path:
            made = _run_verb(
                assets.publish_algorithm(self.box, self.account, str(path), image, entrypoint, offer)
            )
        return str(made.did)

    def permit(self, dataset: str, algorithm: str) -> None:
        """Let ``algorithm``, as it is now, run on ``dataset``; sign nothing where it may already."""
        # Each permission is a transaction; tests that share assets ask for the same one often.
        if not assets.permission_verdict(self.box, dataset, algorithm).allowed:
            _run_verb(assets.permit_algorithm(self.box, self.account, dataset, algorithm))

    def revoke(self, dataset: str, algorithm: str) -> None:
        """Take the permission of :meth:`permit` back."""
        _run_verb(assets.revoke_algorithm(self.box, self.account, dataset, algorithm))


class TestConsumer:
    """Orders, starts and reads results as ``account``. A test gets one from the fixture ``consumer``."""

    __test__ = False

    def __init__(self, box: Box, account: str) -> None:
        self.box, self.account = box, account

    @property
    def address(self) -> str:
        """Return the account's Ethereum address."""
        return signer(self.account).address

    def run(self, dataset: str, algorithm: str, *additional: str, timeout: float = 300) -> FinishedJob:
        """Order, start and wait for at most ``timeout`` seconds; raise ``Refused`` where the Provider
        refuses.

        A job whose algorithm fails is no error here: its status is for the test to judge.
        """
        started = _run_verb(jobs.start(self.box, self.account, JobRequest(dataset, algorithm, additional)))
        last = _run_verb(jobs.follow(self.box, self.account, started.id, timeout))
        return FinishedJob(self.box, self.account, last.id, last)


@dataclass
class FinishedJob:
    """An ended job. ``results`` and ``logs`` are fetched when they are first read."""

    box: Box = field(repr=False)
    account: str
    id: str
    details: JobDetails = field(repr=False)

    @property
    def status(self) -> int:
        """Return the job's status number: 70 is finished, 75 an algorithm that failed."""
        return self.details.status

    @property
    def text(self) -> str:
        """Return the status in words, as the API has it."""
        return self.details.text

    @property
    def succeeded(self) -> bool:
        """Return whether the job finished with results."""
        return self.details.has_succeeded

    @cached_property
    def results(self) -> dict[str, bytes]:
        """Return the algorithm's outputs by their path."""
        return self._fetch_kind("output")

    @cached_property
    def logs(self) -> dict[str, str]:
        """Return the logs of the stages, by file name."""
        return jobs.log_texts(self.box, self.account, self.id, "all")

    def report(self) -> str:
        """Return a text for the report of a test that failed."""
        lines = [f"status {self.status} {self.text}"]
        for key in ("reason", "exitCode", "times"):
            if (value := self.details.wire.get(key)) not in (None, "", {}):
                lines.append(f"{key} {value}")
        for name, text in self.logs.items():
            # Whole logs: in CI the box is gone when somebody reads the report.
            lines += [f"--- {name}", text.rstrip()]
        return "\n".join([*lines, f"more: {self.box.command_line(f'job {self.id}')}"])

    def _fetch_kind(self, kind: str) -> dict[str, bytes]:
        """Return the results of one type by path. They are fetched by index, so that those of other types are
        not transferred.
        """
        with tempfile.TemporaryDirectory(prefix="c2d-results-") as folder:
            files = [
                item for item in jobs.list_results(self.box, self.account, self.id) if item["type"] == kind
            ]
            found = {}
            for item in files:
                (fetched,) = _run_verb(
                    jobs.fetch_results(self.box, self.account, self.id, Path(folder), int(item["index"]))
                )
                found[str(fetched.path.relative_to(folder))] = fetched.path.read_bytes()
            return found


@contextmanager
def _as_file(content: str | Path, name: str) -> Iterator[Path]:
    """Yield a temporary file with the text; a path is yielded unchanged."""
    if isinstance(content, Path):
        yield content
        return
    with tempfile.TemporaryDirectory(prefix="c2d-asset-") as folder:
        path = Path(folder) / name
        path.write_text(content)
        yield path


def _run_verb(verb: Progress[Any]) -> Any:
    """Run a verb to its end and print its events into pytest's captured output."""
    return run_verb(verb, print_event)
