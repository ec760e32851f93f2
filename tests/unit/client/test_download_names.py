"""Under which names downloads land: the Provider's, whole, inside of the folder, and none over another."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.assets.filenames import content_disposition
from c2d_box.client.results.downloads import name_of, unused_name


def answer(header: str) -> httpx.Response:
    return httpx.Response(200, headers={"content-disposition": header})


@pytest.mark.parametrize("name", ["报告.csv", "größe.txt", "data.csv", "Überblick (2).xlsx"])
def test_a_name_in_any_script_is_the_files(name: str) -> None:
    assert name_of(answer(content_disposition(name)), "file-0") == name


def test_no_name_leads_elsewhere_or_is_too_long_for_a_disk() -> None:
    assert name_of(answer("attachment;filename=../../evil.csv"), "file-0") == "evil.csv"
    assert name_of(answer("attachment"), "file-0") == "file-0"
    long = name_of(answer(content_disposition("报" * 190 + ".csv")), "file-0")
    assert len(long.encode()) <= 240 and long.endswith(".csv") and long.startswith("报")


@given(
    st.lists(st.sampled_from(["a.csv", "A.CSV", "a-2.csv", "a", ".env", "报告.csv", "é", "é"]), max_size=12)
)
def test_no_file_is_written_over_another(names: list[str]) -> None:
    used: list[str] = []
    for name in names:
        used.append(unused_name(name, used))
    assert len({each.casefold() for each in used}) == len(names)
    assert used[:1] == names[:1]
