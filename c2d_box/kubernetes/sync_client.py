"""The handful of Kubernetes calls the verbs make, over plain HTTPS: a client library would cost a quarter
of a second.

Objects are the API's JSON as dictionaries. Errors have codes; 404 is an answer (``None``), not an error.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from c2d_box.errors import Failed, StateProblem
from c2d_box.strict_json import JsonRefused, parse_json
from c2d_box.strict_yaml import parse_yaml

Object = dict[str, Any]
FIELD_MANAGER = "c2d-box"


class KubeApi:
    """Calls to one cluster over one HTTP client."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    @classmethod
    def of(cls, kubeconfig: Path, timeout: float = 10.0) -> KubeApi:
        """Connect to the cluster that ``kubeconfig`` names."""
        if not kubeconfig.exists():
            raise StateProblem("C2D-BOX-DOWN", "this box has no cluster yet", "c2d-box up")
        context = _Context(kubeconfig)
        client = httpx.Client(
            base_url=context.server,
            verify=context.tls,
            headers=context.headers,
            timeout=timeout,
            trust_env=False,
        )
        return cls(client)

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._client.base_url)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> KubeApi:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def get(self, path: str, **query: str) -> Object | None:
        """Return the object or list at ``path``; None where there is none."""
        answer = self._send("GET", path, params=query)
        return None if answer.status_code == 404 else self._object(answer)

    def items(self, path: str, **query: str) -> list[Object]:
        """Return the items of a list; empty where the resource does not exist."""
        return list((self.get(path, **query) or {}).get("items", []))

    def apply(self, path: str, body: Object) -> Object:
        """Apply on the server's side, with force: fields that we set become ours, also those of another
        manager.
        """
        return self._object(
            self._send(
                "PATCH",
                path,
                params={"fieldManager": FIELD_MANAGER, "force": "true"},
                headers={"content-type": "application/apply-patch+yaml"},
                content=json.dumps(body),
            )
        )

    def merge(self, path: str, body: Object) -> None:
        """Change single fields of an object that another manager owns."""
        headers = {"content-type": "application/merge-patch+json"}
        self._object(self._send("PATCH", path, headers=headers, content=json.dumps(body)))

    def delete(self, path: str) -> None:
        """Delete the object at ``path``; a missing one is no error."""
        answer = self._send("DELETE", path)
        if answer.status_code != 404:
            self._object(answer)

    def text(self, path: str, **query: str) -> str:
        """Return the body at ``path`` as text (logs, proxied answers); empty where there is none."""
        answer = self._send("GET", path, params=query)
        return answer.text if answer.is_success else ""

    def said(self, path: str) -> Object:
        """Return the JSON object a pod answers through the API server's proxy, whatever the status; empty
        where no such answer comes soon.
        """
        try:
            value = parse_json(self._client.get(path, timeout=2.0).content)
        except (httpx.TransportError, JsonRefused):
            return {}
        return value if isinstance(value, dict) else {}

    def ok(self, path: str) -> bool:
        """Return whether GET ``path`` answers with success."""
        try:
            return self._client.get(path, timeout=2.0).is_success
        except httpx.TransportError:
            return False

    def lines(self, path: str, **query: str) -> Iterator[str]:
        """Follow a streamed text line by line."""
        try:
            with self._client.stream("GET", path, params=query, timeout=None) as answer:
                if not answer.is_success:
                    answer.read()
                    self._object(answer)
                yield from answer.iter_lines()
        except httpx.TransportError as cause:
            raise StateProblem(
                "C2D-BOX-DOWN", "the box's Kubernetes went away", "c2d-box up (or c2d-box status)"
            ) from cause

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **arguments)
        except httpx.TransportError as cause:
            raise StateProblem(
                "C2D-BOX-DOWN", "the box's Kubernetes does not answer", "c2d-box up (or c2d-box status)"
            ) from cause

    def _object(self, answer: httpx.Response) -> Object:
        if answer.is_success:
            body: Object = answer.json()
            return body
        try:
            reason = answer.json().get("message", answer.text)
        except ValueError:
            reason = answer.text
        raise Failed(
            "C2D-KUBERNETES-REFUSED",
            f"Kubernetes refused {answer.request.method} {answer.request.url.path}: {reason}",
            "c2d-box status",
        )


class _Context:
    """Server, TLS material and credentials of a kubeconfig's current context."""

    def __init__(self, kubeconfig: Path) -> None:
        document = parse_yaml(kubeconfig.read_bytes())
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], context["cluster"])["cluster"]
        user = dict(_named(document["users"], context["user"])["user"])
        if "exec" in user:
            user |= _asked(user["exec"])
        self.server: str = cluster["server"]
        self.headers = {"authorization": f"Bearer {user['token']}"} if user.get("token") else {}
        authority = _material(cluster, "certificate-authority", kubeconfig.parent)
        self.tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
        certificate = _material(user, "client-certificate", kubeconfig.parent)
        key = _material(user, "client-key", kubeconfig.parent)
        if certificate and key:
            with tempfile.NamedTemporaryFile(prefix="c2d-", suffix=".pem") as both:
                both.write(certificate + b"\n" + key)
                both.flush()
                self.tls.load_cert_chain(both.name)


def _asked(plugin: Mapping[str, Any]) -> dict[str, str]:
    """Run a credential plugin (client.authentication.k8s.io); return a token, or certificate and key."""
    environment = {entry["name"]: entry["value"] for entry in plugin.get("env") or ()}
    question = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": {"interactive": False}}
    environment["KUBERNETES_EXEC_INFO"] = json.dumps(question)
    command = [plugin["command"], *(plugin.get("args") or ())]
    try:
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=True
        )
        said = json.loads(done.stdout)["status"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as cause:
        raise Failed(
            "C2D-KUBECONFIG-PLUGIN",
            f"the kubeconfig's credential plugin {command[0]} gave no credentials",
            "try it with kubectl: kubectl get --raw /readyz",
        ) from cause
    names = {"clientCertificateData": "client-certificate-data", "clientKeyData": "client-key-data"}
    found = {
        ours: base64.b64encode(said[theirs].encode()).decode()
        for theirs, ours in names.items()
        if theirs in said
    }
    return {**found, **({"token": said["token"]} if "token" in said else {})}


def _named(entries: list[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _material(source: Mapping[str, Any], name: str, folder: Path) -> bytes:
    """Return TLS material that is given inline or as a file; empty where it is not given."""
    if f"{name}-data" in source:
        return base64.b64decode(source[f"{name}-data"])
    return folder.joinpath(source[name]).read_bytes() if name in source else b""
