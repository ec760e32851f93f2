"""What the box's S3 calls say when something is wrong; tests/contract asks them of the real store."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from c2d_box.errors import StateProblem
from sandbox.objectstore import ObjectStore


def test_a_store_that_does_not_answer_is_a_coded_error(tmp_path: Path) -> None:
    store = ObjectStore("http://127.0.0.1:1", "a", "b", timeout=1)
    with pytest.raises(StateProblem, match="C2D-S3-UNREACHABLE") as caught:
        store.ensure_bucket("data")
    assert isinstance(caught.value.__cause__, httpx.TransportError)


def test_the_secret_shows_in_no_repr() -> None:
    assert "hush" not in repr(ObjectStore("http://x", "id", "hush"))
