"""ipfshttpclient, as data scientists use it, against Kubo as the box configures it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import ipfshttpclient
import pytest
from ipfshttpclient.exceptions import ErrorResponse

from c2d_box.errors import C2DError
from sandbox.bundle import Bundle
from tests.harness.kubo import KuboNode, kubo_in

pytestmark = pytest.mark.filterwarnings("ignore:The 'strict' parameter:FutureWarning")
"""The library passes urllib3 a parameter that urllib3 will drop."""


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KuboNode]:
    try:
        binary = Bundle.open_cached(["kubo"]).binary("kubo")
    except C2DError as error:
        pytest.skip(f"no Kubo in the bundle: {error}")
    with kubo_in(tmp_path_factory.mktemp("kubo"), binary) as made:
        yield made


@pytest.fixture
def owner(kubo: KuboNode) -> Iterator[Any]:
    with connected(kubo, kubo.admin_token) as client:
        yield client


def connected(kubo: KuboNode, token: str) -> Any:
    """The library warns of every Kubo since 0.9; it works with them, which is what is shown here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ipfshttpclient.exceptions.VersionMismatch)
        headers = {"Authorization": f"Bearer {token}"}
        return ipfshttpclient.connect(f"/ip4/127.0.0.1/tcp/{kubo.rpc_port}/http", headers=headers)


def test_bytes_go_in_and_come_out_at_the_gateway(kubo: KuboNode, owner: Any) -> None:
    name = owner.add_bytes(b"a,b\n1,2\n")
    assert owner.cat(name) == b"a,b\n1,2\n"
    answer = httpx.get(f"{kubo.gateway}/ipfs/{name}", trust_env=False)
    assert (answer.status_code, answer.content) == (200, b"a,b\n1,2\n")


def test_json_comes_back_as_it_went(owner: Any) -> None:
    document = {"rows": 3, "mean": 1.5, "name": "Prüfung"}
    assert owner.get_json(owner.add_json(document)) == document


def test_a_folder_keeps_its_names_and_can_be_fetched(owner: Any, tmp_path: Path) -> None:
    results = tmp_path / "results"
    (results / "plots").mkdir(parents=True)
    (results / "metrics.json").write_text("{}")
    (results / "plots" / "one.txt").write_text("plot")
    added = {entry["Name"]: entry["Hash"] for entry in owner.add(str(results), recursive=True)}
    assert {"results", "results/metrics.json", "results/plots/one.txt"} <= set(added)
    links = owner.ls(added["results"])["Objects"][0]["Links"]
    assert sorted(link["Name"] for link in links) == ["metrics.json", "plots"]
    owner.get(added["results"], target=str(tmp_path / "fetched"))
    assert (tmp_path / "fetched" / added["results"] / "plots" / "one.txt").read_text() == "plot"


def test_pins_are_kept_listed_and_removed(owner: Any) -> None:
    name = owner.add_bytes(b"pinned")
    assert name in owner.pin.ls(type="recursive")["Keys"]
    owner.pin.rm(name)
    assert name not in owner.pin.ls(type="recursive")["Keys"]


def test_the_node_has_no_peers(owner: Any) -> None:
    assert not (owner.swarm.peers()["Peers"] or [])


def test_the_upload_token_does_not_add_read_or_administer(kubo: KuboNode) -> None:
    """It imports what was salted before, see tests/contract/test_salted_ipfs.py."""
    with connected(kubo, kubo.upload_token) as uploader:
        name = "bafkqaaa"
        for forbidden in (
            lambda: uploader.add_bytes(b"uploaded"),
            lambda: uploader.cat(name),
            uploader.config.get,
            lambda: uploader.pin.rm(name),
        ):
            with pytest.raises(ipfshttpclient.exceptions.StatusError):
                forbidden()


def test_nobody_gets_in_without_a_token(kubo: KuboNode) -> None:
    with pytest.raises((ErrorResponse, ipfshttpclient.exceptions.StatusError)):
        connected(kubo, "guessed")
