"""The private node's configuration: no peers, no listeners, two callers."""

from __future__ import annotations

import base64
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILES = Path(__file__).parents[3] / "charts" / "c2d" / "files" / "kubo"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kubo_prepare", FILES / "prepare.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "upload-token").write_text("up\n")
    (folder / "ipfs-admin-token").write_text("adm")
    return folder


def prepared(script: ModuleType, tokens: Path, tmp_path: Path) -> dict[str, Any]:
    first = tmp_path / "first.json"
    script.prepare(FILES / "config.json", tokens, tmp_path / "repo", first)
    read: dict[str, Any] = json.loads(first.read_text())
    return read


def test_the_node_talks_to_nobody(script: ModuleType, tokens: Path, tmp_path: Path) -> None:
    config = prepared(script, tokens, tmp_path)
    assert config["Bootstrap"] == config["Addresses"]["Swarm"] == []
    assert config["Routing"] == {"Type": "none", "DelegatedRouters": []}
    assert config["Discovery"]["MDNS"]["Enabled"] is False
    assert config["AutoConf"]["Enabled"] is config["AutoTLS"]["Enabled"] is False
    assert config["Gateway"]["NoFetch"] is True
    assert config["Provide"]["Enabled"] is False
    assert config["Plugins"]["Plugins"]["telemetry"]["Disabled"] is True
    assert "auto" not in json.dumps(config).replace("AutoConf", "").replace('"Auto', "").split('"')


def test_an_upload_may_import_and_no_more(script: ModuleType, tokens: Path, tmp_path: Path) -> None:
    callers = prepared(script, tokens, tmp_path)["API"]["Authorizations"]
    assert callers["upload"] == {
        "AuthSecret": "bearer:up",
        "AllowedPaths": ["/api/v0/dag/import", "/api/v0/version"],
    }
    assert callers["admin"]["AuthSecret"] == "bearer:adm"
    assert callers.keys() == {"upload", "admin"}


def test_the_identity_is_made_as_libp2p_makes_it(script: ModuleType, tokens: Path, tmp_path: Path) -> None:
    identity = prepared(script, tokens, tmp_path)["Identity"]
    assert identity["PeerID"].startswith("12D3KooW")
    assert len(identity["PeerID"]) == 52
    private = base64.b64decode(identity["PrivKey"])
    assert private[:4] == b"\x08\x01\x12\x40"
    assert len(private) == 68


def test_settings_are_set_anew_at_each_start_and_the_identity_is_kept(
    script: ModuleType, tokens: Path, tmp_path: Path
) -> None:
    made = prepared(script, tokens, tmp_path)
    repository = tmp_path / "repo"
    for name in ("version", "datastore_spec"):
        (repository / name).write_text("x")
    edited = {**made, "Bootstrap": ["/dnsaddr/somewhere"]}
    (repository / "config").write_text(json.dumps(edited))
    script.prepare(FILES / "config.json", tokens, repository, tmp_path / "unused.json")
    config = json.loads((repository / "config").read_text())
    assert config["Bootstrap"] == []
    assert config["Identity"] == made["Identity"]
    assert (repository / "config").stat().st_mode & 0o777 == 0o600
    assert (repository / "swarm.key").read_text().startswith("/key/swarm/psk/1.0.0/\n/base16/\n")


def test_a_repository_that_was_never_finished_is_begun_anew(
    script: ModuleType, tokens: Path, tmp_path: Path
) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "config").write_text("{")
    assert prepared(script, tokens, tmp_path)["Identity"]
    assert not (tmp_path / "repo" / "config").exists()


def test_an_empty_token_is_refused(script: ModuleType, tokens: Path, tmp_path: Path) -> None:
    (tokens / "upload-token").write_text("\n")
    with pytest.raises(SystemExit, match="C2D-IPFS-TOKEN-EMPTY"):
        prepared(script, tokens, tmp_path)
