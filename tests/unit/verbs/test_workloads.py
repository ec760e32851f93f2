"""Kubernetes' objects in short."""

from __future__ import annotations

import pytest

from sandbox.verbs.inspection.pods import _workflow_summary

FINISHED = {"code": 70, "text": "Job finished", "phase": "Finished"}


@pytest.mark.parametrize(("status", "said"), [(FINISHED, "70 Job finished"), (None, "new")])
def test_a_workflow_says_where_it_stands(status: object, said: str) -> None:
    """By the names that the definition of the object has."""
    flow = _workflow_summary({"metadata": {"name": "a"}, "spec": {"environment": "e"}, "status": status})
    assert (flow.status, flow.environment) == (said, "e")
