"""Figures of the test chain on this machine: ``python -m tests.bench.bench_chain [--record]``.

Prints one JSON object: transactions per second (sequential mints of an ERC-20 token), eth_getLogs over
5,000 blocks, start with the state kept, resident memory, and the time from a block to a waiting reader.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from sandbox.testchain.execution.chain_clock import ChainClock
from sandbox.testchain.json_rpc.callers import HttpRpc, LocalRpc
from sandbox.testchain.local_chain import LocalChain, start
from sandbox.testchain.node import open_node
from sandbox.testchain.settings import ChainNodeSettings
from tests.verification_table import RECORD_HELP, record_figure

MINTS = 300
BLOCKS = 5_000
WAITS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--record", action="store_true", help=RECORD_HELP)
    options = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="c2d-bench-chain-") as folder:
        scratch, data = Path(folder), Path(folder) / "data"
        began = time.monotonic()
        chain = start(scratch, data)
        figures["first_start_seconds"] = time.monotonic() - began
        figures |= _measure_mints(chain)
        figures |= _measure_push(chain)
        chain.stop()
        _fill_chain(data, BLOCKS)
        began = time.monotonic()
        chain = start(scratch, data)
        figures["start_with_state_seconds"] = time.monotonic() - began
        figures["idle_rss_mib"] = _rss_mib(chain)
        figures |= _measure_logs(chain)
        figures["rss_after_reads_mib"] = _rss_mib(chain)
        chain.stop()
        figures["megabytes_on_disk"] = sum(f.stat().st_size for f in data.iterdir()) / 1e6
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=2))
    if options.record:
        record_figure("bench_chain", _summary(figures))


def _summary(figures: dict[str, float]) -> str:
    return (
        f"{figures['mints_per_second']:.0f} mints/s, {figures['get_logs_5000_blocks_all_match_ms']:.0f} ms, "
        f"{figures['start_with_state_seconds']:.1f} s"
    )


def _mint_request(rpc: Any, ocean: str, owner: str) -> dict[str, str]:
    to, amount = rpc.call("eth_accounts")[2][2:], 1
    return {"from": owner, "to": ocean, "data": f"0x40c10f19{to:0>64}{amount:064x}", "gas": hex(200_000)}


def _measure_mints(chain: LocalChain) -> dict[str, float]:
    with HttpRpc(chain.url) as rpc:
        request = _mint_request(rpc, chain.addresses["Ocean"], rpc.call("eth_accounts")[0])
        seconds, cpu = time.monotonic(), _cpu_share(chain)
        for _ in range(MINTS):
            rpc.call("eth_sendTransaction", request)
        seconds, cpu = time.monotonic() - seconds, _cpu_share(chain) - cpu
    return {"mints_per_second": MINTS / seconds, "mints_per_cpu_second": MINTS / cpu}


def _measure_push(chain: LocalChain) -> dict[str, float]:
    """Measure the milliseconds from the answer to evm_mine until a waiting reader has its answer."""
    delays = []
    with HttpRpc(chain.url) as rpc, httpx.Client(base_url=chain.url, trust_env=False, timeout=30) as reader:
        for _ in range(WAITS):
            heard: list[float] = []
            head = int(rpc.call("eth_blockNumber"), 16)
            waiter = threading.Thread(target=_wait_head, args=(reader, head, heard))
            waiter.start()
            time.sleep(0.05)
            rpc.call("evm_mine")
            mined = time.monotonic()
            waiter.join()
            delays.append((heard[0] - mined) * 1000)
    return {"push_delay_ms_median": statistics.median(delays), "push_delay_ms_worst": max(delays)}


def _wait_head(reader: httpx.Client, head: int, heard: list[float]) -> None:
    reader.get("/c2d/head", params={"after": head, "timeout": 20})
    heard.append(time.monotonic())


def _fill_chain(data: Path, blocks: int) -> None:
    """Mint until the chain has ``blocks`` blocks, without HTTP."""
    node = open_node(ChainNodeSettings(data_dir=data), ChainClock())
    rpc = LocalRpc(node)
    ocean = json.loads((data / "address.json").read_text())["development"]["Ocean"]
    request = _mint_request(rpc, ocean, rpc.call("eth_accounts")[0])
    while node.ledger.head.number < blocks:
        rpc.call("eth_sendTransaction", request)
    node.store.close()


def _measure_logs(chain: LocalChain) -> dict[str, float]:
    ocean = chain.addresses["Ocean"]
    template = chain.addresses["ERC721Factory"]
    with HttpRpc(chain.url) as rpc:
        rpc.call("eth_getLogs", {"fromBlock": "0x0", "toBlock": "0x1"})
        everything = {"address": ocean, "fromBlock": "0x0"}
        nothing = {"address": template, "topics": ["0x" + "11" * 32], "fromBlock": "0x0"}
        return {
            "get_logs_5000_blocks_all_match_ms": _median_ms(lambda: rpc.call("eth_getLogs", everything)),
            "get_logs_5000_blocks_no_match_ms": _median_ms(lambda: rpc.call("eth_getLogs", nothing)),
            "eth_call_ms": _median_ms(
                lambda: rpc.call("eth_call", {"to": ocean, "data": "0x18160ddd"}, "latest")
            ),
        }


def _median_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(9):
        began = time.monotonic()
        work()
        times.append((time.monotonic() - began) * 1000)
    return statistics.median(times)


def _rss_mib(chain: LocalChain) -> float:
    status = Path(f"/proc/{chain.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _cpu_share(chain: LocalChain) -> float:
    fields = Path(f"/proc/{chain.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
