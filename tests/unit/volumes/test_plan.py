"""The plan alone, then the plan driving a model of the world that may be killed between any two steps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.volumes.claims import FINALIZER, Claim, Folder, StorageClass, Volume
from c2d_box.volumes.plan import Action, Situation, Stored, plan

IN_USE = "kubernetes.io/pvc-protection"
DISK = StorageClass("c2d-jobs", "disk", Folder("volume", 0, 0, 0o755), ())
CLAIM = Claim(
    "c2d-jobs", "job", "u1", "1", "c2d-jobs", 1 << 28, "", False, False, (IN_USE,), "", ("ReadWriteOnce",)
)
HERE, ELSEWHERE = Volume("pvc-u1", "u1", "here", False), Volume("pvc-u1", "u1", "elsewhere", False)
READY, UNMOUNTED = Stored("disk", True), Stored("disk", False)
BOUND = replace(CLAIM, volume="pvc-u1", bound=True)
GUARDED = replace(BOUND, finalizers=(IN_USE, FINALIZER))
LEAVING = replace(GUARDED, deleting=True)
LEFT = replace(LEAVING, finalizers=(FINALIZER,))


@pytest.mark.parametrize(
    ("claim", "volume", "stored", "expected"),
    [
        pytest.param(CLAIM, None, None, Action.MAKE, id="a new claim's volume is made"),
        pytest.param(CLAIM, None, UNMOUNTED, Action.MAKE, id="an attempt that was interrupted is made anew"),
        pytest.param(CLAIM, None, READY, Action.PUBLISH, id="a whole volume is published"),
        pytest.param(CLAIM, HERE, READY, None, id="a claim is not touched while it is being bound"),
        pytest.param(BOUND, HERE, READY, Action.PROTECT, id="a bound claim is protected"),
        pytest.param(GUARDED, HERE, READY, None, id="a served claim needs nothing"),
        pytest.param(GUARDED, HERE, UNMOUNTED, Action.MOUNT, id="after a reboot it is mounted again"),
        pytest.param(GUARDED, HERE, None, Action.REPORT_LOST, id="lost data is said, never made up"),
        pytest.param(GUARDED, ELSEWHERE, None, None, id="another node's volume is left alone"),
        pytest.param(GUARDED, ELSEWHERE, READY, Action.ERASE, id="who lost the race for a claim clears up"),
        pytest.param(LEAVING, HERE, READY, None, id="nothing is erased while a pod uses the claim"),
        pytest.param(LEFT, HERE, READY, Action.ERASE, id="a released claim's data is erased"),
        pytest.param(LEFT, HERE, None, Action.UNPROTECT, id="then the claim may go"),
        pytest.param(None, HERE, None, Action.RETIRE, id="and its volume object with it"),
        pytest.param(None, HERE, READY, Action.ERASE, id="a volume without a claim is erased first"),
        pytest.param(None, None, READY, Action.ERASE, id="a job's disk without a claim is erased"),
        pytest.param(
            None, None, Stored("directory", True), None, id="an unknown directory of a service is kept"
        ),
        pytest.param(
            None, None, Stored("directory", True, empty=True), Action.ERASE, id="an unused directory goes"
        ),
        pytest.param(None, ELSEWHERE, None, None, id="another node retires its own"),
        pytest.param(
            None, replace(HERE, followed=False), READY, None, id="data of a namespace not looked at is kept"
        ),
        pytest.param(
            replace(CLAIM, selected_node="elsewhere"),
            None,
            None,
            None,
            id="a claim for another node is not taken",
        ),
        pytest.param(
            replace(CLAIM, volume="static"), None, None, None, id="a claim with a volume needs none"
        ),
    ],
)
def test_next_action(
    claim: Claim | None, volume: Volume | None, stored: Stored | None, expected: Action
) -> None:
    assert plan(Situation("here", claim, DISK, volume, stored)) is expected


def test_a_claim_that_waits_for_its_first_pod_is_served_on_the_pods_node() -> None:
    waiting = replace(DISK, waits=True)
    assert plan(Situation("here", CLAIM, waiting, None, None)) is None
    chosen = replace(CLAIM, selected_node="here")
    assert plan(Situation("here", chosen, waiting, None, None)) is Action.MAKE


def makers(claim: Claim, storage_class: StorageClass, nodes: tuple[str, ...]) -> list[str]:
    """The nodes of a cluster whose provisioner would make the claim's volume."""
    alone = len(nodes) == 1
    asked = {node: plan(Situation(node, claim, storage_class, None, None, alone)) for node in nodes}
    return [node for node, action in asked.items() if action is Action.MAKE]


@pytest.mark.parametrize("waits", [False, True])
def test_of_two_nodes_only_the_selected_one_makes_the_volume(waits: bool) -> None:
    for selected in ("first", "second"):
        claim = replace(CLAIM, selected_node=selected)
        assert makers(claim, replace(DISK, waits=waits), ("first", "second")) == [selected]


def test_a_claim_for_which_no_node_is_chosen_takes_no_disk_of_several_nodes() -> None:
    """Each node made it, all of the job's size, and all but the fastest erased it again."""
    assert makers(CLAIM, DISK, ("first", "second")) == []
    assert makers(CLAIM, DISK, ("first",)) == ["first"]
    for stored in (None, UNMOUNTED, READY):
        assert plan(Situation("here", CLAIM, DISK, None, stored, False)) is Action.REPORT_UNPLACED
    assert plan(Situation("here", CLAIM, replace(DISK, waits=True), None, None, False)) is None


def test_what_is_there_is_served_also_where_nodes_were_added_later() -> None:
    for claim, stored, expected in (
        (BOUND, READY, Action.PROTECT),
        (GUARDED, UNMOUNTED, Action.MOUNT),
        (LEFT, READY, Action.ERASE),
    ):
        assert plan(Situation("here", claim, DISK, HERE, stored, False)) is expected


def test_a_claim_of_a_class_that_is_gone_waits() -> None:
    assert plan(Situation("here", CLAIM, None, None, None)) is None


@dataclass
class World:
    """A cluster and a disk, reduced to what the plan sees. A killed action stops halfway."""

    claim: Claim | None = CLAIM
    volume: Volume | None = None
    stored: Stored | None = None
    done: list[Action] = field(default_factory=list)

    def situation(self) -> Situation:
        return Situation("here", self.claim, DISK, self.volume, self.stored)

    def act(self, action: Action, *, halfway: bool) -> None:
        self.done.append(action)
        claim = self.claim
        if action in (Action.MAKE, Action.ERASE) and halfway:
            self.stored = UNMOUNTED
        elif halfway:
            return
        elif action in (Action.MAKE, Action.MOUNT):
            self.stored = READY
        elif action is Action.ERASE:
            self.stored = None
        elif action is Action.RETIRE:
            self.volume = None
        elif action is Action.PUBLISH:
            self.volume = HERE
        elif claim and action is Action.PROTECT:
            self.claim = replace(claim, finalizers=(*claim.finalizers, FINALIZER))
        elif claim and action is Action.UNPROTECT:
            assert self.stored is None, "the claim vanished before its data"
            self.claim = None

    def settle(self, kills: list[bool]) -> None:
        for _ in range(50):
            action = plan(self.situation())
            if action is None and self.claim and self.volume and not self.claim.bound:
                self.claim = replace(self.claim, volume="pvc-u1", bound=True)  # the volume controller's part
                continue
            if action is None:
                return
            self.act(action, halfway=bool(kills) and kills.pop())
        raise AssertionError(f"no end: {self.done}")


@given(
    before=st.lists(st.booleans(), max_size=12),
    after=st.lists(st.booleans(), max_size=12),
    reboot=st.booleans(),
)
def test_killed_at_any_step_a_claim_is_served_and_then_leaves_nothing(
    before: list[bool], after: list[bool], reboot: bool
) -> None:
    world = World()
    world.settle(before)
    assert (world.volume, world.stored) == (HERE, READY)
    assert world.claim and world.claim.protected
    if reboot:
        world.stored = UNMOUNTED
    assert world.claim
    world.claim = replace(world.claim, deleting=True)
    world.settle([])
    assert world.stored == READY, "erased under a running pod, or left unmounted for it"
    world.claim = replace(world.claim, finalizers=(FINALIZER,))
    world.settle(after)
    assert not (world.claim or world.volume or world.stored)


@given(kills=st.lists(st.booleans(), max_size=6), steps=st.integers(0, 6))
def test_a_claim_deleted_before_it_was_served_leaves_nothing(kills: list[bool], steps: int) -> None:
    world = World()
    for _ in range(steps):
        if action := plan(world.situation()):
            world.act(action, halfway=bool(kills) and kills.pop())
    assert world.claim
    finalizers = tuple(f for f in world.claim.finalizers if f != IN_USE)
    world.claim = replace(world.claim, deleting=True, finalizers=finalizers) if finalizers else None
    world.settle(kills)
    assert not (world.claim or world.volume or world.stored)
