"""The accounts that the pytest plugin gives to the workers of xdist."""

from __future__ import annotations

import pytest

from sandbox.testing.plugin import _worker_account


def test_six_workers_have_accounts_of_their_own() -> None:
    given = [_worker_account(f"gw{worker}", role) for worker in range(6) for role in range(2)]
    assert sorted(given) == list(range(8, 20))


def test_one_more_worker_is_told_so() -> None:
    with pytest.raises(pytest.UsageError, match="accounts for 6 workers"):
        _worker_account("gw6", 0)
