"""Finds the API server and our credentials: from inside a pod, or from a kubeconfig.

The one reader of kubeconfigs: contexts by name, certificates inline or as files, tokens inline or as files,
credential plugins. The API server's certificate is always checked, also where the kubeconfig says otherwise.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from c2d_box.errors import Failed, StateProblem, UsageError
from c2d_box.strict_json import JsonRefused
from c2d_box.strict_yaml import parse_yaml

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Folder in which the kubelet puts the token and the CA of a pod's service account."""


@dataclass(frozen=True, slots=True)
class ClusterConnection:
    """An API server's address and our credentials. ``token_file`` is read anew for every request: the kubelet
    rotates it.
    """

    server: str
    tls: ssl.SSLContext
    token: str = field(default="", repr=False)
    token_file: Path | None = None

    def authorize_request(self, request: httpx.Request) -> httpx.Request:
        """Add the token to a request; httpx calls this as its ``auth``."""
        try:
            token = self.token if self.token_file is None else self.token_file.read_text().strip()
        except OSError as cause:
            raise _unusable_error(f"{self.token_file} cannot be read.") from cause
        # Without a token the client certificate of the TLS context identifies us.
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return request


@dataclass(frozen=True, slots=True)
class KubeconfigContext:
    """One context of a kubeconfig, with the cluster and the user that it names."""

    name: str
    context: Mapping[str, Any]
    cluster: Mapping[str, Any]
    user: Mapping[str, Any] = field(repr=False)
    folder: Path
    """The kubeconfig's own, which relative paths in it start from."""

    def read_file(self, path: str) -> bytes:
        """Return the content of a file that the kubeconfig names. Raises UsageError."""
        try:
            return self.folder.joinpath(path).read_bytes()
        except OSError as cause:
            raise _unusable_error(f"{self.folder.joinpath(path)} cannot be read.") from cause

    def read_material(self, section: Mapping[str, Any], key: str) -> bytes:
        """Return TLS material of ``section``, given inline or as a file; empty where it is not given."""
        # As kubectl does it: the inline form wins where both are given.
        if f"{key}-data" in section:
            return base64.b64decode(section[f"{key}-data"])
        return self.read_file(section[key]) if key in section else b""


def find_connection(kubeconfig: Path | None = None) -> ClusterConnection:
    """Return the connection of an explicit kubeconfig, else of the pod's service account, else of
    ``$KUBECONFIG``.
    """
    if kubeconfig is not None:
        return from_kubeconfig(kubeconfig)
    # In a pod its own account wins over the environment.
    if (ACCOUNT / "token").exists():
        return in_cluster()
    named = os.environ.get("KUBECONFIG")
    if named:
        return from_kubeconfig(Path(named))
    raise StateProblem(
        "C2D-CLUSTER-UNKNOWN",
        "There is neither a service account of a pod nor a kubeconfig.",
        "Run this inside the cluster or set KUBECONFIG.",
    )


def in_cluster() -> ClusterConnection:
    """Return the connection of the pod's service account, by the variables that Kubernetes sets in every
    container.

    Raise KeyError outside a pod: :func:`find_connection` asks for the token file first.
    """
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return ClusterConnection(
        # An IPv6 address needs brackets in a URL.
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        tls=ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt")),
        token_file=ACCOUNT / "token",
    )


def from_kubeconfig(path: Path, context: str = "") -> ClusterConnection:
    """Return the connection of a kubeconfig's context ``context``, by default of its current one.

    Raise UsageError where the file is not usable, and Failed where its credential plugin gives nothing.
    """
    found = find_context(read_kubeconfig(path), path, context)
    # The plugin's answer replaces credentials that the user's section holds itself.
    user = dict(found.user)
    if "exec" in user:
        user |= _ask_plugin(user["exec"])
    authority = found.read_material(found.cluster, "certificate-authority")
    # Without a CA of its own the system's are taken, as for a managed cluster with a public certificate.
    # `insecure-skip-tls-verify` is not read: the server is always checked.
    tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
    certificate = found.read_material(user, "client-certificate")
    key = found.read_material(user, "client-key")
    if certificate and key:
        # The ssl module loads client certificates from files only. The file is private to us (mode 0600) and
        # gone before the function returns.
        with tempfile.NamedTemporaryFile(prefix="c2d-", suffix=".pem") as both:
            both.write(certificate + b"\n" + key)
            both.flush()
            tls.load_cert_chain(both.name)
    # A relative path starts at the kubeconfig's folder, as with kubectl; an absolute one replaces it.
    token_file = found.folder / user["tokenFile"] if "tokenFile" in user else None
    return ClusterConnection(found.cluster["server"].rstrip("/"), tls, user.get("token", ""), token_file)


def read_kubeconfig(path: Path) -> dict[str, Any]:
    """Return a kubeconfig's content. Raises UsageError where it cannot be read."""
    try:
        document = parse_yaml(path.read_bytes())
    except (OSError, JsonRefused) as cause:
        raise UsageError("C2D-EXISTING-KUBECONFIG", f"{path} cannot be read.", "Check the file.") from cause
    # Any other content has no contexts, which :func:`find_context` reports with the path.
    return document if isinstance(document, dict) else {}


def find_context(document: Mapping[str, Any], path: Path, name: str = "") -> KubeconfigContext:
    """Return a context of the kubeconfig ``document``, by default the current one. Raises UsageError where
    something that it names is not described. ``path``: where the document was read.
    """
    # ``current-context`` may be missing; the error below then says that nothing is named.
    chosen = name or str(document.get("current-context", ""))

    def section(kind: str, wanted: str) -> Mapping[str, Any]:
        for entry in document.get(kind) or ():
            if isinstance(entry, dict) and entry.get("name") == wanted:
                # The section `contexts` holds entries with a key `context`, and so do the other two.
                return entry.get(kind[:-1]) or {}
        raise _unusable_error(f"{path} names {wanted or 'nothing'} in {kind} and does not describe it.")

    context = section("contexts", chosen)
    cluster = section("clusters", str(context.get("cluster")))
    user = section("users", str(context.get("user")))
    if "server" not in cluster:
        raise _unusable_error(f"{path} names no server of the cluster {context.get('cluster')}.")
    return KubeconfigContext(chosen, context, cluster, user, path.parent)


def _unusable_error(text: str) -> UsageError:
    """Return the error for a kubeconfig that cannot be used; kubectl shows the user the same content."""
    return UsageError("C2D-EXISTING-KUBECONFIG", text, "Check it with kubectl: kubectl config view")


def _ask_plugin(plugin: Mapping[str, Any]) -> dict[str, str]:
    """Run a credential plugin (client.authentication.k8s.io); return a token, or certificate and key."""
    # As kubectl does it: the plugin sees our environment, with its own variables on top.
    environment = {entry["name"]: entry["value"] for entry in plugin.get("env") or ()}
    # Not interactive: nobody is there to answer a prompt, and the plugin must fail instead of waiting.
    question = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": {"interactive": False}}
    environment["KUBERNETES_EXEC_INFO"] = json.dumps(question)
    command = [plugin["command"], *(plugin.get("args") or ())]
    try:
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=True
        )
        # `expirationTimestamp` is not read: credentials are asked for once per connection.
        said = dict(json.loads(done.stdout)["status"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as cause:
        # The plugin's output is left out of the error: it may hold credentials.
        raise Failed(
            "C2D-KUBECONFIG-PLUGIN",
            f"the kubeconfig's credential plugin {command[0]} gave no credentials",
            "try it with kubectl: kubectl get --raw /readyz",
        ) from cause
    names = {"clientCertificateData": "client-certificate-data", "clientKeyData": "client-key-data"}
    # Encoded like inline material of the kubeconfig, so that one reader serves both.
    found = {
        ours: base64.b64encode(said[theirs].encode()).decode()
        for theirs, ours in names.items()
        if theirs in said
    }
    return {**found, **({"token": said["token"]} if "token" in said else {})}
