"""The consumer's parameters reach the algorithm's environment under names of ours alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from c2d_box.operator_engine.effects.algorithm_variables import PARAMETER_BYTES, ocean_variables
from c2d_box.workflow import resource

from .conftest import workflow_body


def variables(**algorithm: Any) -> dict[str, str]:
    body = workflow_body("0" * 32)
    body["spec"]["stages"][0]["algorithm"].update(algorithm)
    return ocean_variables(resource.parse_workflow(body), "s")


def test_they_are_there_as_json() -> None:
    given = {"alpha": 0.5, "LD_PRELOAD": "/tmp/x.so"}
    found = variables(algocustomdata=given, userdata={"u": 1})
    assert json.loads(found["ALGO_CUSTOM_DATA"]) == given
    assert json.loads(found["ALGO_USER_DATA"]) == {"u": 1}
    assert "LD_PRELOAD" not in found


@pytest.mark.parametrize("given", [{}, {"algocustomdata": {"x": "y" * PARAMETER_BYTES}}])
def test_what_is_not_given_or_too_long_is_in_the_file_alone(given: dict[str, Any]) -> None:
    assert "ALGO_CUSTOM_DATA" not in variables(**given)
