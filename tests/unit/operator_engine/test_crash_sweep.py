"""The engine killed before and after every single thing it does to Kubernetes, in every kind of life a job
can have: the job ends as it would have, the algorithm ran once at most, nothing was stored twice, nothing
is left.

The cells are found by a run without a kill, so an action that is new is swept without anybody naming it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import CLAIMS, LEASES, PODS, SECRETS
from c2d_box.operator_engine.controller import Controller
from c2d_box.operator_engine.engine import compose_engine
from c2d_box.operator_engine.stage_tokens import StageTokens
from c2d_box.workflow import leases, names, resource
from c2d_box.workflow.resource import WORKFLOWS, WorkFlow
from tests.conftest import sample_cells
from tests.harness.simulated_cluster import CrashingCluster, SimulatedNode, When
from tests.unit.operator_engine.conftest import Rows, make_settings, workflow_body

JOB = "c" * 32
SECONDS = 20.0


@dataclass(frozen=True)
class Life:
    """How a job goes: what its pods do, what people do while it runs, and how it must end."""

    code: int
    runs: int = 1
    uploads: int = 1
    assets: int = 0
    machine: tuple[tuple[str, Any], ...] = ()
    once_running: str = ""

    def knobs(self) -> dict[str, Any]:
        return dict(self.machine)


LIVES = {
    "succeeds": Life(70),
    "fails": Life(75, machine=(("exit_code", 3),)),
    "has no inputs": Life(31, runs=0, machine=(("staging", 31),)),
    "becomes an asset": Life(70, assets=1),
    "is stopped": Life(70, machine=(("endless", True),), once_running="stop"),
    "is deleted": Life(0, uploads=0, machine=(("endless", True),), once_running="delete"),
}


class Survivor:
    """A cluster and the engines that come and go on it."""

    def __init__(self, secrets: Path, life: Life) -> None:
        self.life = life
        self.cluster = MemoryCluster()
        self.settings = make_settings().model_copy(update={"secrets_dir": secrets})
        self.machine = SimulatedNode(
            self.cluster, lambda: (self.engine.pod_reports, self.mortal.died), **life.knobs()
        )
        self.rows = Rows()
        (secrets / "register-key").write_text("0x" + "3" * 64)
        self._watches: list[asyncio.Task[None]] = []

    async def boot(self, fatal: int | None = None, when: When = "before") -> None:
        self.mortal = CrashingCluster(self.cluster, fatal, when)
        tokens = StageTokens({"ocean-compute": b"key"})
        self.engine = compose_engine(self.mortal, self.settings, tokens, self.rows, "c2d-gate-x")
        self.controller = self.engine.controller
        await self.controller.resync()
        self._watches = [
            asyncio.create_task(self._watch(self.controller, kind)) for kind in (WORKFLOWS, PODS, CLAIMS)
        ]

    async def bury(self) -> None:
        for task in self._watches:
            task.cancel()
        await self.controller.cancel_all()

    async def _watch(self, controller: Controller, kind: Any) -> None:
        async for change in self.cluster.watch(kind, "0"):
            controller.take_change(kind, change.object, change.kind == "DELETED")

    async def submit(self) -> None:
        grants = {"metadata": {"name": names.grants_secret_name(JOB)}, "stringData": {"grants.json": "{}"}}
        await self.cluster.create(LEASES, leases.lease_body(f"0xorder{JOB}", JOB, time.time()))
        await self.cluster.create(SECRETS, grants)
        body = workflow_body(JOB)
        if self.life.assets:
            body["spec"]["stages"][0]["output"] = {"publish": {"name": "mine"}}
        await self.cluster.create(WORKFLOWS, body)

    async def workflow(self) -> WorkFlow | None:
        body = await self.cluster.get(WORKFLOWS, JOB)
        return None if body is None else resource.parse_workflow(body)

    async def people(self) -> None:
        """What somebody does once the algorithm runs."""
        while not self.machine.runs:  # noqa: ASYNC110 - the machine has no event for it
            await asyncio.sleep(0.001)
        if self.life.once_running == "stop":
            await self.cluster.patch(WORKFLOWS, JOB, {"spec": {"stop": True}})
        elif self.life.once_running == "delete":
            await self.cluster.delete(WORKFLOWS, JOB)

    async def over(self) -> WorkFlow | None:
        while True:
            workflow = await self.workflow()
            deleted = self.life.once_running == "delete"
            if workflow is None or (workflow.at("cleaned") is not None and not deleted):
                return workflow
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def moving(survivor: Survivor) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(survivor.machine.run_node()), asyncio.create_task(survivor.people())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await survivor.bury()


async def live(secrets: Path, life: Life, kills: list[tuple[int, When]]) -> Survivor:
    """One job from its creation to its end, through this many deaths of the engine."""
    survivor = Survivor(secrets, life)
    async with asyncio.timeout(SECONDS):
        deaths: list[tuple[int | None, When]] = [*kills, (None, "before")]
        first, *more = deaths
        await survivor.boot(*first)
        async with moving(survivor):
            await survivor.submit()
            for following in more:
                over = asyncio.create_task(survivor.over())
                died = asyncio.create_task(survivor.mortal.died.wait())
                await asyncio.wait([over, died], return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
                died.cancel()
                if not survivor.mortal.died.is_set():
                    break
                await survivor.bury()
                await survivor.boot(*following)
            await judged(survivor, await survivor.over())
    return survivor


async def judged(survivor: Survivor, workflow: WorkFlow | None) -> None:
    life, machine = survivor.life, survivor.machine
    if life.once_running == "delete":
        assert workflow is None
    else:
        assert workflow is not None
        assert (workflow.status.code, workflow.status.text != "") == (life.code, True)
        assert workflow.finished
    assert len(machine.runs) == life.runs, "how often the algorithm ran"
    assert len(machine.uploads) == life.uploads, "how often results were stored"
    assert len(set(machine.sent)) == life.assets, "how many assets the results became"
    left = [survivor.cluster.names(kind) for kind in (PODS, CLAIMS, SECRETS, LEASES)]
    assert not any(left), left


async def writes(secrets: Path, life: Life) -> list[str]:
    return (await live(secrets, life, [])).mortal.writes


@pytest.mark.parametrize("name", LIVES)
async def test_killed_before_and_after_every_action(
    secrets: Path, name: str, seed: str, request: pytest.FixtureRequest
) -> None:
    life, full = LIVES[name], bool(request.config.getoption("--full"))
    actions = await writes(secrets, life)
    assert len(actions) >= 8
    cells: list[tuple[int, When]] = [
        (number, when) for number in range(1, len(actions) + 1) for when in ("before", "after")
    ]
    for cell in sample_cells(cells, 5, seed + name, full):
        try:
            await live(secrets, life, [cell])
        except (AssertionError, TimeoutError) as failure:
            raise AssertionError(f"killed {cell[1]} {actions[cell[0] - 1]}: {failure!r}") from failure


async def test_killed_twice(secrets: Path, seed: str, request: pytest.FixtureRequest) -> None:
    """The second engine dies as well, at any of its own first actions."""
    life, full = LIVES["succeeds"], bool(request.config.getoption("--full"))
    count = len(await writes(secrets, life))
    pairs: list[Callable[[], list[tuple[int, When]]]] = [
        lambda one=one, two=two, first=first, second=second: [(one, first), (two, second)]  # type: ignore[misc]
        for one in range(1, count + 1)
        for two in range(1, 7)
        for first in ("before", "after")
        for second in ("before", "after")
    ]
    for pair in sample_cells(pairs, 5, seed, full):
        await live(secrets, life, pair())
