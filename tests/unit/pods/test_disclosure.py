"""Publishers' rules on results: what they refuse, that what cannot be checked is refused too, and that
nothing of the algorithm's choice leaves beside what they allow.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from c2d_box import limits as agreed
from c2d_box.assets.disclosure import (
    DisclosureRules,
    InvalidRules,
    as_section,
    distinct_sets,
    parse_set,
    parse_sets,
)
from c2d_box.pods.judge import disclosure, pictures
from c2d_box.pods.judge.__main__ import Places, judge
from c2d_box.pods.judge.disclosure import disclosure_verdict
from c2d_box.pods.judge.jsonwalk import NotJson, walk_json
from c2d_box.pods.judge.outputs import Limits
from c2d_box.pods.judge.tables import Unfit

LIMITS = Limits(files=50, bytes=1 << 20, log_bytes=2000)
MANDATE = {"outputs": True, "logs": True}
SECRET = "row 1: the secret"


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    width: int = 3, height: int = 2, *, added: bytes = b"", interlaced: int = 0, extra: bytes = b""
) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced)
    rows = (b"\0" + bytes(3 * width)) * height
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + (chunk(b"tEXt", added) if added else b"")
        + chunk(b"IDAT", zlib.compress(rows + extra))
        + chunk(b"IEND", b"")
    )


def jpeg(*, tail: bytes = b"", comment: bytes = b"made by a test") -> bytes:
    def part(mark: int, content: bytes) -> bytes:
        return bytes((0xFF, mark)) + struct.pack(">H", len(content) + 2) + content

    return (
        b"\xff\xd8"
        + part(0xE0, b"JFIF\0" + bytes(9))
        + part(0xFE, comment)
        + part(0xDB, bytes(65))
        + part(0xC0, bytes((8, 0, 8, 0, 8, 1, 1, 0x11, 0)))
        + part(0xC4, bytes(20))
        + part(0xDA, bytes((1, 1, 0, 0, 63, 0)))
        + b"scan\xff\x00 scan\xff\xd0scan"
        + b"\xff\xd9"
        + tail
    )


def segment(kind: int, size: int) -> bytes:
    """Of a JPEG: that much text where a table, a frame or a scan's head should be."""
    return bytes((0xFF, kind)) + (size + 2).to_bytes(2) + (SECRET.encode() * size)[:size]


def gif(tail: bytes = b"") -> bytes:
    head = b"GIF89a" + struct.pack("<HHB2x", 1, 1, 0x80) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame + b"\x3b" + tail


def judged(folder: Path, rules: Any, **files: bytes) -> tuple[list[str], str, str]:
    """Names of what may leave, the reasons against it, and what leaves of the log."""
    for name in ("outputs", "logs", "adminlogs"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "logs" / "algorithm.log").write_text(f"{SECRET}\nrow 2\nrow 3\n")
    for name, content in files.items():
        (folder / "outputs" / name.replace("_", ".")).write_bytes(content)
    verdict = folder / "verdict"
    verdict.mkdir(exist_ok=True)
    manifest, report = judge(MANDATE, LIMITS, Places(folder, verdict), rules)
    reasons = [entry["reason"] for entry in report["refused"]]
    log = (verdict / "logs" / "logs" / "algorithm.log").read_text()
    return (
        [line["filename"] for line in manifest["files"] if line["type"] == "output"],
        " ".join(reasons),
        log,
    )


@pytest.mark.parametrize(
    ("rules", "name", "content"),
    [
        ({"types": ["json"]}, "x_json", b'{"a": 1}'),
        ({"types": ["csv"], "maxRows": 2}, "x_csv", b"a,b\r\n1,2\r\n3,4\r\n"),
        ({"types": ["csv"], "maxRows": 1}, "x_csv", b'a,b\n"1\n1",2\n'),
        ({"types": ["tsv"], "maxRows": 1}, "x_tsv", b"a\tb\n1\t2\n"),
        ({"minCell": 5}, "x_csv", b"group,count\nx,5\ny,60\n"),
        ({"minCell": 5}, "x_csv", b"\xef\xbb\xbfcount,mean\n9,1\n"),
        ({"minCell": 5, "countColumns": ["people"]}, "x_json", b'[{"mean": 1.5, "people": 9}]'),
        ({"minCell": 5}, "x_json", b'{"groups": [{"g": "x", "n": 9}, {"g": "y", "n": 5}]}'),
        ({"minCell": 5}, "x_json", b'{"group": ["x", "y"], "count": [9, 5]}'),
        ({"minCell": 5}, "x_json", b"{}"),
        ({"minCell": 5}, "x_json", b"[]"),
        ({"minCell": 5}, "x_json", b'{"groups": []}'),
        ({"maxRows": 2}, "x_json", b'{"accuracy": 0.9, "by group": [{"n": 1}, {"n": 2}]}'),
        ({"maxRows": 2}, "x_json", b'{"columns": ["a"], "index": [0, 1], "data": [[1], [2]]}'),
        ({"types": ["ndjson"], "maxRows": 2}, "x_ndjson", b'{"a": 1}\n{"a": 2}\n'),
        ({"types": ["png"]}, "x_png", png(added=b"Software\0matplotlib")),
        ({"types": ["png"]}, "x_png", png(1, 1, interlaced=1)),
        ({"types": ["jpg"]}, "x_jpg", jpeg()),
        ({"types": ["gif"]}, "x_gif", gif()),
        ({"types": ["txt"], "maxRows": 2}, "x_txt", b"accuracy 0.9\n"),
        ({"maxBytes": 10, "maxFiles": 1}, "x_bin", b"0123456789"),
        ([{"minCell": 5}, {"minCell": 9, "countColumns": ["people"]}], "x_csv", b"count,people\n5,9\n"),
    ],
)
def test_what_the_rules_allow_leaves_without_its_log(
    tmp_path: Path, rules: Any, name: str, content: bytes
) -> None:
    left, reasons, log = judged(tmp_path, rules, **{name: content})
    assert left == [name.replace("_", ".")], reasons
    assert log == "The log stays in: a rule of a dataset's publisher.\n"


TEXT = SECRET.encode() * 900
REFUSED: list[tuple[Any, str, bytes, str]] = [
    ({"types": ["json"]}, "x_csv", b"a\n1\n", "type"),
    ({"types": ["json"]}, "x_json", b"a,b\n1,2", "not JSON"),
    ({"types": ["json"]}, "x_json", b'{"a": 1} {"b": 2}', "not JSON"),
    ({"types": ["json"]}, "x_json", b"[" * 5000 + b"]" * 5000, "not JSON"),
    ({"types": ["json"]}, "x_json", b'"\\ud800', "not JSON"),
    ({"types": ["json"]}, "x_json", b"", "not JSON"),
    ({"types": ["json"]}, "x_json", b'{"mean": NaN}', "has no NaN"),
    ({"types": ["json"]}, "x_json", b"[1,]", "not JSON"),
    ({"types": ["json"]}, "x_json", b"9" * 5000, "not JSON"),
    ({"types": ["png"]}, "x_png", b"the data itself", "not png"),
    ({"types": ["png"]}, "x_png", b"\x89PNG\r\n\x1a\n" + SECRET.encode(), "not png"),
    ({"types": ["png"]}, "x_png", png() + SECRET.encode(), "not png"),
    ({"types": ["png"]}, "x_png", png(extra=SECRET.encode()), "not png"),
    ({"types": ["png"]}, "x_png", png(added=bytes(70_000)), "not png"),
    ({"types": ["png"]}, "x_png", png()[:-20], "not png"),
    ({"types": ["jpg"]}, "x_jpg", b"\xff\xd8\xff" + SECRET.encode(), "not jpeg"),
    ({"types": ["jpg"]}, "x_jpg", jpeg(tail=SECRET.encode()), "not jpeg"),
    ({"types": ["jpg"]}, "x_jpg", jpeg()[:-2], "not jpeg"),
    (
        {"types": ["jpg"]},
        "x_jpg",
        jpeg().replace(b"scan\xff\xd9", SECRET.encode() * 900 + b"\xff\xd9"),
        "not jpeg",
    ),
    *(
        ({"types": ["jpg"]}, "x_jpg", jpeg()[:2] + segment(kind, 60_000) * count + jpeg()[2:], "not jpeg")
        for kind, count in ((0xC0, 1), (0xC4, 2), (0xDB, 2), (0xDD, 2), (0xDA, 1))
    ),
    ({"types": ["gif"]}, "x_gif", gif().replace(b"\x02\x44\x01", (b"\xff" + b"a" * 255) * 9), "not gif"),
    ({"types": ["gif"]}, "x_gif", gif(SECRET.encode()), "not gif"),
    ({"types": ["pdf"]}, "x_pdf", b"%PDF-1.7", "cannot be checked"),
    ({"types": ["parquet"]}, "x_parquet", b"PAR1", "cannot be checked"),
    ({"types": ["txt"]}, "x_txt", b"a\0b", "not text"),
    ({"types": ["txt"]}, "x_txt", b"\xff", "not text"),
    ({"maxRows": 2}, "x_csv", b"a\n1\n2\n3\n", "more than 2 rows"),
    ({"maxRows": 2}, "x_csv", b"a\r1\r2\r3\r", "more than 2 rows"),
    ({"maxRows": 2}, "x_csv", b"a\n" + b"x" * 30_000 + b"\n", "longer than"),
    ({"maxRows": 2}, "x_csv", b",".join(b"%d" % n for n in range(60)) + b"\n", "columns"),
    ({"maxRows": 2}, "x_json", b'{"deep": {"er": [1, 2, 3]}}', "more than 2 rows"),
    ({"maxRows": 2}, "x_json", b'["' + b"x" * 30_000 + b'"]', "longer than"),
    ({"maxRows": 2}, "x_json", b"[[1],[2],[3]]", "more than 2 rows"),
    ({"maxRows": 2}, "x_json", b'{"a":{"b":1},"c":{"b":1},"d":{"b":1}}', "more than 2 rows"),
    ({"maxRows": 2}, "x_json", b"[[" + b",".join([b"1"] * 60) + b"]]", "columns"),
    ({"maxRows": 2}, "x_ndjson", b"{}\n{}\n{}\n", "more than 2 rows"),
    ({"maxRows": 2}, "x_txt", b"1\n2\n3", "more than 2 rows"),
    ({"maxRows": 2}, "x_txt", b"x" * 30_000, "longer than"),
    ({"maxRows": 2}, "x_bin", b"1", "cannot be checked"),
    ({"minCell": 5}, "x_csv", b"group,count\nx,4\n", "fewer than 5"),
    ({"minCell": 5}, "x_csv", b"group,count\nx,many\n", "fewer than 5"),
    ({"minCell": 5}, "x_csv", b"group,count\nx,nan\n", "fewer than 5"),
    ({"minCell": 5}, "x_csv", b"group,count\nx,inf\n", "fewer than 5"),
    ({"minCell": 5}, "x_csv", b"group,mean\nx,4.2\n", "no count column"),
    ({"minCell": 5}, "x_csv", b"count,count\n50,1\n", "one name"),
    ({"minCell": 5}, "x_csv", b"count,n\n50,1\n", "fewer than 5"),
    ({"minCell": 5}, "x_csv", b"count\n50,1\n", "columns of its header"),
    ({"minCell": 5}, "x_json", b'{"count": true}', "fewer than 5"),
    ({"minCell": 5}, "x_json", b'[{"count": 99, "v": 1}, {"v": "a patient"}]', "no count column"),
    ({"minCell": 5}, "x_json", b'{"count": 99, "rows": ["a patient", "another"]}', "no count column"),
    ({"minCell": 5}, "x_json", b'{"count": [9], "rows": ["a patient", "another"]}', "no count column"),
    ({"minCell": 5}, "x_json", b'"a patient"', "no count column"),
    ({"minCell": 5}, "x_json", b"[{}, {}, {}]", "no count column"),
    ({"minCell": 5}, "x_json", b"[[], [[], []], []]", "no count column"),
    ({"minCell": 5}, "x_json", b'{"a": {"b": [], "c": {"d": []}}}', "no count column"),
    ({"minCell": 5}, "x_json", b'{"groups": [{"count": 9}, {}]}', "no count column"),
    ({"minCell": 5}, "x_txt", b"count\n9\n", "no count column"),
    ({"minCell": 5}, "x_png", png(), "only tables"),
    ({"maxBytes": 10}, "x_bin", b"01234567890", "bytes"),
    ({"names": ["table-*.csv"]}, "x_csv", b"", "its name is not one"),
    ({}, "x" * 65, b"", "its name is not one"),
    ({}, "патент_csv", b"", "its name is not one"),
    ({"maxNameBytes": 4}, "x_csv_gz", b"", "more than 4 bytes of names"),
    # Each publisher's set holds as it stands: one column that both know would be enough for neither.
    (
        [{"minCell": 5}, {"minCell": 9, "countColumns": ["people"]}],
        "x_csv",
        b"people\n9\n",
        "no count column",
    ),
    ([{"minCell": 5, "countColumns": ["n"]}, {"minCell": 2}], "x_csv", b"n,count\n9,1\n", "fewer than 2"),
    ([{"types": ["csv"]}, {"types": ["json"]}], "x_csv", b"a\n", "type"),
]


@pytest.mark.parametrize(
    ("rules", "name", "content", "reason"),
    REFUSED,
    ids=[f"{at}-{case[1]}" for at, case in enumerate(REFUSED)],
)
def test_what_they_do_not_allow_stays_and_so_does_the_log(
    tmp_path: Path, rules: Any, name: str, content: bytes, reason: str
) -> None:
    left, reasons, log = judged(tmp_path, rules, **{name: content})
    assert left == []
    assert reason in reasons
    assert SECRET not in log


@pytest.mark.parametrize(
    ("rules", "leaves"),
    [
        ({"logLines": 1}, f"{SECRET}\n\n[log cut off: budget exceeded]\n"),
        ({"logLines": 9}, f"{SECRET}\nrow 2\nrow 3\n"),
        ({"logBytes": 3}, "row\n[log cut off: budget exceeded]\n"),
        ({"logLines": 0, "logBytes": 100}, "The log stays in: a rule of a dataset's publisher.\n"),
        ([{"logLines": 9}, {}], "The log stays in: a rule of a dataset's publisher.\n"),
        ([{"logLines": 9}, {"logLines": 1}], f"{SECRET}\n\n[log cut off: budget exceeded]\n"),
    ],
)
def test_a_publisher_may_let_out_some_of_the_log(tmp_path: Path, rules: Any, leaves: str) -> None:
    assert judged(tmp_path, rules, x_csv=b"a\n")[2] == leaves


def test_refused_files_are_a_number_and_a_hash(tmp_path: Path) -> None:
    """Links as well as what a rule refuses; a few are listed, all are counted."""
    (tmp_path / "outputs").mkdir()
    for n in range(20):
        (tmp_path / "outputs" / f"{SECRET} {n:02}").symlink_to("/etc/passwd")
    for name in ("logs", "adminlogs", "verdict"):
        (tmp_path / name).mkdir()
    _, report = judge(MANDATE, LIMITS, Places(tmp_path, tmp_path / "verdict"), {"types": ["csv"]})
    assert (report["refusedCount"], len(report["refused"])) == (20, agreed.REFUSED_LISTED_UNDER_RULES)
    assert SECRET not in json.dumps(report)
    digest = hashlib.sha256(f"outputs/{SECRET} 00".encode()).hexdigest()
    first = {"path": f"file 1 (SHA-256 of its path begins {digest[:8]})", "reason": "a symbolic link"}
    assert report["refused"][0] == first


@pytest.mark.parametrize("count", [60, 137])
def test_how_many_files_there_were_is_no_message(tmp_path: Path, count: int) -> None:
    left, reasons, _ = judged(tmp_path, {"types": ["csv"]}, **{f"{n}_csv": b"" for n in range(count)})
    assert (left, reasons) == ([], "too many files and folders")


def test_times_of_the_algorithms_choice_stay_in(tmp_path: Path) -> None:
    for name in ("outputs", "logs", "adminlogs", "verdict"):
        (tmp_path / name).mkdir()
    (tmp_path / "logs" / "algorithm.log").touch()
    _, report = judge(MANDATE, LIMITS, Places(tmp_path, tmp_path / "verdict"), {"maxFiles": 3})
    assert report["exited"] is None
    _, report = judge(MANDATE, LIMITS, Places(tmp_path, tmp_path / "verdict"))
    assert report["exited"] is not None


@pytest.mark.parametrize(
    "rules", [{"minCell": "5"}, {"maxRows": -1}, {"unknown": 1}, "x", {"types": "csv"}, {"logLines": -1}]
)
def test_a_rule_that_cannot_be_understood_is_not_skipped(tmp_path: Path, rules: Any) -> None:
    with pytest.raises(InvalidRules):
        parse_set(rules)
    left, reasons, log = judged(tmp_path, rules, x_csv=b"a\n")
    assert left == [] and "cannot be understood" in reasons and SECRET not in log


numbers = st.none() | st.integers(1, 6)
columns = st.none() | st.lists(st.sampled_from(["n", "count", "people"]), min_size=1, max_size=2)
sets = st.builds(
    DisclosureRules,
    max_files=numbers,
    max_bytes=st.none() | st.integers(1, 60),
    max_rows=numbers,
    min_cell=numbers,
    count_columns=columns,
    types=st.none() | st.lists(st.sampled_from(["csv", "json"]), min_size=1, max_size=2),
    names=st.none() | st.lists(st.sampled_from(["*.csv", "a*", "b*"]), max_size=2),
)
tables = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["n", "count", "people", "x"]), min_size=1, max_size=3, unique=True),
        st.lists(st.integers(0, 9), max_size=3),
        st.sampled_from(["a.csv", "b.csv", "a.json", "b.txt"]),
    ),
    max_size=3,
    unique_by=lambda entry: entry[2],
)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(rules=st.lists(sets, min_size=1, max_size=3), written=tables)
def test_all_rules_at_once_allow_exactly_what_each_of_them_allows(
    tmp_path_factory: pytest.TempPathFactory, rules: list[DisclosureRules], written: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("all")
    (folder / "outputs").mkdir()
    lines = []
    for head, values, name in written:
        text = ",".join(head) + "\n" + "".join(",".join([str(value)] * len(head)) + "\n" for value in values)
        (folder / "outputs" / name).write_text(text)
        lines.append({"path": f"outputs/{name}", "filename": name, "size": len(text)})
    together = parse_sets(json.loads(json.dumps(as_section(distinct_sets(rules)))))
    refused = bool(disclosure_verdict(together, lines, folder).refused)
    assert refused == any(disclosure_verdict([entry], lines, folder).refused for entry in rules)


class Remembering:
    """Builds the document that a walk met, to be held against the standard library's."""

    def __init__(self) -> None:
        self.root: Any = None
        self._open: list[Any] = []
        self._names: list[str] = []

    def open_container(self, kind: str) -> None:
        made: Any = {} if kind == "{" else []
        self._put(made)
        self._open.append(made)
        self._names.append("")

    def take_name(self, name: str) -> None:
        self._names[-1] = name

    def take_value(self, found: Any) -> None:
        self._put(found)

    def close_container(self) -> None:
        self._open.pop()
        self._names.pop()

    def _put(self, found: Any) -> None:
        if not self._open:
            self.root = found
        elif isinstance(self._open[-1], list):
            self._open[-1].append(found)
        else:
            self._open[-1][self._names[-1]] = found


class Slowly(io.BytesIO):
    """A file that comes a few bytes at a time, so that every token is met in halves."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(3)


texts = st.text(st.characters(exclude_categories=["Cs"]))
numerals = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numerals | texts
documents = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20
)


@settings(deadline=None, max_examples=200)
@given(documents, st.booleans(), st.sampled_from([None, 1]))
def test_a_document_is_walked_as_the_standard_library_reads_it(
    document: Any, plain: bool, indent: int | None
) -> None:
    seen = Remembering()
    walk_json(Slowly(json.dumps(document, ensure_ascii=plain, indent=indent).encode()), seen)
    assert seen.root == document


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from('{}[],:"\\ 0123.eE-+truefalsn\n'), max_size=30))
def test_what_the_standard_library_refuses_the_walk_refuses(text: str) -> None:
    try:
        expected = json.loads(text)
        valid = True
    except ValueError:
        valid = False
    seen = Remembering()
    try:
        walk_json(io.BytesIO(text.encode()), seen)
    except NotJson:
        assert not valid or "NaN" in text
    else:
        assert valid and seen.root == expected


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(["png", "jpg", "gif", "csv", "json", "txt", "ndjson"]), st.binary(max_size=200), st.data()
)
def test_whatever_the_bytes_are_there_is_a_verdict(kind: str, noise: bytes, drawn: st.DataObject) -> None:
    whole = {"png": png(), "jpg": jpeg(), "gif": gif()}.get(kind, b'{"a": [1, 2]}')
    at = drawn.draw(st.integers(0, len(whole)))
    content = whole[:at] + noise + whole[at + drawn.draw(st.integers(0, 9)) :]
    checks = {**disclosure._PICTURES}
    try:
        if kind in checks:
            checks[kind](io.BytesIO(content))
        else:
            disclosure._TABLES[kind](DisclosureRules(max_rows=5, min_cell=2), io.BytesIO(content))
    except Unfit:
        pass


MEMORY = """
import resource, sys
from pathlib import Path
from c2d_box.pods.judge.__main__ import Places, judge
from c2d_box.pods.judge.outputs import Limits
folder = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
manifest, report = judge({"outputs": True, "logs": True}, Limits(50, 1 << 30, 1 << 20),
    Places(folder, folder / "verdict"), {"types": ["csv", "json", "txt"], "minCell": 1, "maxColumns": 9})
print(report["refusedCount"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("kind", ["csv", "json", "one long line", "one long text", "one open quote"])
def test_sixteen_megabytes_are_checked_in_little_memory(tmp_path: Path, kind: str) -> None:
    """The judge's container may have 256 MiB; its peak grew with the file and it was killed."""
    for name in ("outputs", "logs", "adminlogs", "verdict"):
        (tmp_path / name).mkdir()
    path = (
        tmp_path / "outputs" / ("x.csv" if kind in ("csv", "one long line", "one open quote") else "x.json")
    )
    with path.open("wb") as file:
        if kind == "csv":
            file.write(b"group,count\n")
            for _ in range(160):
                file.write(b"some group or other,12345\n" * 4000)
        elif kind == "json":
            file.write(b'[{"g": "a group", "count": 12345}')
            for _ in range(120):
                file.write(b',{"g": "a group", "count": 12345}' * 4000)
            file.write(b"]")
        else:
            file.write(b'"' if kind != "one long line" else b"")
            for _ in range(16):
                file.write((b'a",\n"' if kind == "one open quote" else b"aaaaa") * 200_000)
    ran = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    refused, grown = map(int, ran.stdout.split())
    assert refused == (kind not in ("csv", "json"))
    assert grown < 40 << 10, f"{grown} KiB"


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"optimize": True}])
@pytest.mark.parametrize("size", [(1, 1), (7, 300), (256, 256)])
def test_pictures_of_noise_are_pictures(tmp_path: Path, options: Any, size: tuple[int, int]) -> None:
    """The most that a real encoder needs for so many pixels."""
    noise = random.Random(1).randbytes(3 * size[0] * size[1])
    image = Image.frombytes("RGB", size, noise)
    image.save(tmp_path / "x.jpg", quality=100, **options)
    image.save(tmp_path / "x.gif")
    for name, check in (("x.jpg", pictures.check_jpeg), ("x.gif", pictures.check_gif)):
        with (tmp_path / name).open("rb") as file:
            check(file)
