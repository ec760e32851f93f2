"""The leak meter: an algorithm that is told a secret of 4 KiB tries each channel out of its job, through the
real judge, its report, the engine's rules and the wire, and what an observer reads back is counted in bits.

The table of docs/disclosure.md is what this counts: ``python -m tests.unit.pods.test_leak_meter`` prints it.
"""

from __future__ import annotations

import base64
import hashlib
import math
import os
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from c2d_box import timestamps
from c2d_box.pods.upload.sending import entry_content
from c2d_box.workflow import ocean_status
from tests.harness.result_path import IPFS, NOW, ReportingJob

SECRET = random.Random(4).randbytes(4096)
BITS = "".join(f"{byte:08b}" for byte in SECRET)
DOCS = Path(__file__).parents[3] / "docs" / "disclosure.md"
SOME = {"types": ["csv"], "maxFiles": 3, "maxBytes": 4096, "maxRows": 10, "minCell": 10}
STRICT = {
    "types": ["csv"],
    "names": ["result.csv"],
    "maxFiles": 1,
    "maxBytes": 200,
    "maxRows": 5,
    "minCell": 10,
}
RULES: dict[str, Any] = {"without rules": None, "some rules": SOME, "strict rules": STRICT}


@dataclass
class Seen:
    """What the job's owner can get, and what anybody can: the whole world of an observer."""

    files: dict[str, bytes]
    status: dict[str, Any]
    record: dict[str, Any]
    public: dict[str, Any]

    @property
    def status_refused(self) -> list[dict[str, Any]]:
        """From the evidence record, which the owner gets; the status has the same."""
        (outputs,) = [entry["facts"] for entry in self.record["entries"] if entry["kind"] == "outputs"]
        return list(outputs["refused"])


@dataclass
class Secretive:
    """The hostile algorithm's side: its folders, its end, and the rules that it knows of."""

    job: ReportingJob
    rules: Any

    @property
    def outputs(self) -> Path:
        return self.job.places.data / "outputs"

    @property
    def log(self) -> Path:
        return self.job.places.data / "logs" / "algorithm.log"

    def most(self, rule: str, otherwise: int) -> int:
        return int((self.rules or {}).get(rule, otherwise))


def number(bits: str) -> int:
    return int(bits, 2)


def text_of(bits: str) -> str:
    """Six bits a character, of characters that every name may have."""
    raw = int(bits.ljust(-(-len(bits) // 24) * 24, "0"), 2).to_bytes(-(-len(bits) // 24) * 3)
    return base64.b64encode(raw, b"_-").decode()


def bits_of(text: str) -> str:
    return "".join(f"{byte:08b}" for byte in base64.b64decode(text + "=" * (-len(text) % 4), b"_-"))


# -- the channels: each writes, and gives back how the observer reads


def by_log(algorithm: Secretive) -> Callable[[Seen], str]:
    algorithm.log.write_text(text_of(BITS))
    return lambda seen: bits_of(seen.files["algorithm.log"].decode().strip())


def by_names(algorithm: Secretive) -> Callable[[Seen], str]:
    """Paths as long as may be. The order is that of the names, so each begins with its place."""
    ruled = algorithm.rules is not None
    files = algorithm.most("maxFiles", 60)
    size, part = (1024 // files, 60) if ruled else (1000, 100)
    left = text_of(BITS)
    for place in range(files):
        end = ".csv" if ruled else ""
        room = size - len(end) - 2 - size // part
        mine, left = left[:room], left[room:]
        parts = [mine[at : at + part] for at in range(0, len(mine), part)]
        path = algorithm.outputs / f"{place:02}{'/'.join(parts)}{end}"
        if mine:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"count\n" if ruled else b"")

    def read(seen: Seen) -> str:
        names = sorted(name for name in seen.files if name[:2].isdecimal())
        joined = "".join(name[2:].removesuffix(".csv").replace("/", "") for name in names)
        return bits_of(joined[: len(joined) // 4 * 4])

    return read


def by_number_of_files(algorithm: Secretive) -> Callable[[Seen], str]:
    """The owner counts; anybody can, too: clients need to know how many results there are."""
    width = int(math.log2(algorithm.most("maxFiles", 1999) + 1))
    for n in range(number(BITS[:width])):
        name = f"{n}.csv" if algorithm.most("maxFiles", 9) > 1 else "result.csv"
        (algorithm.outputs / name).write_bytes(b"count\n")
    return lambda seen: f"{sum(e['type'] == 'output' for e in seen.public['results']):0{width}b}"


def by_contents(algorithm: Secretive) -> Callable[[Seen], str]:
    """A table that says of each row that it is about 99 individuals."""
    if algorithm.rules is None:
        (algorithm.outputs / "result.bin").write_bytes(SECRET)
        return lambda seen: "".join(f"{byte:08b}" for byte in seen.files["result.bin"])
    left, lines, room = text_of(BITS), ["count,v"], algorithm.most("maxBytes", 0) - len("count,v\n")
    for _ in range(algorithm.most("maxRows", 0)):
        size = min(1000, room - len("99,\n"))
        if size < 1:
            break
        lines.append(f"99,{left[:size]}")
        left, room = left[size:], room - size - len("99,\n")
    (algorithm.outputs / "result.csv").write_text("\n".join(lines) + "\n")

    def read(seen: Seen) -> str:
        cells = [line.split(",")[1] for line in seen.files["result.csv"].decode().splitlines()[1:]]
        joined = "".join(cells)
        return bits_of(joined[: len(joined) // 4 * 4])

    return read


def by_times_of_files(algorithm: Secretive) -> Callable[[Seen], str]:
    (algorithm.outputs / "result.csv").write_bytes(b"count\n")
    os.utime(algorithm.outputs / "result.csv", (NOW, NOW + number(BITS[:20])))
    return lambda seen: ""  # no time of a file is in what is stored or told


def by_names_of_refused_files(algorithm: Secretive) -> Callable[[Seen], str]:
    """Without rules names are told; with them eight digits of a hash, so names with the right hash are
    looked for. Here 16 bits each; who computes longer gets up to 32.
    """
    if algorithm.rules is None:
        left = text_of(BITS)
        for n in range(50):
            (algorithm.outputs / f"{n:02}{left[:200]}").symlink_to("x")
            left = left[200:]
        return lambda seen: bits_of(
            "".join(_told(seen.status_refused, n) for n in range(28))[: 5600 // 4 * 4]
        )
    for n in range(5):
        wanted = f"{number(BITS[16 * n : 16 * n + 16]):04x}"
        found = next(
            name
            for name in (f"{n}{tried}" for tried in count())
            if hashlib.sha256(f"outputs/{name}".encode()).hexdigest().startswith(wanted)
        )
        (algorithm.outputs / found).symlink_to("x")
    return lambda seen: "".join(
        f"{int(entry['path'].partition('begins ')[2][:4], 16):016b}" for entry in seen.status_refused
    )


def _told(refused: list[dict[str, Any]], n: int) -> str:
    return str(refused[n]["path"]).removeprefix("outputs/")[2:]


def by_reasons(algorithm: Secretive) -> Callable[[Seen], str]:
    """Which kind of refusal each file earns: one of four, as far as they are listed."""
    kinds: list[Callable[[Path], Any]] = [
        lambda path: path.symlink_to("x"),
        os.mkfifo,
        lambda path: path.with_name(path.name + "\u200b").touch(),
        lambda path: path.with_name(path.name + "\\").touch(),
    ]
    words = ["a symbolic link", "a pipe", "its name has hidden characters", "its name has a backslash"]
    for n in range(50):
        kinds[number(BITS[2 * n : 2 * n + 2])](algorithm.outputs / f"{n:02}")
    return lambda seen: "".join(f"{words.index(e['reason']):02b}" for e in seen.status_refused)


def by_number_of_refused(algorithm: Secretive) -> Callable[[Seen], str]:
    for n in range(number(BITS[:10])):
        (algorithm.outputs / f"{n}").symlink_to("x")
    return lambda seen: f"{int(seen.status['reason'].split()[0]):010b}"


def by_exit_code(algorithm: Secretive) -> Callable[[Seen], str]:
    _ends_with(algorithm, number(BITS[:7]))
    return lambda seen: f"{seen.status['exitCode']:07b}"


def by_exit_code_in_public(algorithm: Secretive) -> Callable[[Seen], str]:
    """Whether it failed is public, its code is not."""
    _ends_with(algorithm, number(BITS[:1]))
    return lambda seen: str(int(seen.public["status"] != 70))


def _ends_with(algorithm: Secretive, code: int) -> None:
    algorithm.job.body["status"] |= {
        "algorithm": {"exitCode": code},
        "outcome": {"code": 75 if code else 70, "reason": ""},
    }


def by_time_of_its_end(algorithm: Secretive) -> Callable[[Seen], str]:
    """The last change of the log, to the microsecond: within a second, 19 bits."""
    times = algorithm.job.body["status"]["times"]
    times["ended"] = timestamps.rfc3339_text(NOW + 3)
    algorithm.job.body["status"]["algorithm"] = {"exitCode": 0}
    moment = NOW + 2 + number(BITS[:19]) / 1e6
    os.utime(algorithm.log, ns=(0, round(moment * 1e9)))

    def read(seen: Seen) -> str:
        exited = seen.status["times"].get("exited")
        return "" if exited is None else f"{round((float(exited) - NOW - 2) * 1e6):019b}"

    return read


def by_run_time(algorithm: Secretive) -> Callable[[Seen], str]:
    """Whole seconds of an hour, read by anybody from the end of the job."""
    algorithm.job.now = NOW + 1000 + number(BITS[:11])
    return lambda seen: f"{round(float(seen.public['dateFinished']) - NOW - 1000):011b}"


def by_public_names(algorithm: Secretive) -> Callable[[Seen], str]:
    (algorithm.outputs / text_of(BITS[:240])).write_bytes(b"x")
    return lambda seen: bits_of(str(seen.public["results"][0]["filename"]))


def by_public_sizes(algorithm: Secretive) -> Callable[[Seen], str]:
    (algorithm.outputs / "result.csv").write_bytes(b"x" * number(BITS[:16]))
    return lambda seen: f"{seen.public['results'][0]['filesize']:016b}"


CHANNELS: list[tuple[str, str, Callable[[Secretive], Callable[[Seen], str]]]] = [
    ("the algorithm's log", "owner", by_log),
    ("contents of files", "owner", by_contents),
    ("names of files", "owner", by_names),
    ("times of files", "owner", by_times_of_files),
    ("names of refused files, in status and evidence", "owner", by_names_of_refused_files),
    ("reasons of refusals", "owner", by_reasons),
    ("number of refused files", "owner", by_number_of_refused),
    ("exit code", "owner", by_exit_code),
    ("moment of the algorithm's end", "owner", by_time_of_its_end),
    ("number of files", "anybody", by_number_of_files),
    ("names of files", "anybody", by_public_names),
    ("sizes of files", "anybody", by_public_sizes),
    ("failed or not", "anybody", by_exit_code_in_public),
    ("run time of up to 2,048 s", "anybody", by_run_time),
]


def measured(channel: Callable[[Secretive], Callable[[Seen], str]], rules: Any) -> int:
    """Bits that the observer gets right, from the first on."""
    with tempfile.TemporaryDirectory() as folder:
        job = ReportingJob(Path(folder))
        read = channel(Secretive(job, rules))
        sent = job.send_results(IPFS, rules)
        status = ocean_status.owner_status(job.workflow)
        seen = Seen(
            {entry.filename: b"".join(entry_content(entry)) for entry in sent},
            status,
            job.record,
            ocean_status.public_status(status),
        )
        try:
            found = read(seen)
        except (KeyError, ValueError, IndexError):
            return 0
    right = next((n for n, pair in enumerate(zip(found, BITS, strict=False)) if len(set(pair)) > 1), None)
    return min(len(found), len(BITS)) if right is None else (right if right > 16 else 0)


def table() -> str:
    """As it stands in the documentation."""
    lines = ["| channel | who reads it | " + " | ".join(RULES) + " |", "|---|---|" + "---|" * len(RULES)]
    for name, reader, channel in CHANNELS:
        bits = [f"{measured(channel, rules):,}" for rules in RULES.values()]
        lines.append(f"| {name} | {reader} | {' | '.join(bits)} |")
    return "\n".join(lines)


def test_the_table_of_the_documentation_is_what_is_measured() -> None:
    assert table() in DOCS.read_text()


@pytest.mark.parametrize(("name", "reader", "channel"), CHANNELS, ids=[f"{n}, {r}" for n, r, _ in CHANNELS])
def test_rules_open_no_channel(name: str, reader: str, channel: Any) -> None:
    found = [measured(channel, rules) for rules in RULES.values()]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0 or name in ("times of files", "names of files", "sizes of files")


def test_the_whole_secret_never_leaves_under_strict_rules() -> None:
    """All channels together."""
    assert sum(measured(channel, STRICT) for _, _, channel in CHANNELS) < len(BITS) / 16


if __name__ == "__main__":
    print(table())
