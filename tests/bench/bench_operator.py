"""What operator-service stands: ``python -m tests.bench.bench_operator [--home HOME] [--requests N]``.

Signed status requests with fresh nonces from eight clients at once, to a running box; the signatures are made
before the clock starts, since the clients share the machine. Prints one JSON object. The original, on a
machine of this kind: 40-47 per second, p95 242 ms, 1,591 MiB.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import statistics
import time
from pathlib import Path
from urllib.parse import urlsplit

from c2d_box.assets.crypto import signatures
from sandbox.box import Box, open_box
from sandbox.install.chart_values import NAMESPACE

CLIENTS = 8
OWNER = "0x00000000000000000000000000000000000000B1"


def main() -> None:
    parser = argparse.ArgumentParser(description="status requests per second")
    parser.add_argument("--home", type=Path, default=None)
    parser.add_argument("--requests", type=int, default=4000)
    options = parser.parse_args()
    box = open_box(options.home)
    key = (box.home.keys_folder / "provider-key").read_text().strip()
    job, owner = _a_job(box)
    asyncio.run(
        _measure_load(box, key, job, owner, 400)
    )  # warm-up: connections, caches and prepared statements
    seconds, latencies = asyncio.run(_measure_load(box, key, job, owner, options.requests))
    figures = {
        "requests": len(latencies),
        "clients": CLIENTS,
        "per_second": round(len(latencies) / seconds, 1),
        "median_ms": round(statistics.median(latencies) * 1e3, 2),
        "p95_ms": round(statistics.quantiles(latencies, n=20)[-1] * 1e3, 2),
        "pss_mib": round(_service_pss(box) / (1 << 20), 1),
    }
    print(json.dumps(figures, indent=2))


def _a_job(box: Box) -> tuple[str, str]:
    """Return any job of the box and its owner, so that the measured request has something to answer."""
    with box.kube_api() as kube:
        found = list(kube.items("/apis/oceanprotocol.com/v1alpha/namespaces/c2d-jobs/workflows"))
    if not found:
        return "0" * 32, OWNER
    return str(found[0]["metadata"]["name"]), str(found[0]["spec"].get("owner") or OWNER)


async def _measure_load(box: Box, key: str, job: str, owner: str, count: int) -> tuple[float, list[float]]:
    requests = [_signed_request(key, job, owner, number) for number in range(count)]
    place = urlsplit(box.service_urls["operator-service"])
    shares = [requests[client::CLIENTS] for client in range(CLIENTS)]
    began = time.perf_counter()
    clients = [_run_client(str(place.hostname), int(place.port or 80), share) for share in shares]
    latencies = [latency for found in await asyncio.gather(*clients) for latency in found]
    return time.perf_counter() - began, latencies


def _signed_request(key: str, job: str, owner: str, number: int) -> bytes:
    target = f"/api/v1/operator/compute?owner={owner}&jobId={job}"
    nonce = str(time.time_ns() + number)
    text = f"GET\n{target}\n{hashlib.sha256(b'').hexdigest()}\n{nonce}"
    lines = (
        f"GET {target} HTTP/1.1",
        "Host: operator-service",
        f"X-C2D-Signature: {signatures.sign_text(key, text)}",
        f"X-C2D-Nonce: {nonce}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _run_client(host: str, port: int, requests: list[bytes]) -> list[float]:
    reader, writer = await asyncio.open_connection(host, port)
    latencies = []
    for request in requests:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        body = await reader.readexactly(length)
        latencies.append(time.perf_counter() - began)
        assert head.startswith(b"HTTP/1.1 200"), body
    writer.close()
    return latencies


def _service_pss(box: Box) -> int:
    """Return the memory (PSS) of all processes of operator-service's pods in bytes, shared pages counted
    once.
    """
    with box.kube_api() as kube:
        selector = {"labelSelector": "app.kubernetes.io/name=operator-service"}
        pods = list(kube.items(f"/api/v1/namespaces/{NAMESPACE}/pods", **selector))
    uids = [str(pod["metadata"]["uid"]) for pod in pods]
    total = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            groups = (folder / "cgroup").read_text()
            if any(uid in groups or uid.replace("-", "_") in groups for uid in uids):
                rollup = (folder / "smaps_rollup").read_text()
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        except OSError:
            continue
    return total << 10


if __name__ == "__main__":
    main()
