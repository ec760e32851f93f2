"""The Python of README and docs runs as it stands there, over the fakes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from c2d_box.client import Connection, Publisher
from sandbox.settings import BoxPorts
from tests.unit.client.conftest import MNEMONIC, ClientWorld

ROOT = Path(__file__).parents[3]


def python_of(page: str) -> str:
    """The page's one block of Python."""
    (block,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


def ran(page: str, names: dict[str, Any]) -> dict[str, Any]:
    """The names after the block of ``page`` has run with ``names``."""
    exec(compile(python_of(page), page, "exec"), names)
    return names


def test_the_readmes_python_starts_a_job(
    world: ClientWorld, assets: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, ...]] = []

    class OverTheFakes(Connection):
        """Is opened with the box's addresses, and leads to the fakes."""

        def __init__(self, provider: str, cache: str, rpc: str, address_file: str) -> None:
            opened.append((provider, cache, rpc))
            super().__init__(provider, cache, world.connection.rpc_url, address_file)
            vars(self).update(provider=world.connection.provider, cache=world.connection.cache)

    monkeypatch.setattr("c2d_box.client.Connection", OverTheFakes)
    names = ran(
        "README.md",
        {
            "address_file": world.connection.address_file,
            "mnemonic": MNEMONIC,
            "dataset_did": assets[0],
            "algorithm_did": assets[1],
        },
    )
    ports = BoxPorts()
    assert opened == [tuple(f"http://127.0.0.1:{p}" for p in (ports.provider, ports.cache, ports.chain))]
    (sent,) = world.provider.sent("compute")
    assert sent["consumerAddress"] == world.consumer.signer.address == names["details"].owner
    assert sent["dataset"]["documentId"] == assets[0] and sent["algorithm"]["documentId"] == assets[1]
    assert names["details"].id == names["job"].id


def test_the_python_of_the_disclosure_page_sets_its_rules(
    world: ClientWorld, assets: tuple[str, str]
) -> None:
    ran(
        "docs/disclosure.md",
        {
            "Publisher": Publisher,
            "connection": world.connection,
            "signer": world.publisher.signer,
            "did": assets[0],
        },
    )
    compute = world.cache.records()[assets[0]]["services"][0]
    rules = compute["additionalInformation"]["c2d"]["disclosure"]
    assert rules == {"types": ["csv"], "maxRows": 50, "minCell": 10}
