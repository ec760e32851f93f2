"""No result is fetched over another, and none out of the folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from c2d_box.client.results.result_paths import result_paths


def listed(*names: str) -> list[dict[str, Any]]:
    return [{"index": index, "filename": name} for index, name in enumerate(names)]


def test_results_keep_their_folders() -> None:
    found = result_paths(listed("metrics.json", "a/metrics.json", "b/metrics.json"))
    assert [str(path) for path in found.values()] == ["metrics.json", "a/metrics.json", "b/metrics.json"]


def test_two_of_one_name_are_two_files() -> None:
    """An output and a file beside the algorithm's log are both named by their path below their own folder."""
    assert [str(path) for path in result_paths(listed("x", "x", "x")).values()] == ["x", "_1/x", "_2/x"]


def test_a_file_named_like_anothers_folder() -> None:
    assert [str(path) for path in result_paths(listed("a", "a/b")).values()] == ["a", "_1/a/b"]
    assert [str(path) for path in result_paths(listed("a/b", "a")).values()] == ["a/b", "_1/a"]


def test_nothing_leads_out() -> None:
    names = ("/etc/passwd", "../../up", "a/../../b", "..", "", "/", ".")
    found = [str(path) for path in result_paths(listed(*names)).values()]
    assert found == ["etc/passwd", "up", "a/b", "result-3", "result-4", "result-5", "result-6"]


PARTS = st.sampled_from(["a", "b", "_1", "_2", "__1", "..", ".", "", "\n", "é" * 200, "\udc80"])
NAMES = st.lists(st.lists(PARTS, max_size=4).map("/".join), max_size=8)


@given(NAMES)
def test_whatever_the_names_every_result_has_a_place_of_its_own(
    tmp_path_factory: Any, names: list[str]
) -> None:
    folder: Path = tmp_path_factory.mktemp("results")
    found = result_paths(listed(*names))
    assert len(found) == len(names)
    for index, place in found.items():
        assert not place.is_absolute()
        assert ".." not in place.parts
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        assert not target.exists()
        target.write_text(str(index))
    assert all((folder / place).read_text() == str(index) for index, place in found.items())


def test_it_does_not_depend_on_which_one_is_asked_for() -> None:
    assert result_paths(listed("x", "x"))[1] == PurePosixPath("_1/x")
