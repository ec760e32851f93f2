"""Thousands of workflows: ``python -m tests.bench.bench_scale [--home HOME] [--workflows N]``.

In a namespace of its own on a running box: half of the workflows have finished and been cleaned up after,
half wait in the queue of an environment without a place. A second engine process, on this machine, is
started on them; then queued ones are stopped, deleted and added. Prints one JSON object: the engine's
memory (PSS), seconds from its start to its first list, the time of its reconciles (look, plan, act, with the
API server's answers), of the plan alone and of the wait for a job's turn, and how long a list of all of them
takes. What it is doing it says on stderr; whatever ends it, SIGTERM too, it takes away what it made.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from c2d_box import timestamps
from c2d_box.assets.crypto import signatures
from c2d_box.kubernetes.client import HttpCluster
from c2d_box.kubernetes.kubeconfig import from_kubeconfig
from c2d_box.kubernetes.port import ObjectGone
from c2d_box.workflow.resource import WORKFLOWS
from sandbox.box import Box, open_box
from sandbox.doctor.ports import is_free
from tests.bench import handwritten

T = TypeVar("T")
NAMESPACE = "c2d-bench"
DIGEST = "sha256:" + "0" * 64
SECTION = {"entrypoint": "python3 $ALGO", "image": "none", "tag": "t", "checksum": DIGEST}
MOVED = 200
"""Number of queued workflows that are stopped while the engine is measured; as many are added, half as many
deleted.
"""


def main() -> None:
    options = _parse_options()
    box = open_box(options.home)
    try:
        print(json.dumps(asyncio.run(_unless_ended(measure_scale(box, options.workflows))), indent=2))
    finally:
        with box.kube_api() as kube:
            kube.delete(f"/api/v1/namespaces/{NAMESPACE}")


async def _open_cluster(box: Box) -> bool:
    """Create the namespace; return False while the one of an earlier run is still being deleted."""
    with box.kube_api() as kube:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        there = kube.apply(f"/api/v1/namespaces/{NAMESPACE}", body)
        return "deletionTimestamp" not in there["metadata"]


async def _unless_ended(work: Coroutine[Any, Any, T]) -> T:
    """Cancel ``work`` on SIGTERM, so that its clean-up runs as it does on Ctrl-C."""
    task = asyncio.create_task(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


async def measure_scale(box: Box, count: int) -> dict[str, Any]:
    cluster = HttpCluster(from_kubeconfig(box.home.kubeconfig), NAMESPACE)
    _print_line("taking away what a run that was broken off has left")
    await _empty_cluster(cluster)
    await _wait_until(lambda: _open_cluster(box), "had its namespace", 60)
    began = time.monotonic()
    try:
        _print_line(f"writing {count} workflows")
        await _run_together(lambda number: _add_workflow(cluster, number), range(count))
        _print_line(f"finishing half of them ({time.monotonic() - began:.0f} s)")
        await _run_together(lambda number: _finish_workflow(cluster, number), range(1, count, 2))
        filling = time.monotonic() - began
        with tempfile.TemporaryDirectory(prefix="c2d-bench-") as folder:
            figures = await _measure_engine(box, cluster, Path(folder), count)
        return {**figures, "filling_seconds": round(filling, 1), "load": os.getloadavg()[0]}
    finally:
        _print_line("taking all of them away")
        await _empty_cluster(cluster)
        await cluster.close()


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, default=None, help="the home of a running box")
    parser.add_argument("--workflows", type=int, default=2000)
    return parser.parse_args()


def _print_line(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


async def _run_together(
    work: Callable[[int], Awaitable[object]], numbers: Iterable[int], at_once: int = 8
) -> None:
    turn = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with turn:
            await work(number)

    await asyncio.gather(*(one(number) for number in numbers))


def _workflow_name(number: int) -> str:
    return f"scale-{number:05d}"


async def _add_workflow(cluster: HttpCluster, number: int) -> None:
    owner, code = f"0xowner{number % 20}", "print('x')\n" * 20
    await cluster.create(
        WORKFLOWS, handwritten.workflow_body(_workflow_name(number), owner, code, SECTION, NAMESPACE)
    )


async def _finish_workflow(cluster: HttpCluster, number: int) -> None:
    now = time.time()
    moments = ("admitted", "bound", "created", "staged", "started", "ended", "judged", "uploaded", "finished")
    times = {
        name: timestamps.rfc3339_text(now - 60 + place) for place, name in enumerate((*moments, "cleaned"))
    }
    stored = {"filename": "f", "filesize": 1, "type": "output", "url": "ipfs://b/f", "sha256": "0" * 64}
    status = {
        "code": 70,
        "text": "Job finished",
        "phase": "Finished",
        "times": times,
        "results": [stored] * 5,
    }
    await cluster.patch(WORKFLOWS, _workflow_name(number), {"status": status}, status=True)


async def _empty_cluster(cluster: HttpCluster) -> None:
    left, _ = await cluster.list(WORKFLOWS)

    async def drop(number: int) -> None:
        name = left[number]["metadata"]["name"]
        with contextlib.suppress(ObjectGone):
            await cluster.patch(WORKFLOWS, name, {"metadata": {"finalizers": None}})
        await cluster.delete(WORKFLOWS, name)

    await _run_together(drop, range(len(left)))


async def _measure_engine(box: Box, cluster: HttpCluster, folder: Path, count: int) -> dict[str, Any]:
    port = next(port for port in range(20_000, 30_000) if is_free(port))
    command = [sys.executable, "-m", "c2d_box.operator_engine", "--config", str(_write_config(folder, port))]
    command += ["--kubeconfig", str(box.home.kubeconfig)]
    with (folder / "engine.log").open("wb") as log:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220
        try:
            await _wait_until(lambda: _is_leading(port), "led", 60)
            leading = time.monotonic() - began
            _print_line(f"the engine leads after {leading:.1f} s; it looks at all of them")
            await _wait_until(lambda: _is_quiet(port, count), "came to rest", 120)
            first = _get_json(port, "figures")
            _print_line(f"first pass: {first}")
            await _move_workflows(cluster, count)
            await _wait_until(lambda: _is_settled(port, count), "saw to those that changed", 90)
            await _check_workflows(cluster, count)
            last = _get_json(port, "figures")
            _print_line(f"after the changes: {last}")
            return {
                "workflows": count,
                "engine_pss_mib": round(_pss_mib(process.pid), 1),
                "start_to_leading_seconds": round(leading, 2),
                "first_pass_ms": first["reconcileMs"],
                "reconcile_ms": last["reconcileMs"],
                "plan_ms": last["planMs"],
                "turn_ms": last["waitMs"],
                "reconciles": last["reconciles"],
                "most_reconciles_of_one_job": last["mostOfOneJob"],
                "list_all_seconds": await _time_listing(cluster),
            }
        except AssertionError:
            _print_line((folder / "engine.log").read_text()[-3000:])
            raise
        finally:
            process.terminate()
            process.wait(20)


async def _time_listing(cluster: HttpCluster) -> float:
    """Return the seconds of a list of all workflows, by pages of 500; median of five."""
    seconds = []
    for _ in range(5):
        began = time.monotonic()
        await cluster.list(WORKFLOWS)
        seconds.append(time.monotonic() - began)
    return round(statistics.median(seconds), 3)


def _write_config(folder: Path, port: int) -> Path:
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "environment-key-ocean-compute").write_text("0x" + "1" * 64)
    (folder / "gate").write_bytes(b"not used")
    config = folder / "config.json"
    config.write_text(
        json.dumps(
            {
                "listen": {"host": "127.0.0.1", "port": port},
                "namespace": NAMESPACE,
                "postgres": {"host": "127.0.0.1", "port": 1},
                "environments": [
                    {
                        "id": "ocean-compute",
                        "maxJobs": 0,
                        "consumerAddress": signatures.address_of("0x" + "1" * 64),
                    }
                ],
                "images": {"runtime": f"none@{DIGEST}"},
                "engineUrl": f"http://127.0.0.1:{port}",
                "resultStore": {"kind": "ipfs", "api": "http://127.0.0.1:1", "gateway": "http://127.0.0.1:1"},
                "gatePath": str(folder / "gate"),
                "secretsDir": str(secrets),
            }
        )
    )
    return config


async def _move_workflows(cluster: HttpCluster, count: int) -> None:
    """Stop some of the queued workflows (the even numbers), delete some, and add new ones."""

    async def move(number: int) -> None:
        await cluster.patch(WORKFLOWS, _workflow_name(2 * number), {"spec": {"stop": True}})
        await _add_workflow(cluster, count + number)
        if number % 2:
            await cluster.delete(WORKFLOWS, _workflow_name(2 * (_moved_count(count) + number)))

    await _run_together(move, range(_moved_count(count)), at_once=2)


def _moved_count(count: int) -> int:
    return min(MOVED, count // 8)


async def _is_settled(port: int, count: int) -> bool:
    """Return whether the queue has its expected length and no reconcile is running any more."""
    queued = _get_json(port, "figures").get("queued", {}).get("ocean-compute", 0)
    return queued == count // 2 - _moved_count(count) // 2 and await _is_quiet(port, count)


async def _check_workflows(cluster: HttpCluster, count: int) -> None:
    moved = _moved_count(count)
    bodies, _ = await cluster.list(WORKFLOWS)
    times = {body["metadata"]["name"]: (body.get("status") or {}).get("times", {}) for body in bodies}
    assert all("cleaned" in times[_workflow_name(2 * number)] for number in range(moved)), (
        "a stopped one is left"
    )
    assert len(bodies) == count + moved - moved // 2, f"{len(bodies)} workflows are there"


async def _is_leading(port: int) -> bool:
    return bool(_get_json(port, "healthz").get("leading"))


async def _is_quiet(port: int, count: int) -> bool:
    """Return whether every workflow was reconciled and the count has stood still for a second."""
    before = _get_json(port, "figures")["reconciles"]
    await asyncio.sleep(1.0)
    _print_line(f"{before} reconciles")
    return bool(before >= count and _get_json(port, "figures")["reconciles"] == before)


def _pss_mib(pid: int) -> float:
    """Return the memory (PSS) of a process in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _get_json(port: int, path: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except OSError:
        return {"reconciles": -1}


async def _wait_until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"The engine never {what}: {seconds:.0f} s are over."
        await asyncio.sleep(0.3)


if __name__ == "__main__":
    main()
