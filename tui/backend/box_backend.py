"""The real source: each method calls one verb of ``sandbox``.

Verbs are imported inside the methods, so in the feed's thread and at the first call: the first paint waits
for none of them, least of all for web3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.box import Box, open_box
from sandbox.verbs.sdk_connections import NO_LIMITS, Spending
from tui.backend.port import Ddo, Job

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


class Verbs:
    """The :class:`tui.backend.port.Source` of a real box, which calls the verbs."""

    def __init__(self, box: Box) -> None:
        self._home, self._named = box.home.path, box.name

    @property
    def box(self) -> Box:
        """The box as its file describes it now; read anew each time, as an ``up`` elsewhere may have changed
        its ports.
        """
        return open_box(self._home, self._named)

    @property
    def name(self) -> str:
        return self._named

    def command(self, arguments: str, who: str = "") -> str:
        return self.box.command(f"--as {who} {arguments}" if who else arguments)

    def status(self) -> BoxStatus:
        from sandbox.verbs.status import status

        return status(self.box)

    def resources(self) -> ResourceReport:
        from sandbox.verbs.status import resources

        return resources(self.box)

    def jobs(self, who: str) -> list[Job]:
        from sandbox.verbs.jobs import jobs

        return list(jobs(self.box, who))

    def job(self, who: str, job_id: str) -> Job:
        from sandbox.verbs.jobs import job

        return job(self.box, who, job_id)

    def job_logs(self, who: str, job_id: str) -> Mapping[str, str]:
        from sandbox.verbs.job_logs import said

        return said(self.box, who, job_id)

    def explain(self, who: str, job_id: str) -> str:
        from sandbox.verbs.evidence import explain

        return explain(self.box, who, job_id)

    def verify(self, who: str, job_id: str) -> Verification:
        from sandbox.verbs.evidence import verify

        return verify(self.box, who, job_id)

    def read_result(self, who: str, job_id: str, index: int) -> bytes:
        from sandbox.verbs.sdk_connections import consuming

        with consuming(self.box, who) as party:
            return party.read_result(job_id, index)

    def assets(self) -> list[Ddo]:
        from sandbox.verbs.assets import assets

        return list(assets(self.box))

    def permissions(self) -> list[Cell]:
        from sandbox.verbs.permissions import permissions

        return permissions(self.box)

    def accounts(self) -> list[Account]:
        from sandbox.verbs.accounts import accounts

        return accounts(self.box)

    def environments(self) -> list[Mapping[str, Any]]:
        from sandbox.verbs.quotes import environments

        return environments(self.box)

    def images(self) -> list[ContainerImage]:
        from sandbox.install.images import images

        return images(self.box)

    def findings(self) -> list[Finding]:
        from sandbox.verbs.doctor import diagnose

        return diagnose(self.box)

    def log_sources(self) -> list[str]:
        from sandbox.install.chart_values import SERVICES

        components = [component.name for component in self.box.cluster.status().components]
        return [*SERVICES, *components]

    def logs(self, source: str, lines: int) -> list[str]:
        from sandbox.verbs.logs import logs

        return list(logs(self.box, source, lines=lines))

    def quote(
        self, who: str, dataset: str, algorithm: str, additional: Sequence[str], environment: str | None
    ) -> list[Price]:
        from sandbox.verbs.quotes import quote

        return quote(self.box, who, dataset, algorithm, tuple(additional), environment)

    def blocks(self) -> list[Block]:
        from sandbox.verbs.chain import blocks

        return blocks(self.box)

    def transactions(self) -> list[Transaction]:
        from sandbox.verbs.chain import transactions

        return transactions(self.box)

    def pods(self, job_id: str = "") -> list[Pod]:
        from sandbox.verbs.pods import pods

        return pods(self.box, job_id)

    def workflows(self) -> list[Flow]:
        from sandbox.verbs.pods import workflows

        return workflows(self.box)

    def described(self, kind: str, namespace: str, name: str) -> str:
        from sandbox.verbs.pods import described

        return described(self.box, kind, namespace, name)

    def happenings(self, job_id: str = "") -> list[Seen]:
        from sandbox.verbs.pods import happenings

        return happenings(self.box, job_id)

    def follow_container(self, namespace: str, pod: str, container: str) -> Iterator[str]:
        from sandbox.verbs.pods import follow_container

        return follow_container(self.box, namespace, pod, container)

    def heads(self) -> Iterator[int]:
        from sandbox.verbs.chain import heads

        return heads(self.box)

    def changes(self) -> Iterator[str]:
        from sandbox.verbs.pods import changes

        return changes(self.box)

    def datatokens(self, who: str) -> list[Holding]:
        from sandbox.verbs.faucet import datatokens

        return datatokens(self.box, who)

    def open_cid(self, cid: str) -> bytes:
        from sandbox.verbs.cid import open_cid

        return open_cid(self.box, cid)

    def draft(self, who: str, kind: str, source: str, offer: Offer, image: str, entrypoint: str) -> Draft:
        from sandbox.verbs.ddo_preview import draft

        return draft(self.box, who, kind, source, offer, image, entrypoint)

    def simulate(self, who: str, dataset: str, algorithm: str) -> Simulation:
        from sandbox.verbs.trust import simulate

        return simulate(self.box, who, dataset, algorithm)

    def up(self, confirm: Confirm) -> Progress[object]:
        from sandbox.verbs.up import up

        return up(self.box, confirm=confirm)

    def down(self) -> Progress[object]:
        from sandbox.verbs.down import down

        return down(self.box)

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
    ) -> Progress[Job]:
        from sandbox.verbs.jobs import start

        more = tuple(additional)
        return start(
            self.box,
            who,
            dataset,
            algorithm,
            additional=more,
            environment=environment,
            parameters=parameters,
            spending=spending,
            output=None if output is None else output.asked(),
        )

    def run_script(self, loop: Loop, confirm: Confirm) -> Progress[Ran]:
        from sandbox.loop.running import run_script

        return run_script(self.box, loop, confirm)

    def stop(self, who: str, job_id: str) -> Progress[object]:
        from sandbox.verbs.jobs import stop

        return stop(self.box, who, job_id)

    def fetch(self, who: str, job_id: str, folder: Path, index: int | None) -> Progress[object]:
        from sandbox.verbs.jobs import fetch

        return fetch(self.box, who, job_id, folder, index)

    def publish_dataset(self, who: str, source: str, offer: Offer) -> Progress[object]:
        from sandbox.verbs.assets import publish_dataset

        return publish_dataset(self.box, who, source, offer)

    def publish_algorithm(
        self, who: str, source: str, image: str, entrypoint: str, offer: Offer
    ) -> Progress[object]:
        from sandbox.verbs.assets import publish_algorithm

        return publish_algorithm(self.box, who, source, image, entrypoint, offer)

    def permit(self, who: str, dataset: str, algorithm: str) -> Progress[object]:
        from sandbox.verbs.assets import permit

        return permit(self.box, who, dataset, algorithm)

    def revoke(self, who: str, dataset: str, algorithm: str) -> Progress[object]:
        from sandbox.verbs.assets import revoke

        return revoke(self.box, who, dataset, algorithm)

    def trust(self, who: str, dataset: str, wanted: Trust) -> Progress[object]:
        from sandbox.verbs.trust import trust

        return trust(self.box, who, dataset, wanted)

    def edit(self, who: str, did: str, name: str | None, description: str | None) -> Progress[object]:
        from sandbox.verbs.trust import edit

        return edit(self.box, who, did, name, description)

    def end(self, who: str, did: str) -> Progress[object]:
        from sandbox.verbs.trust import end

        return end(self.box, who, did)

    def faucet(self, who: str, eth: float, ocean: float) -> Progress[object]:
        from sandbox.verbs.faucet import faucet

        return faucet(self.box, who, eth, ocean)
