"""The port between the screens and a box. The real adapter calls the verbs; the tests' one plays a recording.

Reading methods may block and raise :class:`c2d_box.errors.C2DError`; feeds call them in threads. Changing
methods are verbs: generators of progress events, run by :mod:`tui.actions.run`. Where nobody reads the
result of a verb, it is an ``object``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sandbox.verbs.sdk_connections import NO_LIMITS, Spending

if TYPE_CHECKING:
    from c2d_box.client.verification import Verification
    from sandbox.bundle.build import Confirm
    from sandbox.doctor.finding import Finding
    from sandbox.install.images import ContainerImage
    from sandbox.loop.running import Loop, Ran
    from sandbox.progress import Progress
    from sandbox.verbs.accounts import Account
    from sandbox.verbs.assets import Offer
    from sandbox.verbs.chain import Block, Transaction
    from sandbox.verbs.ddo_preview import Draft
    from sandbox.verbs.faucet import Holding
    from sandbox.verbs.output import Output
    from sandbox.verbs.permissions import Cell
    from sandbox.verbs.pods import Flow, Pod, Seen
    from sandbox.verbs.quotes import Price
    from sandbox.verbs.status import BoxStatus, ResourceReport
    from sandbox.verbs.trust import Simulation, Trust

Job = Mapping[str, Any]
"""A job as the Provider's API answers it."""
Ddo = Mapping[str, Any]
"""An asset's record as the metadata cache has it."""


class Source(Protocol):
    """Everything that the screens read from one box and change in it."""

    @property
    def name(self) -> str: ...

    def command(self, arguments: str, who: str = "") -> str:
        """Return the command line for ``arguments`` on this box, acting as ``who`` if given."""
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

    def blocks(self) -> list[Block]: ...

    def explain(self, who: str, job_id: str) -> str: ...

    def verify(self, who: str, job_id: str) -> Verification: ...

    def transactions(self) -> list[Transaction]: ...

    def pods(self, job_id: str = "") -> list[Pod]: ...

    def workflows(self) -> list[Flow]: ...

    def described(self, kind: str, namespace: str, name: str) -> str: ...

    def happenings(self, job_id: str = "") -> list[Seen]: ...

    def follow_container(self, namespace: str, pod: str, container: str) -> Iterator[str]: ...

    def heads(self) -> Iterator[int]:
        """Yield the chain's newest block number, and again whenever there is another."""
        ...

    def changes(self) -> Iterator[str]:
        """Yield a job's id whenever its state changes; first the empty string, once the watch is
        established.
        """
        ...

    def datatokens(self, who: str) -> list[Holding]: ...

    def open_cid(self, cid: str) -> bytes: ...

    def draft(self, who: str, kind: str, source: str, offer: Offer, image: str, entrypoint: str) -> Draft: ...

    def simulate(self, who: str, dataset: str, algorithm: str) -> Simulation: ...

    def up(self, confirm: Confirm) -> Progress[object]: ...

    def down(self) -> Progress[object]: ...

    def start(
        self,
        who: str,
        dataset: str,
        algorithm: str,
        additional: Sequence[str],
        environment: str | None,
        parameters: Mapping[str, Any] | None = None,
        output: Output | None = None,
        spending: Spending = NO_LIMITS,
    ) -> Progress[Job]: ...

    def run_script(self, loop: Loop, confirm: Confirm) -> Progress[Ran]: ...

    def stop(self, who: str, job_id: str) -> Progress[object]: ...

    def fetch(self, who: str, job_id: str, folder: Path, index: int | None) -> Progress[object]: ...

    def publish_dataset(self, who: str, source: str, offer: Offer) -> Progress[object]: ...

    def publish_algorithm(
        self, who: str, source: str, image: str, entrypoint: str, offer: Offer
    ) -> Progress[object]: ...

    def permit(self, who: str, dataset: str, algorithm: str) -> Progress[object]: ...

    def revoke(self, who: str, dataset: str, algorithm: str) -> Progress[object]: ...

    def trust(self, who: str, dataset: str, wanted: Trust) -> Progress[object]: ...

    def edit(self, who: str, did: str, name: str | None, description: str | None) -> Progress[object]: ...

    def end(self, who: str, did: str) -> Progress[object]: ...

    def faucet(self, who: str, eth: float, ocean: float) -> Progress[object]: ...
