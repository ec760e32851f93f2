"""Records and restores the state that ``reset --assets`` returns to: after the last ``seed``, or the first
``up``.

Nothing is copied: the chain keeps a snapshot of itself, the metadata cache follows the chain back as it
follows any reorganisation, and of IPFS and S3 it is enough to know what was there.
"""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from c2d_box.errors import Failed, StateProblem, UsageError
from c2d_box.files import replace_file
from c2d_box.kubernetes.sync_client import KubeApi
from c2d_box.proxies import environment_without_proxy
from c2d_box.workflow import names
from sandbox.box import Box
from sandbox.box_lock import hold_box_lock
from sandbox.install.chart_values import JOBS, NAMESPACE
from sandbox.install.kubectl import program
from sandbox.keys import open_keys
from sandbox.objectstore import ObjectStore
from sandbox.parallel import run_together
from sandbox.progress import Progress, ProgressEvent, run_step
from sandbox.run_memory import loop_memory

WORKFLOWS = names.workflows_path(JOBS)
PATIENCE = 60.0
"""Seconds for jobs to end, and for the cache to follow the chain."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The recorded state. ``snapshot`` is the chain's; ``pins`` are CIDs; ``objects`` are bucket/key."""

    snapshot: str
    pins: tuple[str, ...]
    objects: tuple[str, ...]


def take_baseline(box: Box) -> Progress[None]:
    """Record the state of the box as it is now; do nothing for a chain outside the box, which takes nothing
    back.
    """
    if box.settings.chain.rpc_url is not None:
        return  # a chain outside the box takes nothing back
    yield from run_step(
        "baseline", "remembering this state", lambda: _save_baseline(box, _current_baseline(box))
    )


def has_baseline(box: Box) -> bool:
    """Return whether there is a state to return to; ``up`` takes the first one only where there is none."""
    return box.home.baseline_file.exists()


def return_to_baseline(box: Box) -> Progress[None]:
    """Restore chain, cache, job table, IPFS, S3 and workflows; the cluster keeps running.

    That takes seconds, where a new box would take its whole boot. Raise ``C2D-RESET-FOREIGN-CHAIN`` or
    ``C2D-RESET-NO-BASELINE`` before anything is touched.
    """
    if box.settings.chain.rpc_url is not None:
        raise UsageError(
            "C2D-RESET-FOREIGN-CHAIN",
            "a chain outside the box takes nothing back",
            "end the assets one by one",
        )
    # Read first: without it, jobs would be ended for nothing.
    before = _load_baseline(box)
    # Jobs first: one that still runs would go on writing to the chain, to IPFS and to S3.
    with hold_box_lock(box.home, "reset"), box.kube_api() as kube:
        yield from run_step("reset.jobs", "ending and forgetting jobs", lambda: _forget_jobs(box, kube))
        # Jobs are over, so nothing comes in any more; the rest has nothing to do with one another.
        pins, objects = set(before.pins), set(before.objects)
        yield from run_together(
            [
                _take_back(box, before.snapshot),
                run_step(
                    "reset.table",
                    "emptying the job table",
                    lambda: _run_psql(box, kube.server, "TRUNCATE jobs"),
                ),
                run_step("reset.ipfs", "forgetting results in IPFS", lambda: _remove_pins(box, pins)),
                run_step("reset.s3", "forgetting objects in S3", lambda: _remove_objects(box, objects)),
            ]
        )
        loop_memory(box.home).forget_all()  # DIDs come again, for other assets
        # A snapshot is used up by going back to it, so the next reset needs a new one.
        _save_baseline(box, Baseline(_call_rpc(box, "evm_snapshot"), before.pins, before.objects))
    yield ProgressEvent("reset", "done", "the box is as it was")


def _current_baseline(box: Box) -> Baseline:
    """Return the state as it is now. The snapshot comes first: what is pinned later only stays, which does no
    harm.
    """
    return Baseline(_call_rpc(box, "evm_snapshot"), tuple(_list_pins(box)), tuple(_list_objects(box)))


def _save_baseline(box: Box, baseline: Baseline) -> None:
    """Write the baseline beside the box."""
    replace_file(box.home.baseline_file, json.dumps(asdict(baseline), indent=2) + "\n")


def _load_baseline(box: Box) -> Baseline:
    """Return the baseline; raise ``C2D-RESET-NO-BASELINE`` where there is none that can be read."""
    try:
        document = json.loads(box.home.baseline_file.read_text())
        return Baseline(document["snapshot"], tuple(document["pins"]), tuple(document["objects"]))
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise StateProblem(
            "C2D-RESET-NO-BASELINE",
            "this box does not know a state to return to",
            f"{box.command_line('up')} or {box.command_line('seed FILE')} remembers one",
        ) from cause


def _forget_jobs(box: Box, kube: KubeApi) -> None:
    """Delete every workflow, and wait until the engine has cleaned up after each (its finalizer holds
    them).
    """
    for workflow in kube.items(WORKFLOWS):
        kube.delete(f"{WORKFLOWS}/{workflow['metadata']['name']}")
    deadline = time.monotonic() + PATIENCE
    while kube.items(WORKFLOWS):
        if time.monotonic() > deadline:
            raise Failed(
                "C2D-RESET-JOBS-STAY",
                "jobs do not end",
                f"{box.command_line('logs operator-engine')} may say why",
            )
        time.sleep(0.1)


def _take_back(box: Box, snapshot: str) -> Progress[None]:
    """Restore the chain, and wait for the metadata cache, which follows it."""
    yield from run_step("reset.chain", "taking the chain back", lambda: _revert_chain(box, snapshot))
    yield from run_step("reset.cache", "waiting for the metadata cache", lambda: _await_cache(box))


def _run_psql(box: Box, server: str, statement: str) -> None:
    """Run one statement in PostgreSQL's own pod, over its local socket: no password and no port are
    needed.
    """
    psql = ["psql", "-h", "/var/lib/c2d/postgres", "-U", "c2d", "-d", "c2d", "-c", statement]
    command = ["kubectl", "--kubeconfig", str(box.home.kubeconfig), "-n", NAMESPACE]
    done = subprocess.run(
        [*command, "exec", "deployment/postgres", "--", *psql],
        # Called as `kubectl` whatever the file is named; the bundle's program is told by its name what to be.
        executable=program(),
        env=environment_without_proxy(server),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed("C2D-RESET-TABLE", f"PostgreSQL refused: {done.stderr.strip()}", "c2d-box logs postgres")


def _call_rpc(box: Box, method: str, *params: Any) -> Any:
    """Return the result of one JSON-RPC call of the box's chain."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    try:
        answer = httpx.post(box.service_urls["chain"], json=body, timeout=30.0, trust_env=False).json()
    except (httpx.TransportError, ValueError) as cause:
        raise StateProblem("C2D-BOX-DOWN", "the chain does not answer", box.command_line("up")) from cause
    if "error" in answer:
        raise Failed(
            "C2D-RESET-CHAIN", f"the chain refused: {answer['error']}", box.command_line("logs chain")
        )
    return answer["result"]


def _revert_chain(box: Box, snapshot: str) -> None:
    """Take the chain back to a snapshot."""
    # False: it has no such snapshot any more; going back to an older one ends all later ones.
    if _call_rpc(box, "evm_revert", snapshot) is not True:
        raise StateProblem(
            "C2D-RESET-NO-SNAPSHOT",
            "the chain has forgotten that state: somebody went back behind it",
            f"start over: {box.command_line('reset')}",
        )


def _await_cache(box: Box) -> None:
    """Wait until the cache has read exactly as far as the chain now goes."""
    url = f"{box.service_urls['cache']}/api/aquarius/chains/status/{box.settings.chain.chain_id}"
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        # Asked anew each time, as the chain may go on; "exactly", as before the revert the cache is ahead of
        # it.
        head = int(_call_rpc(box, "eth_blockNumber"), 16)
        if httpx.get(url, timeout=5.0, trust_env=False).json().get("last_block") == head:
            return
        time.sleep(0.05)
    raise Failed(
        "C2D-RESET-CACHE", "the metadata cache does not follow the chain", box.command_line("logs cache")
    )


def _call_ipfs(box: Box, call: str, **query: str) -> Any:
    """Call the node's RPC API with the administrator's token. Every call of that API is a POST."""
    token = open_keys(box.home.keys_folder)["ipfs-admin-token"]
    answer = httpx.post(
        f"{box.service_urls['ipfs-api']}/api/v0/{call}",
        params=query,
        headers={"Authorization": f"Bearer {token}"},
        timeout=30.0,
        trust_env=False,
    )
    if not answer.is_success:
        raise Failed(
            "C2D-RESET-IPFS", f"IPFS refused {call}: {answer.text[:200]}", box.command_line("logs ipfs")
        )
    return answer


def _list_pins(box: Box) -> list[str]:
    """Return the CIDs that are kept whole; indirect pins go with the one above them."""
    return sorted(_call_ipfs(box, "pin/ls", type="recursive").json().get("Keys") or {})


def _remove_pins(box: Box, kept: set[str]) -> None:
    """Unpin what was not pinned then, and collect it: an unpinned block can be read until then."""
    for cid in _list_pins(box):
        if cid not in kept:
            _call_ipfs(box, "pin/rm", arg=cid)
    _call_ipfs(box, "repo/gc", quiet="true")


def _object_store(box: Box) -> ObjectStore:
    """Return the box's S3 with the administrator's key, which sees every bucket."""
    keys = open_keys(box.home.keys_folder)
    return ObjectStore(box.service_urls["s3"], keys["s3-access-key"], keys["s3-secret-key"])


def _list_objects(box: Box) -> list[str]:
    """Return ``bucket/key`` of every object."""
    store = _object_store(box)
    return sorted(f"{bucket}/{key}" for bucket in store.list_buckets() for key in store.list_keys(bucket))


def _remove_objects(box: Box, kept: set[str]) -> None:
    """Delete every object that was not there then. Objects that were deleted since do not come back."""
    store = _object_store(box)
    for place in _list_objects(box):
        if place not in kept:
            store.delete_object(*place.split("/", 1))
