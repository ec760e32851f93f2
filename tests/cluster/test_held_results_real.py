"""Results on a real box: none is confirmed by a guess, none is read for whoever has its name alone."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import httpx
import pytest

from c2d_box.client import SpendingLimits
from c2d_box.errors import C2DError
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import Box
from sandbox.demo.story import DemoOutcome
from sandbox.verbs.publishing import assets

from .conftest import finish_verb


def fileinfo(box: Box, **file: Any) -> dict[str, Any]:
    url = f"{box.service_urls['provider']}/api/services/fileinfo"
    return dict(httpx.post(url, json=file, timeout=30, trust_env=False).json()[0])


@pytest.fixture
def metrics(outcome: DemoOutcome) -> dict[str, Any]:
    (found,) = [item for item in outcome.results if item["filename"] == "metrics.json"]
    return dict(found)


def test_a_guess_of_a_result_is_not_confirmed(
    box: Box, outcome: DemoOutcome, metrics: dict[str, Any]
) -> None:
    content = (outcome.folder / "metrics.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == metrics["sha256"]
    cid = b"\x01\x55\x12\x20" + hashlib.sha256(content).digest()
    guess = "b" + base64.b32encode(cid).decode().lower().rstrip("=")
    for checksum in (False, True):
        assert not fileinfo(box, type="ipfs", hash=guess, checksum=checksum)["valid"]
    gateway = httpx.get(f"{box.service_urls['ipfs-gateway']}/ipfs/{guess}", timeout=30, trust_env=False)
    assert gateway.status_code != 200


def test_its_name_opens_it_to_nobody_through_the_provider(
    box: Box, metrics: dict[str, Any], tmp_path: Any
) -> None:
    place = str(metrics["url"]).removeprefix("ipfs://")
    for name in (metrics["cid"], place, place.partition("/")[0]):
        assert not fileinfo(box, type="ipfs", hash=name, checksum=True)["valid"]
    offer = assets.AssetOffer("mine", "another's result", "x", 0.0, ("access",))
    with pytest.raises(C2DError):
        published = finish_verb(assets.publish_dataset(box, "consumer2", f"ipfs://{place}", offer))
        finish_verb(assets.download_asset(box, "consumer2", published.did, tmp_path, SpendingLimits()))
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_no_service_holds_a_root_key(box: Box, kube: KubeApi) -> None:
    """Of the database and of the object store; each key stands in its server's own Secret."""
    roots = {
        name: (box.home.keys_folder / name).read_text().strip()
        for name in ("postgres-password", "s3-secret-key")
    }
    for secret in kube.items("/api/v1/namespaces/c2d/secrets"):
        held = {
            base64.b64decode(value).decode("utf-8", "replace") for value in secret.get("data", {}).values()
        }
        for name, root in roots.items():
            owner = {"postgres-password": "postgres-secrets", "s3-secret-key": "s3-secrets"}[name]
            assert (root in held) == (secret["metadata"]["name"] == owner)
    text = json.dumps(kube.items("/api/v1/namespaces/c2d/pods"))
    assert not [name for name, root in roots.items() if root in text]
