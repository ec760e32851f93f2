"""User data against what a publisher describes: every misfit is said, nothing fitting is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.assets.documents.consumer_parameters import parameter_problems

DESCRIBED = [
    {"name": "since", "type": "text", "required": True},
    {"name": "rows", "type": "number", "required": False},
    {"name": "clean", "type": "boolean"},
    {"name": "region", "type": "select", "options": '[{"eu": "Europe"}, {"us": "America"}]'},
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "values",
    [
        {"since": "2020"},
        {"since": "2020", "rows": 3, "clean": True, "region": "eu"},
        {"since": "2020", "rows": "3.5", "clean": "false", "region": "us"},
    ],
)
def test_what_fits_is_let_through(values: dict[str, Any]) -> None:
    assert parameter_problems(DESCRIBED, values) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (None, ["since is required"]),
        ({"since": ""}, ["since is required"]),
        ({"since": 2020}, ["since has to be a text"]),
        ({"since": "a", "rows": "many"}, ["rows has to be a number"]),
        ({"since": "a", "rows": True}, ["rows has to be a number"]),
        ({"since": "a", "rows": "nan"}, ["rows has to be a number"]),
        ({"since": "a", "clean": 1}, ["clean has to be true or false"]),
        ({"since": "a", "region": "asia"}, ["region has to be one of eu, us"]),
        ({"since": "a", "region": ["eu"]}, ["region has to be one of eu, us"]),
        ({"until": "b"}, ["until is not described", "since is required"]),
    ],
)
def test_what_does_not_is_named(values: dict[str, Any] | None, said: list[str]) -> None:
    assert parameter_problems(DESCRIBED, values) == said


@pytest.mark.parametrize("options", [["eu", "us"], [{"eu": "Europe"}, {"us": "America"}], '["eu","us"]'])
def test_options_are_read_in_every_form(options: Any) -> None:
    described = [{"name": "region", "type": "select", "options": options}]
    assert parameter_problems(described, {"region": "us"}) == []
    assert parameter_problems(described, {"region": "asia"}) == ["region has to be one of eu, us"]


@pytest.mark.parametrize("described", [None, "text", {}, 3])
def test_nothing_described_is_no_rule(described: Any) -> None:
    assert parameter_problems(described, {"anything": 1}) == []


@given(JSON, st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_any_description_and_any_data_are_judged(described: Any, values: dict[str, Any]) -> None:
    assert all(isinstance(text, str) for text in parameter_problems(described, values))
    assert isinstance(
        parameter_problems([{**p, "name": "x"} for p in [{"type": "select", "options": described}]], values),
        list,
    )
