"""The plan alone, then the plan driving a model of the world that may be killed between any two steps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.volumes.claims import FINALIZER, PersistentVolume, StorageClass, VolumeClaim, VolumeFolder
from c2d_box.volumes.plan import StoredVolume, VolumeAction, VolumeSituation, plan_action

IN_USE = "kubernetes.io/pvc-protection"
DISK = StorageClass("c2d-jobs", "disk", VolumeFolder("volume", 0, 0, 0o755), ())
CLAIM = VolumeClaim(
    "c2d-jobs", "job", "u1", "1", "c2d-jobs", 1 << 28, "", False, False, (IN_USE,), "", ("ReadWriteOnce",)
)
HERE, ELSEWHERE = (
    PersistentVolume("pvc-u1", "u1", "here", False),
    PersistentVolume("pvc-u1", "u1", "elsewhere", False),
)
READY, UNMOUNTED = StoredVolume("disk", True), StoredVolume("disk", False)
BOUND = replace(CLAIM, volume="pvc-u1", bound=True)
GUARDED = replace(BOUND, finalizers=(IN_USE, FINALIZER))
LEAVING = replace(GUARDED, deleting=True)
LEFT = replace(LEAVING, finalizers=(FINALIZER,))


@pytest.mark.parametrize(
    ("claim", "volume", "stored", "expected"),
    [
        pytest.param(CLAIM, None, None, VolumeAction.MAKE, id="a new claim's volume is made"),
        pytest.param(
            CLAIM, None, UNMOUNTED, VolumeAction.MAKE, id="an attempt that was interrupted is made anew"
        ),
        pytest.param(CLAIM, None, READY, VolumeAction.PUBLISH, id="a whole volume is published"),
        pytest.param(CLAIM, HERE, READY, None, id="a claim is not touched while it is being bound"),
        pytest.param(BOUND, HERE, READY, VolumeAction.PROTECT, id="a bound claim is protected"),
        pytest.param(GUARDED, HERE, READY, None, id="a served claim needs nothing"),
        pytest.param(GUARDED, HERE, UNMOUNTED, VolumeAction.MOUNT, id="after a reboot it is mounted again"),
        pytest.param(GUARDED, HERE, None, VolumeAction.REPORT_LOST, id="lost data is said, never made up"),
        pytest.param(GUARDED, ELSEWHERE, None, None, id="another node's volume is left alone"),
        pytest.param(
            GUARDED, ELSEWHERE, READY, VolumeAction.ERASE, id="who lost the race for a claim clears up"
        ),
        pytest.param(LEAVING, HERE, READY, None, id="nothing is erased while a pod uses the claim"),
        pytest.param(LEFT, HERE, READY, VolumeAction.ERASE, id="a released claim's data is erased"),
        pytest.param(LEFT, HERE, None, VolumeAction.UNPROTECT, id="then the claim may go"),
        pytest.param(None, HERE, None, VolumeAction.RETIRE, id="and its volume object with it"),
        pytest.param(None, HERE, READY, VolumeAction.ERASE, id="a volume without a claim is erased first"),
        pytest.param(None, None, READY, VolumeAction.ERASE, id="a job's disk without a claim is erased"),
        pytest.param(
            None, None, StoredVolume("directory", True), None, id="an unknown directory of a service is kept"
        ),
        pytest.param(
            None,
            None,
            StoredVolume("directory", True, empty=True),
            VolumeAction.ERASE,
            id="an unused directory goes",
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
    claim: VolumeClaim | None,
    volume: PersistentVolume | None,
    stored: StoredVolume | None,
    expected: VolumeAction,
) -> None:
    assert plan_action(VolumeSituation("here", claim, DISK, volume, stored)) is expected


def test_a_claim_that_waits_for_its_first_pod_is_served_on_the_pods_node() -> None:
    waiting = replace(DISK, waits=True)
    assert plan_action(VolumeSituation("here", CLAIM, waiting, None, None)) is None
    chosen = replace(CLAIM, selected_node="here")
    assert plan_action(VolumeSituation("here", chosen, waiting, None, None)) is VolumeAction.MAKE


def makers(claim: VolumeClaim, storage_class: StorageClass, nodes: tuple[str, ...]) -> list[str]:
    """The nodes of a cluster whose provisioner would make the claim's volume."""
    alone = len(nodes) == 1
    asked = {
        node: plan_action(VolumeSituation(node, claim, storage_class, None, None, alone)) for node in nodes
    }
    return [node for node, action in asked.items() if action is VolumeAction.MAKE]


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
        assert (
            plan_action(VolumeSituation("here", CLAIM, DISK, None, stored, False))
            is VolumeAction.REPORT_UNPLACED
        )
    assert plan_action(VolumeSituation("here", CLAIM, replace(DISK, waits=True), None, None, False)) is None


def test_what_is_there_is_served_also_where_nodes_were_added_later() -> None:
    for claim, stored, expected in (
        (BOUND, READY, VolumeAction.PROTECT),
        (GUARDED, UNMOUNTED, VolumeAction.MOUNT),
        (LEFT, READY, VolumeAction.ERASE),
    ):
        assert plan_action(VolumeSituation("here", claim, DISK, HERE, stored, False)) is expected


def test_a_claim_of_a_class_that_is_gone_waits() -> None:
    assert plan_action(VolumeSituation("here", CLAIM, None, None, None)) is None


@dataclass
class World:
    """A cluster and a disk, reduced to what the plan sees. A killed action stops halfway."""

    claim: VolumeClaim | None = CLAIM
    volume: PersistentVolume | None = None
    stored: StoredVolume | None = None
    done: list[VolumeAction] = field(default_factory=list)

    def situation(self) -> VolumeSituation:
        return VolumeSituation("here", self.claim, DISK, self.volume, self.stored)

    def act(self, action: VolumeAction, *, halfway: bool) -> None:
        self.done.append(action)
        claim = self.claim
        if action in (VolumeAction.MAKE, VolumeAction.ERASE) and halfway:
            self.stored = UNMOUNTED
        elif halfway:
            return
        elif action in (VolumeAction.MAKE, VolumeAction.MOUNT):
            self.stored = READY
        elif action is VolumeAction.ERASE:
            self.stored = None
        elif action is VolumeAction.RETIRE:
            self.volume = None
        elif action is VolumeAction.PUBLISH:
            self.volume = HERE
        elif claim and action is VolumeAction.PROTECT:
            self.claim = replace(claim, finalizers=(*claim.finalizers, FINALIZER))
        elif claim and action is VolumeAction.UNPROTECT:
            assert self.stored is None, "the claim vanished before its data"
            self.claim = None

    def settle(self, kills: list[bool]) -> None:
        for _ in range(50):
            action = plan_action(self.situation())
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
    assert world.claim and world.claim.is_protected
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
        if action := plan_action(world.situation()):
            world.act(action, halfway=bool(kills) and kills.pop())
    assert world.claim
    finalizers = tuple(f for f in world.claim.finalizers if f != IN_USE)
    world.claim = replace(world.claim, deleting=True, finalizers=finalizers) if finalizers else None
    world.settle(kills)
    assert not (world.claim or world.volume or world.stored)
