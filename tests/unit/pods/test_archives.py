"""Archives among outputs: harmless ones leave; bombs, and what cannot be looked into, do not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2d_box.pods.judge import archives, formats
from c2d_box.pods.judge.outputs import Limits, examine_folder

LIMIT = 8 << 20
ZEROS = bytes(1 << 20)
TEXT = b"".join(f"{n},{n * n % 9973}\n".encode() for n in range(20_000))


@pytest.fixture(scope="module", autouse=True)
def small_sizes() -> Iterator[None]:
    """A bomb of ten megabytes is found as one of ten gigabytes is, and sooner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archives, "FREE", 4 << 20)
        yield


def told(data: bytes, limit: int = LIMIT) -> str | None:
    return archives.archive_problem(io.BytesIO(data), len(data), limit)


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return held.getvalue()


def zeros(size: int, pack: Callable[[], zlib._Compress]) -> bytes:
    packer = pack()
    return b"".join(packer.compress(ZEROS) for _ in range(size >> 20)) + packer.flush()


def gzip_of_zeros(size: int) -> bytes:
    return zeros(size, lambda: zlib.compressobj(9, zlib.DEFLATED, 31))


def nested_zip(depth: int, width: int) -> bytes:
    data = bytes(1 << 20)
    for level in range(depth):
        data = zipped({f"{level}-{n}": data for n in range(width)})
    return data


def tar_gz() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        info = tarfile.TarInfo("a.csv")
        info.size = len(TEXT)
        archive.addfile(info, io.BytesIO(TEXT))
    return held.getvalue()


HARMLESS: dict[str, Callable[[], bytes]] = {
    "text": lambda: TEXT,
    "nothing": lambda: b"",
    "gzip": lambda: gzip.compress(TEXT),
    "two gzips in a row": lambda: gzip.compress(TEXT) * 2,
    "bzip2": lambda: bz2.compress(TEXT),
    "xz": lambda: lzma.compress(TEXT),
    "zip": lambda: zipped({"a.csv": TEXT, "b/c.csv": TEXT}),
    "zip, bzip2 inside": lambda: zipped({"a": TEXT}, zipfile.ZIP_BZIP2),
    "empty zip": lambda: zipped({}),
    "tar in gzip": tar_gz,
    "zip in a zip": lambda: zipped({"inner.zip": zipped({"a.csv": TEXT})}),
    "gzip cut off": lambda: gzip.compress(TEXT)[:-100],
    "three megabytes of zeros": lambda: gzip_of_zeros(3 << 20),
    "bzip2 cut off": lambda: bz2.compress(TEXT)[:-100],
    "xz cut off": lambda: lzma.compress(TEXT)[:-100],
    "begins like a gzip": lambda: b"\x1f\x8b\x08" + TEXT,
    "names that begin like bzip2": lambda: b"BZhang,1\nBZhou,2\n",
    "begins like an xz": lambda: b"\xfd7zXZ\0" + TEXT,
    "numbers that begin like LZ4": lambda: struct.pack("<4I", 0x184D2204, 1, 2, 3),
    "numbers that begin like Zstandard": lambda: struct.pack("<4I", 0xFD2FB528, 1 << 31, 2, 3),
    "begins like a 7z": lambda: b"7z\xbc\xaf\x27\x1c" + TEXT,
    "begins like a RAR": lambda: b"Rar!\x1a\x07" + TEXT,
}


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_harmless_ones_leave(name: str) -> None:
    assert told(HARMLESS[name]()) is None


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "gzip": (lambda: gzip_of_zeros(10 << 20), "unpacks"),
    "gzip of a gzip": (lambda: gzip.compress(gzip_of_zeros(10 << 20)), "unpacks"),
    "bzip2": (lambda: bz2.compress(bytes(10 << 20)), "unpacks"),
    "xz": (lambda: lzma.compress(bytes(10 << 20), preset=0), "unpacks"),
    "zip": (lambda: zipped({"x": bytes(10 << 20)}), "unpacks"),
    "zip of zips of zips": (lambda: nested_zip(3, 16), "unpacks"),
    "too deep": (lambda: nested_zip(6, 1), "nested"),
    "encrypted zip": (lambda: _encrypted(), "encrypted"),
    "overlapping zip": (lambda: _overlapping(), "overlap"),
    "broken zip": (lambda: zipped({"a": TEXT})[:-30], "cannot be looked into"),
    "zip that lies about its size": (lambda: _lying(), "cannot be looked into"),
    "zstd": (lambda: b"\x28\xb5\x2f\xfd\x20\x03\x19\x00\x00abc", "Zstandard"),
    "zstd of many blocks, cut off": (lambda: _zstandard_bomb(), "Zstandard"),
    "7z": (lambda: _seven_zip(), "7z"),
    "rar": (lambda: b"Rar!\x1a\x07\x01\0" + TEXT, "RAR"),
    "lz4": (lambda: b"\x04\x22\x4d\x18\x64\x40\xa7" + TEXT, "LZ4"),
    "lz4 with its length": (lambda: _lz4_with_length(), "LZ4"),
    "damaged gzip": (lambda: _damaged(gzip.compress(TEXT)), "damaged gzip archive, which cannot be looked"),
    "damaged bzip2": (lambda: _damaged(bz2.compress(TEXT)), "damaged bzip2 archive, which cannot be looked"),
    "damaged xz": (lambda: _damaged(lzma.compress(TEXT)), "damaged xz archive, which cannot be looked"),
    "gzip with a wrong checksum": (lambda: gzip.compress(TEXT)[:-8] + bytes(8), "damaged gzip"),
    "gzip with a tail": (lambda: gzip.compress(TEXT) + b"garbage", "damaged gzip"),
    "zstd in a gzip": (
        lambda: gzip.compress(b"\x28\xb5\x2f\xfd\x20\x03\x19\x00\x00abc"),
        "Zstandard",
    ),
    "xz that wants a gigabyte": (lambda: _greedy(), "memory"),
    "zip behind other bytes": (lambda: b"#!/bin/sh\nexit\n" + zipped({"x": bytes(10 << 20)}), "unpacks"),
}


def _damaged(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes(byte ^ 0x5A for byte in data[at : at + 20]) + data[at + 20 :]


def _zstandard_bomb() -> bytes:
    """Blocks that each repeat one byte 128 KiB times; the last one, which would end the frame, is missing."""
    block = ((128 << 10) << 3 | 1 << 1).to_bytes(3, "little") + b"x"
    return b"\x28\xb5\x2f\xfd\x00\x58" + block * 1000


def _seven_zip() -> bytes:
    start = bytes(20)
    return b"7z\xbc\xaf\x27\x1c\0\x04" + struct.pack("<I", zlib.crc32(start)) + start


def _lz4_with_length() -> bytes:
    descriptor = b"\x6c\x40" + struct.pack("<Q", 3)
    checksum = formats._xxh32_checksum(descriptor) >> 8 & 0xFF
    return b"\x04\x22\x4d\x18" + descriptor + bytes([checksum]) + TEXT


def _encrypted() -> bytes:
    data = bytearray(zipped({"a": TEXT}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


def _overlapping() -> bytes:
    """Several directory entries for the one member's bytes."""
    data = zipped({"a": TEXT})
    begin, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry, count = data[begin:end], 50
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(entry) * count, begin, 0)
    return data[:begin] + entry * count + tail


def _lying() -> bytes:
    data = bytearray(zipped({"a": TEXT}))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<L", 10)
    return bytes(data)


def _greedy() -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 27}]
    return lzma.compress(TEXT, filters=filters)


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_bombs_and_what_cannot_be_looked_into_stay(name: str) -> None:
    make, reason = BOMBS[name]
    assert reason in (told(make()) or "")


def test_a_bomb_costs_little_memory_to_find() -> None:
    data = gzip_of_zeros(40 << 20)
    tracemalloc.start()
    assert told(data, 1 << 40) is not None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def zip_list(count: int) -> bytes:
    """A zip of nothing but a list of members."""
    one = zipped({"a": b""})
    begin, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    listed = one[begin:end] * count
    # Above 65,535 the number of entries wraps around; the reader goes by the size.
    counts = (count & 0xFFFF, count & 0xFFFF)
    return one[:begin] + listed + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, *counts, len(listed), begin, 0)


@pytest.mark.parametrize(
    ("count", "reason"),
    [(400_000, "a zip whose list of files is larger"), (200_000, "a zip of more than 50000 files")],
)
def test_a_long_list_of_members_costs_little_memory_to_find(count: int, reason: str) -> None:
    data = zip_list(count)
    tracemalloc.start()
    found = told(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reason in (found or "")
    assert peak < len(data) + (16 << 20)


def test_a_zip_may_have_many_members_with_long_names() -> None:
    assert told(zipped({f"{'folder/' * 10}{number:06}": b"" for number in range(20_000)})) is None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["zip", "gzip", "bzip2", "xz"]), st.data())
def test_whatever_the_bytes_are_there_is_an_answer(noise: bytes, kind: str, drawn: st.DataObject) -> None:
    """Archives with bytes changed, cut and inserted: an answer, never an exception."""
    whole = {"zip": zipped({"a": TEXT[:300]}), "gzip": gzip.compress(TEXT[:300])}
    whole |= {"bzip2": bz2.compress(TEXT[:300]), "xz": lzma.compress(TEXT[:300])}
    at = drawn.draw(st.integers(0, len(whole[kind])))
    cut = drawn.draw(st.integers(0, 20))
    told(whole[kind][:at] + noise[:20] + whole[kind][at + cut :])


def test_the_judge_refuses_a_bomb_and_a_file_of_holes(tmp_path: Path) -> None:
    limits = Limits(files=10, bytes=LIMIT, log_bytes=1000)
    (tmp_path / "a.csv").write_bytes(TEXT)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(TEXT))
    assert [entry.path for entry in examine_folder(tmp_path, limits).accepted] == ["a.csv", "b.csv.gz"]
    (tmp_path / "bomb.gz").write_bytes(gzip_of_zeros(10 << 20))
    with (tmp_path / "holes").open("wb") as file:
        file.write(b"x")
        file.truncate(4 << 20)
    verdict = examine_folder(tmp_path, limits)
    assert verdict.accepted == []
    assert [(entry.path, entry.reason.split(":")[0]) for entry in verdict.refused] == [
        ("bomb.gz", "an archive that unpacks to more than 250 times its size"),
        ("holes", "a sparse file"),
    ]


def test_a_few_holes_are_no_reason(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        file.write(bytes(range(256)) * (3 << 12))
        file.truncate(4 << 20)
    assert examine_folder(tmp_path, Limits(10, LIMIT, 1000)).refused == []
