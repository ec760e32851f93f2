"""The one reader of kubeconfigs: contexts by name, certificates, tokens and credential plugins."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from c2d_box.errors import C2DError
from c2d_box.kubernetes import kubeconfig
from c2d_box.kubernetes.kubeconfig import ClusterConnection, find_connection, from_kubeconfig
from sandbox.clusters.native.control_plane import pki

ADMIN = pki.CertificateSubject("admin", "ca", "admin")


def written(folder: Path, user: dict[str, Any], **cluster: str) -> Path:
    document = {
        "current-context": "lab",
        "contexts": [
            {"name": "lab", "context": {"cluster": "lab", "user": "me"}},
            {"name": "other", "context": {"cluster": "other", "user": "me"}},
            {"name": "broken", "context": {"cluster": "nowhere", "user": "me"}},
        ],
        "clusters": [
            {"name": "lab", "cluster": {"server": "https://lab:6443/", **cluster}},
            {"name": "other", "cluster": {"server": "https://other:6443"}},
        ],
        "users": [{"name": "me", "user": user}],
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(document))
    return path


def authorization(connection: ClusterConnection) -> str | None:
    request = connection.authorize_request(httpx.Request("GET", connection.server))
    return dict(request.headers).get("authorization")


def test_a_context_is_chosen_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, {})
    assert from_kubeconfig(path).server == "https://lab:6443"
    assert from_kubeconfig(path, "other").server == "https://other:6443"
    assert authorization(from_kubeconfig(path)) is None


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"token": "abc"}, "Bearer abc"),
        ({"tokenFile": "token", "token": "older"}, "Bearer of the file"),
        ({"client-certificate": "one", "token": "abc"}, "Bearer abc"),
    ],
)
def test_tokens_inline_and_beside_the_kubeconfig(tmp_path: Path, user: dict[str, Any], said: str) -> None:
    (tmp_path / "token").write_text("of the file\n")
    (tmp_path / "one").write_text("a certificate without its key")
    assert authorization(from_kubeconfig(written(tmp_path, user))) == said


def test_a_plugin_is_asked_for_credentials(tmp_path: Path) -> None:
    answer = json.dumps({"status": {"token": "fresh"}})
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "echo", "args": [answer]}
    assert authorization(from_kubeconfig(written(tmp_path, {"exec": plugin}))) == "Bearer fresh"
    with pytest.raises(C2DError) as problem:
        from_kubeconfig(written(tmp_path, {"exec": {**plugin, "command": "false"}}))
    assert problem.value.code == "C2D-KUBECONFIG-PLUGIN"


@pytest.mark.parametrize("inline", [False, True])
def test_certificates_inline_and_as_files(
    tmp_path: Path, inline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    pki.ensure_certificates(tmp_path, [ADMIN])
    names = {"certificate-authority": "ca.crt", "client-certificate": "admin.crt", "client-key": "admin.key"}
    parts: dict[str, str] = {
        f"{key}-data" if inline else key: (
            base64.b64encode((tmp_path / name).read_bytes()).decode() if inline else name
        )
        for key, name in names.items()
    }
    cluster = {key: value for key, value in parts.items() if "authority" in key}
    user = {key: value for key, value in parts.items() if "client" in key}
    made = from_kubeconfig(written(tmp_path, user, **cluster))
    assert len(made.tls.get_ca_certs()) == 1
    assert list((tmp_path / "scratch").iterdir()) == [], "the key was left behind"


def test_the_server_is_checked_also_where_the_kubeconfig_says_not_to(tmp_path: Path) -> None:
    path = written(tmp_path, {}, **{"insecure-skip-tls-verify": "true"})
    assert from_kubeconfig(path).tls.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("context", ["none", "broken"])
def test_a_context_that_is_not_described_is_said(tmp_path: Path, context: str) -> None:
    with pytest.raises(C2DError, match="does not describe it") as problem:
        from_kubeconfig(written(tmp_path, {}), context)
    assert problem.value.code == "C2D-EXISTING-KUBECONFIG" and problem.value.exit_status == 2


@pytest.mark.parametrize("text", ["{", "[1, 2]", "current-context: lab"])
def test_a_file_that_is_no_kubeconfig_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(C2DError) as problem:
        from_kubeconfig(tmp_path / "config")
    assert problem.value.code == "C2D-EXISTING-KUBECONFIG"


def test_a_certificate_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(C2DError, match="cannot be read"):
        from_kubeconfig(written(tmp_path, {}, **{"certificate-authority": "gone.crt"}))


def test_a_named_kubeconfig_comes_before_the_pods_own_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, {"token": "abc"})
    monkeypatch.setattr(kubeconfig, "ACCOUNT", tmp_path / "account")
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert find_connection().server == "https://lab:6443"
    monkeypatch.delenv("KUBECONFIG")
    with pytest.raises(C2DError) as problem:
        find_connection()
    assert problem.value.code == "C2D-CLUSTER-UNKNOWN"
    pki.ensure_certificates(tmp_path / "pki", [ADMIN])
    (tmp_path / "account").mkdir()
    (tmp_path / "account" / "token").write_text("of the account")
    (tmp_path / "account" / "ca.crt").write_bytes((tmp_path / "pki" / "ca.crt").read_bytes())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    assert find_connection().server == "https://[fd00::1]:443"
    assert authorization(find_connection()) == "Bearer of the account"
    assert find_connection(path).server == "https://lab:6443"
