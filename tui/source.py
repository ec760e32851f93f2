"""What screens may ask of a box. The real adapter calls the verbs; the tests' one plays a recording.

Reading methods may take a while and raise :class:`c2d_box.errors.C2DError`; they are called by feeds, in
threads. The changing ones are verbs: generators of progress events, run by :mod:`tui.runs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sandbox.bundle.build import Confirm
    from sandbox.doctor.finding import Finding
    from sandbox.progress import Progress
    from sandbox.verbs.accounts import Account
    from sandbox.verbs.assets import Offer
    from sandbox.verbs.images import ContainerImage
    from sandbox.verbs.permissions import Cell
    from sandbox.verbs.quotes import Price
    from sandbox.verbs.status import BoxStatus, ResourceReport

Job = Mapping[str, Any]
"""A job as it is on the wire."""
Ddo = Mapping[str, Any]
"""An asset's record as the metadata cache has it."""


class Source(Protocol):
    """One box."""

    @property
    def name(self) -> str: ...

    def command(self, arguments: str, who: str = "") -> str:
        """The command line that does the same, for this box and that account."""
        ...

    def status(self) -> BoxStatus: ...

    def resources(self) -> ResourceReport: ...

    def jobs(self, who: str) -> list[Job]: ...

    def job(self, who: str, job_id: str) -> Job: ...

    def job_logs(self, who: str, job_id: str) -> Mapping[str, str]: ...

    def read_result(self, who: str, job_id: str, index: int) -> bytes: ...

    def assets(self) -> list[Ddo]: ...

    def permissions(self) -> list[Cell]: ...

    def accounts(self) -> list[Account]: ...

    def environments(self) -> list[Mapping[str, Any]]: ...

    def images(self) -> list[ContainerImage]: ...

    def findings(self) -> list[Finding]: ...

    def log_sources(self) -> list[str]: ...

    def logs(self, source: str, lines: int) -> list[str]: ...

    def quote(
        self, who: str, dataset: str, algorithm: str, additional: Sequence[str], environment: str | None
    ) -> list[Price]: ...

    def up(self, confirm: Confirm) -> Progress[Any]: ...

    def down(self) -> Progress[Any]: ...

    def start(
        self, who: str, dataset: str, algorithm: str, additional: Sequence[str], environment: str | None
    ) -> Progress[Any]: ...

    def stop(self, who: str, job_id: str) -> Progress[Any]: ...

    def fetch(self, who: str, job_id: str, folder: Path, index: int | None) -> Progress[Any]: ...

    def publish_dataset(self, who: str, source: str, offer: Offer) -> Progress[Any]: ...

    def publish_algorithm(
        self, who: str, source: str, image: str, entrypoint: str, offer: Offer
    ) -> Progress[Any]: ...

    def permit(self, who: str, dataset: str, algorithm: str) -> Progress[Any]: ...

    def revoke(self, who: str, dataset: str, algorithm: str) -> Progress[Any]: ...
