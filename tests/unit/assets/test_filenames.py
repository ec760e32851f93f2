"""Names of files as they travel in Content-Disposition, in any script and from anybody."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.assets.filenames import ascii_name, content_disposition, name_in

OCEAN_JS = re.compile(r"attachment;filename=(.+)")


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("data.csv", "text/csv", "data.csv"),
        ("7", "text/csv", "7.csv"),
        ("7", "application/octet-stream", "7"),
        ("", "text/csv", "file.csv"),
        ("", "", "file"),
        ('a";b\r\nX: y', "", "a__b__X__y"),
        ("../../etc", "", "_.._etc"),
    ],
)
def test_plain_names_are_tame_and_just_what_oceans_clients_take(name: str, kind: str, expected: str) -> None:
    assert ascii_name(name, kind) == expected
    found = OCEAN_JS.match(content_disposition(name, kind))
    assert found is not None and found[1] == expected


@pytest.mark.parametrize(
    "name", ["Überblick größe.txt", "报告.csv", "данные.json", "رسم.png", "emoji 🎉.txt"]
)
def test_a_name_in_any_script_arrives(name: str) -> None:
    header = content_disposition(name)
    assert header.isascii() and name_in(header) == name


def test_two_names_of_one_length_are_two_files_for_old_clients_too() -> None:
    first, second = ascii_name("报告.csv"), ascii_name("数据.csv")
    assert first != second and first.endswith(".csv") and second.endswith(".csv") and first.isascii()


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("attachment; filename=patients-2024.csv", "patients-2024.csv"),
        ('attachment; filename="a; b \\"c\\".csv"', 'a; b "c".csv'),
        ("inline; filename=\"x.csv\"; filename*=UTF-8''%E6%8A%A5.csv", "报.csv"),
        ("attachment; filename*=iso-8859-1'en'%A3.csv", "£.csv"),
        ("attachment; filename*=nonsense''%FF.csv; filename=ok.csv", "ok.csv"),
        ("attachment; filename=" + "größe.txt".encode().decode("latin-1"), "größe.txt"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\x\\\\y.csv"', "y.csv"),
        ("attachment; filename=..", ""),
        ("attachment; filename*=unicode_escape''%5Cud800.csv", "?.csv"),
        ("attachment", ""),
        ("", ""),
    ],
)
def test_names_that_others_write_are_read(header: str, name: str) -> None:
    assert name_in(header) == name


@given(st.text(max_size=300), st.sampled_from(["", "text/csv", "image/png"]))
def test_any_name_makes_one_harmless_header(name: str, kind: str) -> None:
    header = content_disposition(name, kind)
    assert re.fullmatch(r"attachment;filename=[\w.\-()+@]+(;filename\*=UTF-8''[\w.%~-]+)?", header, re.ASCII)
    read = name_in(header)
    assert "/" not in read and read not in (".", "..") and not any(ord(char) < 32 for char in read)


@given(st.text(max_size=400))
def test_any_header_is_read(header: str) -> None:
    assert len(name_in(header).encode()) <= 200


@pytest.mark.parametrize(
    "name", ["\U0001f9ec" * 300 + ".csv", "ä" * 300, "a" * 100 + "é" * 100 + ".tar", "." + "я" * 200]
)
def test_a_long_name_fits_a_file_system(name: str, tmp_path: Path) -> None:
    """Which counts bytes, not characters."""
    header = content_disposition(name)
    (tmp_path / name_in(header)).touch()
    (tmp_path / name_in(f"attachment;filename*=UTF-8''{quote(name)}")).touch()
    assert name_in(header).endswith(name[-4:]) or "." not in name[-21:]
