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
from c2d_box.assets import signatures
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
    options = _options()
    box = open_box(options.home)
    try:
        print(json.dumps(asyncio.run(_unless_ended(measure(box, options.workflows))), indent=2))
    finally:
        with box.kube() as kube:
            kube.delete(f"/api/v1/namespaces/{NAMESPACE}")


async def _opened(box: Box) -> bool:
    """Create the namespace; return False while the one of an earlier run is still being deleted."""
    with box.kube() as kube:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        there = kube.apply(f"/api/v1/namespaces/{NAMESPACE}", body)
        return "deletionTimestamp" not in there["metadata"]


async def _unless_ended(work: Coroutine[Any, Any, T]) -> T:
    """Cancel ``work`` on SIGTERM, so that its clean-up runs as it does on Ctrl-C."""
    task = asyncio.create_task(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


async def measure(box: Box, count: int) -> dict[str, Any]:
    cluster = HttpCluster(from_kubeconfig(box.home.kubeconfig), NAMESPACE)
    _say("taking away what a run that was broken off has left")
    await _empty(cluster)
    await _until(lambda: _opened(box), "had its namespace", 60)
    began = time.monotonic()
    try:
        _say(f"writing {count} workflows")
        await _together(lambda number: _add(cluster, number), range(count))
        _say(f"finishing half of them ({time.monotonic() - began:.0f} s)")
        await _together(lambda number: _finish(cluster, number), range(1, count, 2))
        filling = time.monotonic() - began
        with tempfile.TemporaryDirectory(prefix="c2d-bench-") as folder:
            figures = await _engine(box, cluster, Path(folder), count)
        return {**figures, "filling_seconds": round(filling, 1), "load": os.getloadavg()[0]}
    finally:
        _say("taking all of them away")
        await _empty(cluster)
        await cluster.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, default=None, help="the home of a running box")
    parser.add_argument("--workflows", type=int, default=2000)
    return parser.parse_args()


def _say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


async def _together(
    work: Callable[[int], Awaitable[object]], numbers: Iterable[int], at_once: int = 8
) -> None:
    turn = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with turn:
            await work(number)

    await asyncio.gather(*(one(number) for number in numbers))


def _name(number: int) -> str:
    return f"scale-{number:05d}"


async def _add(cluster: HttpCluster, number: int) -> None:
    owner, code = f"0xowner{number % 20}", "print('x')\n" * 20
    await cluster.create(WORKFLOWS, handwritten.body(_name(number), owner, code, SECTION, NAMESPACE))


async def _finish(cluster: HttpCluster, number: int) -> None:
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
    await cluster.patch(WORKFLOWS, _name(number), {"status": status}, status=True)


async def _empty(cluster: HttpCluster) -> None:
    left, _ = await cluster.list(WORKFLOWS)

    async def drop(number: int) -> None:
        name = left[number]["metadata"]["name"]
        with contextlib.suppress(ObjectGone):
            await cluster.patch(WORKFLOWS, name, {"metadata": {"finalizers": None}})
        await cluster.delete(WORKFLOWS, name)

    await _together(drop, range(len(left)))


async def _engine(box: Box, cluster: HttpCluster, folder: Path, count: int) -> dict[str, Any]:
    port = next(port for port in range(20_000, 30_000) if is_free(port))
    command = [sys.executable, "-m", "c2d_box.operator_engine", "--config", str(_config(folder, port))]
    command += ["--kubeconfig", str(box.home.kubeconfig)]
    with (folder / "engine.log").open("wb") as log:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220
        try:
            await _until(lambda: _leads(port), "led", 60)
            leading = time.monotonic() - began
            _say(f"the engine leads after {leading:.1f} s; it looks at all of them")
            await _until(lambda: _quiet(port, count), "came to rest", 120)
            first = _get(port, "figures")
            _say(f"first pass: {first}")
            await _move(cluster, count)
            await _until(lambda: _settled(port, count), "saw to those that changed", 90)
            await _check(cluster, count)
            last = _get(port, "figures")
            _say(f"after the changes: {last}")
            return {
                "workflows": count,
                "engine_pss_mib": round(_pss(process.pid), 1),
                "start_to_leading_seconds": round(leading, 2),
                "first_pass_ms": first["reconcileMs"],
                "reconcile_ms": last["reconcileMs"],
                "plan_ms": last["planMs"],
                "turn_ms": last["waitMs"],
                "reconciles": last["reconciles"],
                "most_reconciles_of_one_job": last["mostOfOneJob"],
                "list_all_seconds": await _listing(cluster),
            }
        except AssertionError:
            _say((folder / "engine.log").read_text()[-3000:])
            raise
        finally:
            process.terminate()
            process.wait(20)


async def _listing(cluster: HttpCluster) -> float:
    """Return the seconds of a list of all workflows, by pages of 500; median of five."""
    seconds = []
    for _ in range(5):
        began = time.monotonic()
        await cluster.list(WORKFLOWS)
        seconds.append(time.monotonic() - began)
    return round(statistics.median(seconds), 3)


def _config(folder: Path, port: int) -> Path:
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


async def _move(cluster: HttpCluster, count: int) -> None:
    """Stop some of the queued workflows (the even numbers), delete some, and add new ones."""

    async def move(number: int) -> None:
        await cluster.patch(WORKFLOWS, _name(2 * number), {"spec": {"stop": True}})
        await _add(cluster, count + number)
        if number % 2:
            await cluster.delete(WORKFLOWS, _name(2 * (_moved(count) + number)))

    await _together(move, range(_moved(count)), at_once=2)


def _moved(count: int) -> int:
    return min(MOVED, count // 8)


async def _settled(port: int, count: int) -> bool:
    """Return whether the queue has its expected length and no reconcile is running any more."""
    queued = _get(port, "figures").get("queued", {}).get("ocean-compute", 0)
    return queued == count // 2 - _moved(count) // 2 and await _quiet(port, count)


async def _check(cluster: HttpCluster, count: int) -> None:
    moved = _moved(count)
    bodies, _ = await cluster.list(WORKFLOWS)
    times = {body["metadata"]["name"]: (body.get("status") or {}).get("times", {}) for body in bodies}
    assert all("cleaned" in times[_name(2 * number)] for number in range(moved)), "a stopped one is left"
    assert len(bodies) == count + moved - moved // 2, f"{len(bodies)} workflows are there"


async def _leads(port: int) -> bool:
    return bool(_get(port, "healthz").get("leading"))


async def _quiet(port: int, count: int) -> bool:
    """Return whether every workflow was reconciled and the count has stood still for a second."""
    before = _get(port, "figures")["reconciles"]
    await asyncio.sleep(1.0)
    _say(f"{before} reconciles")
    return bool(before >= count and _get(port, "figures")["reconciles"] == before)


def _pss(pid: int) -> float:
    """Return the memory (PSS) of a process in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _get(port: int, path: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except OSError:
        return {"reconciles": -1}


async def _until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"The engine never {what}: {seconds:.0f} s are over."
        await asyncio.sleep(0.3)


if __name__ == "__main__":
    main()
