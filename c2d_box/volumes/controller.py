"""The reconcile loop: for each changed volume, execute the plan's actions until there are none left.

One task per volume at a time, so that steps of one volume never overlap, while a gigabyte of one job being
overwritten does not keep another job's claim waiting.
"""

from __future__ import annotations

import asyncio
import logging
import time

from c2d_box.errors import C2DError
from c2d_box.retry import Backoff
from c2d_box.service.json_logging import loggable_text
from c2d_box.volumes.claims import VolumeClaim
from c2d_box.volumes.cluster import VolumeCluster
from c2d_box.volumes.disks import NO_ROOM, NodeDisk
from c2d_box.volumes.plan import VolumeAction, VolumeSituation, is_unplaced, plan_action

log = logging.getLogger("c2d.volumes")


class VolumeController:
    """Serves the claims of ``cluster`` from the disk of ``node``."""

    def __init__(self, cluster: VolumeCluster, disks: NodeDisk, node: str) -> None:
        self._cluster, self._disks, self._node = cluster, disks, node
        # The running task of each volume, and the volumes that have changed since their task began.
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()

    def enqueue_volume(self, name: str) -> None:
        """Reconcile the volume ``name`` soon; while it is being reconciled, once more afterwards."""
        # A change that concerns no single volume, such as one of a class.
        if not name:
            return
        if name in self._busy:
            self._again.add(name)
            return
        task = asyncio.get_running_loop().create_task(self._reconcile_volume(name), name=name)
        self._busy[name] = task
        # In a callback and not at the end of the task: it must run also where the task fails or is cancelled.
        task.add_done_callback(lambda _: self._on_idle(name))

    async def sweep_disk(self) -> None:
        """Reconcile every volume on the disk: no event comes for what a crash has left behind."""
        # In a thread, like all work on the disk: a slow disk must not delay the probes' answers.
        for name in await asyncio.to_thread(self._disks.volume_names):
            self.enqueue_volume(name)

    async def check_sizes(self) -> None:
        """Report each service whose directory holds more than its claim requests: nothing else limits it."""
        # A copy, since watches change the claims while a directory is being measured.
        for name, claim in list(self._cluster.claims.items()):
            used = await asyncio.to_thread(self._disks.used_bytes, name)
            if used is None or used <= claim.size:
                continue
            message = (
                f"{claim.name} takes {used >> 20} MiB of the node's disk, {claim.size >> 20} MiB are planned"
            )
            log.warning("over its size", extra={"volume": name, "problem": message})
            await self._write_event(name, "C2D-VOLUME-OVER", message)

    async def stop(self) -> None:
        """Cancel all work. A step that runs in a thread goes on to its end; the next
        start plans from what is there.
        """
        for task in list(self._busy.values()):
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)

    def _on_idle(self, name: str) -> None:
        """Forget the task; reconcile again what changed while it ran."""
        del self._busy[name]
        if name in self._again:
            self._again.discard(name)
            self.enqueue_volume(name)

    async def _reconcile_volume(self, name: str) -> None:
        """Act until nothing is left to be done; after a failure wait, longer each time, and ask again."""
        # The first pauses are short, since most failures are a mount that is busy or a write that came
        # second; a node without room is asked every 15 s.
        backoff = Backoff(0.05, 15.0, 4.0)
        while True:
            try:
                if (action := await self._next_action(name)) is None:
                    return
                await self._execute_action(name, action)
            # Every error: one that ended this task would leave the volume until its next change.
            except Exception as problem:
                said, foreseen = loggable_text(problem), isinstance(problem, C2DError | OSError)
                log.warning("failed", extra={"volume": name, "problem": said}, exc_info=not foreseen)
                code = getattr(problem, "code", "C2D-VOLUME-DISK")
                await self._write_event(name, code, str(problem) if foreseen else said)
                # Only where the scheduler placed the claim; otherwise this node
                # keeps trying until there is room.
                if code == NO_ROOM and await self._has_given_back(name):
                    return  # another node may have room, and the watch says which is chosen
                await asyncio.sleep(backoff.next_pause())
                continue
            backoff.reset()
            # Their effect shows in the watch alone: planning again at once would repeat the call.
            if action in (VolumeAction.RETIRE, VolumeAction.REPORT_LOST, VolumeAction.REPORT_UNPLACED):
                return  # the watch says when there is more to do

    async def _has_given_back(self, name: str) -> bool:
        """Give the claim back to the scheduler; return False where no scheduler
        placed it, or the call failed.
        """
        claim = self._cluster.claims.get(name)
        if claim is None or not claim.selected_node:
            return False
        try:
            await self._cluster.give_back(claim)
        except C2DError as problem:
            log.warning("the node's choice stands", extra={"volume": name, "problem": loggable_text(problem)})
            return False
        return True

    async def _execute_action(self, name: str, action: VolumeAction) -> None:
        began = time.monotonic()
        await self._dispatch_action(name, action)
        log.info(action.value, extra={"volume": name, "seconds": round(time.monotonic() - began, 4)})

    async def _next_action(self, name: str) -> VolumeAction | None:
        claim = self._cluster.claims.get(name)
        storage_class = self._cluster.classes.get(claim.storage_class) if claim else None
        # The number of nodes matters for unplaced claims alone; other jobs do not wait for that question.
        unplaced = claim is not None and storage_class is not None and is_unplaced(claim, storage_class)
        return plan_action(
            VolumeSituation(
                node=self._node,
                claim=claim,
                storage_class=storage_class,
                volume=self._cluster.volumes.get(name),
                stored=await asyncio.to_thread(self._disks.find_stored, name),
                is_only_node=not unplaced or await self._cluster.is_only_node(),
            )
        )

    async def _dispatch_action(self, name: str, action: VolumeAction) -> None:
        if action is VolumeAction.ERASE:
            written = await asyncio.to_thread(self._disks.erase_volume, name)
            log.info("overwritten", extra={"volume": name, "bytes": written})
        elif action is VolumeAction.MOUNT:
            await asyncio.to_thread(self._disks.mount_volume, name)
        elif action is VolumeAction.RETIRE:
            await self._cluster.delete_volume(self._cluster.volumes[name])
        # The other actions need a claim. One that vanished since the plan needs
        # nothing: the next plan sees that.
        elif claim := self._cluster.claims.get(name):
            await self._act_on_claim(claim, name, action)

    async def _act_on_claim(self, claim: VolumeClaim, name: str, action: VolumeAction) -> None:
        if action is VolumeAction.PROTECT:
            await self._cluster.add_finalizer(claim)
        elif action is VolumeAction.UNPROTECT:
            await self._cluster.remove_finalizer(claim)
        elif action is VolumeAction.REPORT_LOST:
            log.error("the volume's data is not on this node", extra={"volume": name})
            await self._cluster.write_event(
                claim, "C2D-VOLUME-LOST", f"the data of {name} is not on node {self._node}"
            )
        elif action is VolumeAction.REPORT_UNPLACED:
            message = (
                f"the class {claim.storage_class} binds at once and this cluster has several nodes: none is"
                " chosen for the volume; set provisioner.jobBinding to WaitForFirstConsumer"
            )
            log.error("unplaced", extra={"volume": name, "problem": message})
            await self._cluster.write_event(claim, "C2D-VOLUME-UNPLACED", message)
        else:
            # The plan returns MAKE and PUBLISH only for a claim whose class is known.
            made_by = self._cluster.classes[claim.storage_class]
            if action is VolumeAction.MAKE:
                await asyncio.to_thread(self._disks.make_volume, name, made_by, claim.size)
            else:
                await self._cluster.create_volume(
                    claim, str(self._disks.volume_path(name, made_by.kind)), self._node
                )

    async def _write_event(self, name: str, reason: str, message: str) -> None:
        """Write an event if the claim still exists. An event is news only: its
        failure is logged and forgotten.
        """
        claim = self._cluster.claims.get(name)
        if claim:
            try:
                await self._cluster.write_event(claim, reason, message)
            except Exception as problem:
                log.warning("no event written", extra={"volume": name, "problem": loggable_text(problem)})
