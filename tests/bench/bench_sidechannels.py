"""What two jobs of one node can tell each other: ``python -m tests.bench.bench_sidechannels [--home HOME]``.

One job sends random bits by doing something or nothing in each slot of time; another one, without data, looks
at a number of the node. Half of the bits train the threshold, the other half measure it: bits a second =
(1 - H(errors)) / slot. Prints one JSON list; docs/sidechannels.md holds what was last seen.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.attacks.workflows import AttackJobs
from sandbox.box import Box, open_box
from sandbox.install.chart_values import ENVIRONMENT, JOBS
from sandbox.install.images import find_image
from sandbox.verbs.lifecycle.selftest import result_reader

BITS = 64
LEAD_SECONDS = 20.0
"""Seconds from the orders to the first slot: both jobs must run by then."""

_GIVEN = 'import json, os, time\ngiven = json.load(open("/data/inputs/algoCustomData.json"))\n'
SENDER = (
    _GIVEN
    + """
import ctypes, mmap
slot, start, bits = given["slot"], given["start"], given["bits"]
exec(given["prepare"])
while time.time() < start - 0.2:
    time.sleep(0.01)
for number, bit in enumerate(bits):
    begins = start + number * slot
    while time.time() < begins:
        pass
    if bit == "1":
        exec(given["act"])
    else:
        exec(given["rest"])
"""
)
RECEIVER = (
    _GIVEN
    + """
slot, start, count = given["slot"], given["start"], given["count"]
exec(given["prepare"])
while time.time() < start:
    time.sleep(0.001)
seen = []
for number in range(count):
    inside = []
    for part in (0.3, 0.5, 0.7, 0.95):
        until = start + (number + part) * slot
        while time.time() < until:
            time.sleep(0.001)
        try:
            inside.append(float(eval(given["look"])))
        except OSError as problem:
            inside.append(None)
    seen.append(inside)
json.dump(seen, open("/data/outputs/seen.json", "w"))
"""
)


@dataclass(frozen=True)
class SideChannel:
    """One side channel as code for both jobs: the sender runs ``prepare``, then ``act`` for a 1 and ``rest``
    for a 0; the watcher runs ``receiver``, then evaluates ``look`` several times per ``slot`` (seconds).
    """

    name: str
    slot: float
    look: str
    act: str
    rest: str = "pass"
    prepare: str = ""
    receiver: str = ""
    counter: bool = False
    """True if the number only grows, so that its growth within a slot counts."""


_BURN = "while time.time() < begins + slot * 0.9: sum(range(2000))"
_SYNC = "os.fsync(f.fileno())"
_WRITE = f"f.seek(0); f.write(block); f.flush(); {_SYNC}"
_CUT = f"f.truncate(0); {_SYNC}"
_BLOCK = "f = open('/data/outputs/x', 'wb'); block = os.urandom(16 << 20)"
_SHARED_FILE = """
held = open('/proc/self/maps').read()
found = [os.path.join(root, name) for root, _, files in os.walk('/usr/lib') for name in files]
found = [path for path in found if os.path.isfile(path) and not os.path.islink(path) and path not in held]
g = os.open(max(sorted(found), key=os.path.getsize), os.O_RDONLY)
"""
_CACHED = (
    _SHARED_FILE
    + """
def cached():
    try:
        os.preadv(g, [bytearray(4096)], 4096, os.RWF_NOWAIT)
        return 1
    except BlockingIOError:
        return 0
"""
)
_SPEED = """
def speed():
    began, n = time.perf_counter(), 0
    while time.perf_counter() < began + slot * 0.1:
        n += 1
    return n
"""
_FREE_BLOCKS = """
import glob
def blocks():
    total = 0
    for path in glob.glob('/proc/fs/ext4/loop*/mb_groups'):
        for line in open(path):
            name, _, rest = line.partition(':')
            if name.strip('# ').isdigit():
                total += int(rest.split()[0])
    return total
"""
_SECTORS = """
def sectors():
    found = sum(int(line.split()[9]) for line in open('/proc/diskstats'))
    for name in os.listdir('/sys/block'):
        found += int(open(f'/sys/block/{name}/stat').read().split()[6])
    return found
"""
CHANNELS = (
    SideChannel(
        "free space of the node's disk, by the job's own disk",
        0.5,
        "os.statvfs('/').f_bavail",
        _WRITE,
        _CUT,
        _BLOCK,
    ),
    SideChannel(
        "free space of the node's disk, by the container's output",
        0.5,
        "os.statvfs('/').f_bavail",
        "os.write(1, (b'x' * 99 + b'\\n') * 1000)",
        counter=True,
    ),
    SideChannel(
        "free memory of the node (/proc/meminfo)",
        0.2,
        "int(next(l for l in open('/proc/meminfo') if l.startswith('MemFree')).split()[1])",
        "held = bytearray(os.urandom(1)) * (200 << 20)",
        "held = None",
    ),
    SideChannel(
        "processor time of the node (/proc/stat)",
        0.3,
        "sum(map(int, open('/proc/stat').readline().split()[1:4]))",
        _BURN,
        counter=True,
    ),
    SideChannel("one's own speed beside another job", 0.3, "speed()", _BURN, receiver=_SPEED),
    SideChannel(
        "pages of the image in memory (RWF_NOWAIT)",
        0.3,
        "cached()",
        "os.pread(g, 4096, 4096)",
        "os.posix_fadvise(g, 0, 0, os.POSIX_FADV_DONTNEED)",
        _SHARED_FILE,
        _CACHED,
    ),
    SideChannel(
        "free blocks of another job's disk (/proc/fs/ext4)",
        0.5,
        "blocks()",
        _WRITE,
        _CUT,
        _BLOCK,
        _FREE_BLOCKS,
    ),
    SideChannel(
        "locks of open files (/proc/locks)",
        0.04,
        "sum('OFDLCK' in line for line in open('/proc/locks'))",
        "fcntl.fcntl(f, 37, held)",
        "fcntl.fcntl(f, 37, freed)",
        "import fcntl, struct; f = open('/tmp/x', 'wb'); "
        "held, freed = (struct.pack('hhqqixxxx', kind, 0, 0, 0, 0) for kind in (1, 2))",
    ),
    SideChannel(
        "waiting for the disk (/proc/pressure/io)",
        0.5,
        "int(open('/proc/pressure/io').readline().rsplit('=', 1)[1])",
        _WRITE,
        prepare=_BLOCK,
        counter=True,
    ),
    SideChannel(
        "counters of the disks (/proc/diskstats, /sys/block)",
        0.5,
        "sectors()",
        _WRITE,
        prepare=_BLOCK,
        receiver=_SECTORS,
        counter=True,
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path)
    parser.add_argument("--only", default="", help="channels whose name holds this text")
    options = parser.parse_args()
    box = open_box(options.home)
    found = [measure_channel(box, channel) for channel in CHANNELS if options.only in channel.name]
    print(json.dumps(found, indent=2))


def measure_channel(box: Box, channel: SideChannel) -> dict[str, Any]:
    with box.kube_api() as kube:
        jobs = AttackJobs(kube, JOBS, ENVIRONMENT, find_image(box, "algo-python"))
        bits = "".join(random.Random(7).choices("01", k=BITS))
        start = time.time() + LEAD_SECONDS
        common = {"slot": channel.slot, "start": start, "count": BITS}
        sent = {**common, "bits": bits, "act": channel.act, "rest": channel.rest, "prepare": channel.prepare}
        sender = jobs.start_job(SENDER, sent)
        watcher = jobs.start_job(RECEIVER, {**common, "look": channel.look, "prepare": channel.receiver})
        try:
            status = _await_end(jobs, watcher, LEAD_SECONDS + BITS * channel.slot + 120)
            _await_end(jobs, sender, 120)
            results = [entry for entry in status.get("results", []) if entry["filename"] == "seen.json"]
            seen = json.loads(result_reader(box)(results[0])) if results else None
        finally:
            jobs.delete_jobs()
    rate = channel_capacity(seen, bits, channel) if seen else 0.0
    return {
        "channel": channel.name,
        "slot_seconds": channel.slot,
        "bits_per_second": round(rate, 2),
        **({} if seen else {"why": str(status.get("reason"))}),
    }


def _await_end(jobs: AttackJobs, job: str, patience: float) -> dict[str, Any]:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        status = dict(jobs.job_statuses().get(job, {}))
        if "finished" in status.get("times", {}):
            return status
        time.sleep(0.5)
    return {"reason": "it did not end"}


def channel_capacity(seen: list[list[float | None]], bits: str, channel: SideChannel) -> float:
    """Return the bits a second of the reading that tells the first half of the bits best, measured on the
    other half.
    """
    half = len(bits) // 2
    readings = [
        [sign * value for value in series]
        for series in _counter_readings(seen, channel.counter)
        for sign in (1, -1)
    ]
    limits = [_best_threshold(series[:half], bits[:half]) for series in readings]
    known = [
        _count_errors(series[:half], limit, bits[:half])
        for series, limit in zip(readings, limits, strict=True)
    ]
    best = known.index(min(known))
    errors = _count_errors(readings[best][half:], limits[best], bits[half:])
    return (1 - _binary_entropy(errors)) / channel.slot if errors < 0.5 else 0.0


def _count_errors(series: list[float], limit: float, bits: str) -> float:
    wrong = sum((value > limit) != (bit == "1") for value, bit in zip(series, bits, strict=True))
    return wrong / len(bits)


def _counter_readings(seen: list[list[float | None]], counter: bool) -> list[list[float]]:
    plain = [[float(slot[at] or 0) for slot in seen] for at in range(4)]
    grown = [[slot[at] - slot[0] for slot in zip(*plain, strict=True)] for at in (1, 2, 3)]
    steps = [[b - a for a, b in zip([one[0], *one], one, strict=False)] for one in plain]
    return grown + steps if counter else plain + steps + grown


def _best_threshold(series: list[float], bits: str) -> float:
    """Return the threshold that tells the known bits apart best."""
    return min(sorted(set(series)), key=lambda limit: _count_errors(series, limit, bits))


def _binary_entropy(error: float) -> float:
    if error in (0.0, 1.0):
        return 0.0
    return -error * math.log2(error) - (1 - error) * math.log2(1 - error)


if __name__ == "__main__":
    main()
