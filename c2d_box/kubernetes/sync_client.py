"""The handful of Kubernetes calls the verbs make, over plain HTTPS: a client library would cost a quarter
of a second.

Objects are the API's JSON as dictionaries. Errors have codes; 404 is an answer (``None``), not an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from c2d_box.errors import Failed, StateProblem
from c2d_box.kubernetes.kubeconfig import from_kubeconfig
from c2d_box.strict_json import JsonRefused, parse_json

Object = dict[str, Any]
FIELD_MANAGER = "c2d-box"
"""Our name in server-side apply. Kubernetes removes a field that its owner no longer applies; under another
name what earlier versions applied would stay for good.
"""


class KubeApi:
    """Calls to one cluster over one HTTP client."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    @classmethod
    def of(cls, kubeconfig: Path, timeout: float = 10.0) -> KubeApi:
        """Connect to the cluster that ``kubeconfig`` names."""
        if not kubeconfig.exists():
            raise StateProblem("C2D-BOX-DOWN", "this box has no cluster yet", "c2d-box up")
        connection = from_kubeconfig(kubeconfig)
        client = httpx.Client(
            base_url=connection.server,
            verify=connection.tls,
            auth=connection.authorize_request,
            timeout=timeout,
            # A proxy of the environment is for the way out, not to the cluster.
            trust_env=False,
        )
        return cls(client)

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._client.base_url)

    def close(self) -> None:
        """Close the pooled connections."""
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

    def apply(self, path: str, body: Object, **query: str) -> Object:
        """Apply on the server's side, with force: fields that we set become ours, also those of another
        manager.
        """
        return self._object(
            self._send(
                "PATCH",
                path,
                # Forced: a field of ours that somebody has changed by hand is ours again.
                params={"fieldManager": FIELD_MANAGER, "force": "true", **query},
                headers={"content-type": "application/apply-patch+yaml"},
                # JSON is YAML, so the body needs no YAML writer.
                content=json.dumps(body),
            )
        )

    def create_object(self, path: str, body: Object) -> None:
        """Create an object in the list at ``path``; one that exists is left as it is."""
        answer = self._send("POST", path, json=body)
        # 409 is the answer for an object that exists, which is the wanted state.
        if answer.status_code != 409:
            self._object(answer)

    def merge(self, path: str, body: Object, *, strategic: bool = False) -> None:
        """Change single fields of an object that another manager owns; with ``strategic`` also single
        entries of its lists.
        """
        # A plain merge patch replaces lists as a whole: an entry of another manager would be lost.
        headers = {"content-type": f"application/{'strategic-' if strategic else ''}merge-patch+json"}
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
            # The answer comes from a pod, not from Kubernetes, so it passes the strict parser. Two seconds,
            # not the client's ten: a pod that hangs must not hold up a whole status.
            value = parse_json(self._client.get(path, timeout=2.0).content)
        except (httpx.TransportError, JsonRefused):
            return {}
        return value if isinstance(value, dict) else {}

    def ok(self, path: str) -> bool:
        """Return whether GET ``path`` answers with success."""
        # Short for the same reason: this is asked in loops that have a deadline of their own.
        try:
            return self._client.get(path, timeout=2.0).is_success
        except httpx.TransportError:
            return False

    def lines(self, path: str, **query: str) -> Iterator[str]:
        """Follow a streamed text line by line."""
        try:
            # No timeout: a followed log may be silent for as long as the container is.
            with self._client.stream("GET", path, params=query, timeout=None) as answer:
                if not answer.is_success:
                    # The refusal's text is in the body, which a streamed answer has not read yet.
                    answer.read()
                    self._object(answer)
                yield from answer.iter_lines()
        except httpx.TransportError as cause:
            raise StateProblem(
                "C2D-BOX-DOWN", "the box's Kubernetes went away", "c2d-box up (or c2d-box status)"
            ) from cause

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request; a server that cannot be reached is a box that is down (C2D-BOX-DOWN)."""
        try:
            return self._client.request(method, path, **arguments)
        except httpx.TransportError as cause:
            raise StateProblem(
                "C2D-BOX-DOWN", "the box's Kubernetes does not answer", "c2d-box up (or c2d-box status)"
            ) from cause

    def _object(self, answer: httpx.Response) -> Object:
        """Return the answer's object. Raises Failed with the reason that Kubernetes gives."""
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
