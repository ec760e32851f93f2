"""Lists that are understood, and lists that are refused by the place where they are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c2d_box.errors import UsageError
from sandbox.seeding import read_declaration

GOOD: dict[str, Any] = {
    "accounts": {"consumer": {"ocean": 500}},
    "assets": {
        "patients": {"type": "dataset", "file": "patients.csv", "price": 3, "permit": ["mean"]},
        "mean": {"type": "algorithm", "file": "mean.py", "image": "algo-python"},
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "patients.csv").write_text("a\n1\n")
    (tmp_path / "mean.py").write_text("print(1)\n")
    return tmp_path


def written(folder: Path, document: object) -> Path:
    path = folder / "list.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def changed(name: str, **values: Any) -> dict[str, Any]:
    assets = {**GOOD["assets"], name: {**GOOD["assets"].get(name, {}), **values}}
    return {**GOOD, "assets": assets}


def test_yaml_and_json_say_the_same(folder: Path) -> None:
    (folder / "list.json").write_text(json.dumps(GOOD))
    assert read_declaration(written(folder, GOOD)) == read_declaration(folder / "list.json")


def test_a_dataset_is_computed_on_and_an_algorithm_travels_unless_the_list_says_more(folder: Path) -> None:
    declared = read_declaration(written(folder, changed("mean", services=["compute"])))
    assert declared.assets["patients"].offered_services == ("compute",)
    assert declared.assets["mean"].offered_services == ("compute",)
    assert read_declaration(written(folder, GOOD)).assets["mean"].offered_services == ("access",)


def test_files_lie_beside_the_list(folder: Path) -> None:
    declared = read_declaration(written(folder, GOOD))
    assert declared.content_source(declared.assets["patients"]) == str(folder / "patients.csv")


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (["patients"], "is not a list of accounts"),
        ({"asets": {}}, "asets"),
        ({"accounts": {"consumer": {"ocean": -1}}}, "accounts.consumer.ocean"),
        (changed("patients", prize=3), "assets.patients.prize"),
        (changed("patients", price="much"), "assets.patients.price"),
        (changed("patients", type="model"), "assets.patients.type"),
        (changed("patients", url="https://x.org"), "either file or url"),
        (changed("patients", file=None), "either file or url"),
        (changed("mean", image=""), "an algorithm needs an image"),
        (changed("mean", permit=["mean"]), "belong to datasets"),
        (changed("patients", permit=["median"]), "patients permits median"),
        (changed("patients", permit=["patients"]), "patients permits patients"),
        (changed("patients", file="gone.csv"), "assets.patients: there is no gone.csv"),
        (changed("patients", services=["download"]), "assets.patients.services"),
        (changed("patients", trust={"row": True}), "assets.patients.trust.row"),
    ],
)
def test_a_wrong_list_is_refused_by_its_place(folder: Path, document: object, place: str) -> None:
    with pytest.raises(UsageError, match="C2D-SEED") as caught:
        read_declaration(written(folder, document))
    assert place in caught.value.message


def test_a_file_that_is_not_there_and_one_that_is_not_yaml_are_coded(folder: Path) -> None:
    (folder / "broken.yaml").write_text("assets: [")
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for name in ("nothing.yaml", "broken.yaml", "binary.yaml"):
        with pytest.raises(UsageError, match="C2D-SEED-UNREADABLE"):
            read_declaration(folder / name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["assets", "accounts", "a", "type", "file"]), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_any_document_is_read_or_refused(folder: Path, document: object) -> None:
    try:
        read_declaration(written(folder, document))
    except UsageError as refusal:
        assert refusal.code.startswith("C2D-SEED")
