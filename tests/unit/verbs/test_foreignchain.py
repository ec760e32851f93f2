"""Choosing a chain outside the box."""

from __future__ import annotations

from pathlib import Path

import pytest

from c2d_box.errors import EnvironmentProblem, UsageError
from sandbox.install.external_chain import choose_chain, examine_chain
from sandbox.settings import ChainChoice


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8545",
        "http://localhost:8545",
        "https://[::1]:1",
        "http://LOCALHOST.:8545",
        "http://127.0.0.1.:8545",
        "http://0.0.0.0:8545",
        "http://[::]:8545",
    ],
)
def test_a_loopback_address_is_refused_because_pods_cannot_reach_it(url: str) -> None:
    with pytest.raises(UsageError, match="C2D-CHAIN-LOOPBACK"):
        choose_chain(url, None)


@pytest.mark.parametrize(
    "url",
    [
        "10.0.0.1:8545",
        "ws://10.0.0.1:8546",
        "http://",
        "http://[::1",
        "http://10.0.0.1:99999",
        "http://10.0.0.1:x",
    ],
)
def test_what_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="C2D-USAGE-CHAIN"):
        choose_chain(url, None)


def test_the_address_file_is_remembered_wherever_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "address.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert choose_chain("http://10.0.0.1:8545", Path("address.json")).address_file == str(
        tmp_path / "address.json"
    )


def test_a_node_that_does_not_answer_is_a_coded_error() -> None:
    with pytest.raises(EnvironmentProblem, match="C2D-CHAIN-UNREACHABLE"):
        examine_chain(ChainChoice("rpc", "http://127.0.0.1:1"))
