"""Command lines without a box: the verbs are stood in for, so nothing is there to be asked."""

from __future__ import annotations

import pytest

from sandbox.verbs import box_presence
from sandbox.verbs.identifiers import IdentifierResolver


def take_words_as_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every box count as running, and every word as the id it may be the beginning of."""
    monkeypatch.setattr(box_presence, "demand_running_box", lambda _box: None)
    monkeypatch.setattr(IdentifierResolver, "resolve", lambda _self, _kind, given: given)
