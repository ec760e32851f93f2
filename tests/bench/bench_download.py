"""A large file through the Provider: ``python -m tests.bench.bench_download [--mib 1024] [--rounds 5]``.

With ``--record`` the figure is written into the table of claims.

curl straight from the source and through the Provider take turns; the ratio of their medians is the
figure, since megabytes per second differ from machine to machine. Then, apart from that: what other
requests take meanwhile, eight downloads at once, and how much the Provider's memory grew at its peak.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.bench.ordered import OrderBuyer, make_buyers
from tests.bench.source import source_of
from tests.harness.local_stack import LocalStack, world_in
from tests.harness.process_memory import memory_mib, resident_mib
from tests.verification_table import RECORD_HELP, record_figure

AT_ONCE = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", action="store_true", help=RECORD_HELP)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="c2d-bench-download-") as folder:
        path = Path(folder) / "data.csv"
        with path.open("wb") as file:
            for _ in range(options.mib):
                file.write(b"x" * (1 << 20))
        with source_of(path) as url, world_in(Path(folder), url.rpartition("/")[0]) as world:
            found = measure_download(world, url, options.mib << 20, options.rounds)
    print(json.dumps(found, indent=2))
    if options.record:
        record_figure("bench_download", _summary(found))


def _summary(found: dict[str, Any]) -> str:
    through, straight = found["through_mb_per_second"], found["straight_mb_per_second"]
    return (
        f"{found['ratio_of_medians']:.2f} ({through:,} of {straight:,} MB/s, {found['bytes'] >> 20:,} MiB); "
        f"{found['other_requests_meanwhile']['p99_ms']} ms; "
        f"slowest ÷ fastest {found['eight_at_once']['slowest_to_fastest']}; "
        f"{found['peak_memory_growth_mib']} MiB"
    )


def measure_download(world: LocalStack, url: str, size: int, rounds: int) -> dict[str, Any]:
    asset = world.publish(files=[{"type": "url", "url": url, "method": "GET"}], service="access", price=0)
    downloading = make_buyers(world, asset, AT_ONCE)
    provider = world.processes[-1].pid
    before = resident_mib(provider)
    Path(f"/proc/{provider}/clear_refs").write_text("5")  # resets VmHWM, the peak
    straight, through = [], []
    for _ in range(rounds):
        straight.append(time_curl(url, size))
        through.append(time_curl(_download_url(world, downloading[0]), size))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        one = pool.submit(time_curl, _download_url(world, downloading[0]), size)
        others = _answers_while(world, one.done)
        one.result()
        began = time.monotonic()
        each = list(pool.map(lambda buyer: time_curl(_download_url(world, buyer), size), downloading))
        together = time.monotonic() - began
    ratios = [direct / took for direct, took in zip(straight, through, strict=True)]
    return {
        "bytes": size,
        "straight_mb_per_second": round(size / statistics.median(straight) / 1e6),
        "through_mb_per_second": round(size / statistics.median(through) / 1e6),
        "ratio_of_medians": round(statistics.median(straight) / statistics.median(through), 3),
        "ratio_of_each_round": [round(ratio, 3) for ratio in ratios],
        "other_requests_meanwhile": others,
        "eight_at_once": {
            "mb_per_second_in_all": round(AT_ONCE * size / together / 1e6),
            "slowest_to_fastest": round(max(each) / min(each), 2),
        },
        "peak_memory_growth_mib": round(memory_mib(provider, "VmHWM") - before, 1),
    }


def time_curl(url: str, size: int) -> float:
    """Return the seconds that one complete download takes."""
    command = ["curl", "-sS", "--fail", "-o", "/dev/null", "-w", "%{size_download} %{time_total}", url]
    received, took = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(received) == size, received
    return float(took)


def _download_url(world: LocalStack, buyer: OrderBuyer) -> str:
    return f"{world.provider_url}/api/services/download?{buyer.signed_query()}"


def _answers_while(world: LocalStack, over: object) -> dict[str, float]:
    """Return the latencies, in milliseconds, of two plain requests repeated until ``over``."""
    assert callable(over)
    took: list[float] = []
    questions = ("/", f"/api/services/nonce?userAddress={world.account(3).address}")
    with httpx.Client(trust_env=False, base_url=world.provider_url) as client:
        while not over():
            for question in questions:
                began = time.perf_counter()
                assert client.get(question).status_code == 200
                took.append((time.perf_counter() - began) * 1000)
            time.sleep(0.005)
    took.sort()
    return {
        "count": len(took),
        "p50_ms": round(took[len(took) // 2], 1),
        "p99_ms": round(took[int(len(took) * 0.99)], 1),
        "worst_ms": round(took[-1], 1),
    }


if __name__ == "__main__":
    main()
