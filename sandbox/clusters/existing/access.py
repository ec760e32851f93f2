"""Copies the one context of a user's kubeconfig that the box uses into a file of the box's own.

The file holds only that context, its certificates inside, so that the box keeps working when the user's
current context changes, and never touches another cluster.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from c2d_box.errors import UsageError
from c2d_box.strict_json import JsonRefused
from c2d_box.strict_yaml import parse_yaml

_FILES = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key"),
}


def extract(kubeconfig: str, context: str) -> str:
    """Return a kubeconfig (JSON, which is YAML) with ``context`` alone; empty arguments mean kubectl's
    defaults.
    """
    place, document = _holding(_candidates(kubeconfig), context)
    chosen = context or str(document.get("current-context", ""))
    found = _named(document, "contexts", chosen, place).get("context") or {}
    cluster = dict(_named(document, "clusters", str(found.get("cluster")), place).get("cluster") or {})
    user = dict(_named(document, "users", str(found.get("user")), place).get("user") or {})
    if cluster.get("insecure-skip-tls-verify") or not str(cluster.get("server", "")).startswith("https://"):
        raise UsageError(
            "C2D-EXISTING-INSECURE",
            f"The context {chosen} does not check who the API server is.",
            "Put the cluster's certificate authority into the kubeconfig, and an https:// server.",
        )
    for part, names in ((cluster, _FILES["cluster"]), (user, _FILES["user"])):
        for name in names:
            if path := part.pop(name, None):
                part[f"{name}-data"] = base64.b64encode(place.parent.joinpath(path).read_bytes()).decode()
    if token_file := user.pop("tokenFile", None):
        user["token"] = place.parent.joinpath(token_file).read_text().strip()
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": chosen,
            "contexts": [{"name": chosen, "context": {**found, "cluster": "box", "user": "box"}}],
            "clusters": [{"name": "box", "cluster": cluster}],
            "users": [{"name": "box", "user": user}],
        },
        indent=1,
    )


def server(kubeconfig: str) -> str:
    """Return the API server's URL in an extracted kubeconfig."""
    return str(json.loads(kubeconfig)["clusters"][0]["cluster"]["server"])


def context(kubeconfig: str) -> str:
    return str(json.loads(kubeconfig)["current-context"])


def _candidates(kubeconfig: str) -> list[Path]:
    if kubeconfig:
        return [Path(kubeconfig)]
    listed = [Path(item) for item in os.environ.get("KUBECONFIG", "").split(os.pathsep) if item]
    return listed or [Path.home() / ".kube" / "config"]


def _holding(places: list[Path], context: str) -> tuple[Path, dict[str, Any]]:
    """Return the first file that has the context, and its content: kubectl's own rule for several files."""
    read = [(place, _read(place)) for place in places if place.exists()]
    for place, document in read:
        names = {entry.get("name") for entry in document.get("contexts") or ()}
        if (context or document.get("current-context")) in names:
            return place, document
    raise UsageError(
        "C2D-EXISTING-CONTEXT",
        f"No kubeconfig has {f'the context {context}' if context else 'a current context'}.",
        "kubectl config get-contexts lists them; name one: --context NAME [--kubeconfig FILE]",
        looked_at=[str(place) for place in places],
    )


def _read(place: Path) -> dict[str, Any]:
    try:
        document = parse_yaml(place.read_bytes())
    except (OSError, JsonRefused) as cause:
        raise UsageError("C2D-EXISTING-KUBECONFIG", f"{place} cannot be read.", "Check the file.") from cause
    return document if isinstance(document, dict) else {}


def _named(document: dict[str, Any], kind: str, name: str, place: Path) -> dict[str, Any]:
    for entry in document.get(kind) or ():
        if isinstance(entry, dict) and entry.get("name") == name:
            return entry
    raise UsageError(
        "C2D-EXISTING-KUBECONFIG",
        f"{place} names {name or 'nothing'} in {kind} and does not describe it.",
        "Check it with kubectl: kubectl config view",
    )
