"""What may leave and what may not: a table of what an algorithm can leave behind, and the judge's
word on each.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from c2d_box.pods.judge.__main__ import Places, judge
from c2d_box.pods.judge.outputs import Limits, examine_folder
from c2d_box.pods.upload import sending
from c2d_box.workflow.filenames import judge_name

LIMITS = Limits(files=50, bytes=1 << 20, log_bytes=2000)
ALL = {"outputs": True, "logs": True}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    for name in ("outputs", "logs", "adminlogs"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "verdict").mkdir()
    return Places(tmp_path / "data", tmp_path / "verdict")


def _sparse(outputs: Path) -> None:
    with (outputs / "sparse").open("wb") as file:
        file.truncate(1 << 40)


def _device(outputs: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("making a device takes root")
    os.mknod(outputs / "null", 0o20666, os.makedev(1, 3))


def _socket(outputs: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(outputs)
        try:
            made.bind("s")
        finally:
            os.chdir(here)


def _hard_link(outputs: Path) -> None:
    (outputs / "a").write_text("x")
    (outputs / "b").hardlink_to(outputs / "a")


def _deep(outputs: Path) -> None:
    folder = outputs
    for _ in range(40):
        folder = folder / "d"
        folder.mkdir()


def _many(outputs: Path) -> None:
    for number in range(60):
        (outputs / str(number)).touch()


def _named(name: bytes) -> Callable[[Path], None]:
    def make(outputs: Path) -> None:
        Path(os.fsdecode(os.fsencode(outputs) + b"/" + name)).touch()

    return make


ATTACKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "link to the inputs": (lambda o: (o / "x").symlink_to("/data/inputs/secret/0"), "symbolic link"),
    "link to a folder": (lambda o: (o / "x").symlink_to("/"), "symbolic link"),
    "link to nowhere": (lambda o: (o / "x").symlink_to("gone"), "symbolic link"),
    "hard link": (_hard_link, "hard link"),
    "pipe": (lambda o: os.mkfifo(o / "p"), "pipe"),
    "socket": (_socket, "socket"),
    "device": (_device, "device"),
    "sparse terabyte": (_sparse, "too big"),
    "one file too big": (lambda o: (o / "x").write_bytes(b"0" * (1 << 21)), "too big"),
    "many files too big together": (
        lambda o: [(o / str(n)).write_bytes(b"0" * (300 << 10)) for n in range(4)],
        "too big",
    ),
    "too many files": (_many, "holds 61 files and folders: 50 may leave"),
    "too deep": (_deep, "deep"),
    "newline in a name": (_named(b"a\nb"), "hidden"),
    "escape sequence in a name": (_named(b"\x1b[2Jx"), "hidden"),
    "right-to-left override": (_named("invoice\u202efdp.exe".encode()), "hidden"),
    "zero-width blank": (_named("a\u200bb".encode()), "hidden"),
    "not UTF-8": (_named(b"\xff\xfe"), "UTF-8"),
    "joiner in an English word": (_named("pay\u200dpal.csv".encode()), "hidden"),
    "backslash": (_named(b"..\\..\\x"), "backslash"),
    "bad name in a sub-folder": (lambda o: (o / "sub" / "a\rb").mkdir(parents=True), "hidden"),
    "bad file beside the log": (
        lambda o: (o.parent / "logs" / "x").symlink_to("/etc/passwd"),
        "symbolic link",
    ),
}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_one_output_that_may_not_leave_keeps_all_in(places: Places, attack: str) -> None:
    make, reason = ATTACKS[attack]
    (places.data / "outputs" / "innocent.csv").write_text("a,b\n")
    make(places.data / "outputs")
    manifest, report = judge(ALL, LIMITS, places)
    assert [line["type"] for line in manifest["files"]] == ["algorithmLog"]
    assert any(reason in refusal["reason"] for refusal in report["refused"]), report["refused"]
    assert all(refusal["path"].isascii() and refusal["path"].isprintable() for refusal in report["refused"])


def test_outputs_come_first_then_the_algorithms_log_then_ours(places: Places) -> None:
    outputs, logs = places.data / "outputs", places.data / "logs"
    (outputs / "b.csv").write_text("1")
    (outputs / "a").mkdir()
    (outputs / "a" / "z.csv").write_text("2")
    (logs / "extra.txt").write_text("3")
    (logs / "algorithm.log").write_text("log\n")
    (places.data / "adminlogs" / "configure.log").write_text("staged\n")
    manifest, report = judge(ALL, LIMITS, places)
    assert [(line["path"], line["type"]) for line in manifest["files"]] == [
        ("outputs/a/z.csv", "output"),
        ("outputs/b.csv", "output"),
        ("logs/extra.txt", "output"),
        ("logs/algorithm.log", "algorithmLog"),
        ("adminlogs/configure.log", "configrationLog"),
    ]
    assert report["refused"] == []


def test_names_in_any_script_are_fine() -> None:
    for name in ("結果.csv", "résumé.txt", "отчёт", "a b.csv", "100%.txt", "-rf", "~", "x;y&z"):
        assert judge_name(name.encode()) == (name, None)


@pytest.mark.parametrize(
    ("written", "leaves"),
    [
        ("u\u0308bersicht.csv", "\u00fcbersicht.csv"),
        ("x ", "x"),
        ("\u06a9\u062a\u0627\u0628\u200c\u0647\u0627.csv", "\u06a9\u062a\u0627\u0628\u200c\u0647\u0627.csv"),
        ("10\u00a0km.csv", "10\u00a0km.csv"),
        ("family \U0001f469\u200d\U0001f467.png", "family \U0001f469\u200d\U0001f467.png"),
    ],
)
def test_honest_names_are_normalised_and_leave(places: Places, written: str, leaves: str) -> None:
    (places.data / "outputs" / written).write_text("1")
    manifest, report = judge(ALL, LIMITS, places)
    assert report["refused"] == []
    assert manifest["files"][0]["filename"] == leaves
    (entry, _log) = sending.manifest_entries(manifest, places.data, places.verdict)
    assert b"".join(sending.entry_content(entry)) == b"1"


def test_two_names_that_become_one_both_leave(places: Places) -> None:
    for name in ("\u00e9.csv", "e\u0301.csv", "n\u0303/x", "\u00f1/x"):
        (places.data / "outputs" / name).parent.mkdir(exist_ok=True)
        (places.data / "outputs" / name).write_text(name)
    manifest, _ = judge(ALL, LIMITS, places)
    left = sending.manifest_entries(manifest, places.data, places.verdict)[:-1]
    assert sorted(entry.filename for entry in left) == [
        "\u00e9-2.csv",
        "\u00e9.csv",
        "\u00f1/x",
        "\u00f1/x-2",
    ]
    assert len({b"".join(sending.entry_content(entry)) for entry in left}) == 4


def test_exactly_as_many_outputs_as_may_leave_do(places: Places) -> None:
    for number in range(LIMITS.files - 1):
        (places.data / "outputs" / str(number)).touch()
    (places.data / "logs" / "algorithm.log").write_text("log")
    (places.data / "logs" / "beside").touch()
    manifest, report = judge(ALL, LIMITS, places)
    assert (report["refused"], len(manifest["files"])) == ([], LIMITS.files + 1)
    (places.data / "outputs" / "one more").touch()
    _, report = judge(ALL, LIMITS, places)
    (line,) = report["refused"]
    assert line["path"] == "logs"
    assert line["reason"] == "it holds 1 files and folders, after 50 elsewhere: 50 may leave in all"
    (places.data / "outputs" / "two more").touch()
    _, report = judge(ALL, LIMITS, places)
    assert report["refused"][0]["path"] == "outputs"


def test_a_log_leaves_escaped_and_cut(places: Places) -> None:
    (places.data / "logs" / "algorithm.log").write_bytes(b"\x1b[2Jhi\r\n" + b"x" * 5000)
    manifest, _ = judge(ALL, LIMITS, places)
    copy = places.verdict / "logs" / "logs" / "algorithm.log"
    text = copy.read_bytes()
    assert text.startswith(b"\\x1b[2Jhi\n")
    assert b"cut off" in text
    assert len(text) < 2100
    assert manifest["files"][-1]["size"] == len(text)


@pytest.mark.parametrize("make", ["link", "pipe", "nothing", "folder"])
def test_whatever_is_in_place_of_the_log_its_index_is_there(places: Places, make: str) -> None:
    log = places.data / "logs" / "algorithm.log"
    if make == "link":
        log.symlink_to("/etc/passwd")
    elif make == "pipe":
        os.mkfifo(log)
    elif make == "folder":
        log.mkdir()
    manifest, _ = judge(ALL, LIMITS, places)
    assert [(line["type"], line["size"]) for line in manifest["files"]] == [("algorithmLog", 0)]


def test_where_the_algorithm_never_ran_nothing_of_it_is_read(places: Places) -> None:
    (places.data / "outputs" / "x").write_text("planted")
    (places.data / "adminlogs" / "configure.log").write_text("failed\n")
    manifest, report = judge({"outputs": False, "logs": False}, LIMITS, places)
    assert [line["type"] for line in manifest["files"]] == ["configrationLog"]
    assert report["exited"] is None


def test_a_file_that_grows_while_it_is_judged_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"0" * 1000)
    real = os.readv

    def growing(handle: int, buffers: Any) -> int:
        count = real(handle, buffers)
        with file.open("ab") as more:
            more.write(b"1" * 100)
        return count

    monkeypatch.setattr(os, "readv", growing)
    verdict = examine_folder(tmp_path, LIMITS)
    assert verdict.accepted == []
    assert "changed" in verdict.refused[0].reason


@pytest.mark.parametrize(
    ("full", "failed", "leaves"),
    [(True, True, False), (True, False, True), (False, True, True), (False, False, True)],
)
def test_what_filled_the_volume_and_failed_leaves_its_log_alone(
    places: Places, monkeypatch: pytest.MonkeyPatch, full: bool, failed: bool, leaves: bool
) -> None:
    """Its outputs are what the volume had room for; one that ended well on a full volume is a result."""
    (places.data / "outputs" / "x").write_bytes(bytes(1000))
    (places.data / "logs" / "algorithm.log").write_text("No space left on device\n")
    monkeypatch.setattr("c2d_box.pods.judge.__main__._full", lambda folder: full)
    manifest, report = judge({**ALL, "failed": failed}, LIMITS, places)
    assert [entry["filename"] for entry in manifest["files"]] == ["x"] * leaves + ["algorithm.log"]
    assert report["full"] is full and report["refused"] == []


def test_a_log_leaves_with_its_time_where_outputs_do_not(places: Places) -> None:
    (places.data / "outputs" / "x").write_bytes(bytes(1000))
    (places.data / "logs" / "algorithm.log").write_text("killed\n")
    manifest, report = judge({"outputs": False, "logs": True}, LIMITS, places)
    assert [entry["filename"] for entry in manifest["files"]] == ["algorithm.log"]
    assert report["exited"] is not None
