"""Copies the one context of a user's kubeconfig that the box uses into a file of the box's own.

The file holds only that context, its certificates inside, so that the box keeps working when the user's
current context changes, and never touches another cluster.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from c2d_box.errors import UsageError
from c2d_box.kubernetes.kubeconfig import KubeconfigContext, find_context, read_kubeconfig

_FILES = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key"),
}
"""Fields of a kubeconfig that name a file, each with a sibling ``…-data`` that holds the content."""


def extract_kubeconfig(kubeconfig: str, context: str) -> str:
    """Return a kubeconfig (JSON, which is YAML) with ``context`` alone; empty arguments mean kubectl's
    defaults.

    A context that does not check the API server is refused (``C2D-EXISTING-INSECURE``): whoever stands
    between could read every Secret that the box writes.
    """
    found = _find_context(_candidate_files(kubeconfig), context)
    # Copies: fields are taken out below.
    cluster, user = dict(found.cluster), dict(found.user)
    if cluster.get("insecure-skip-tls-verify") or not str(cluster["server"]).startswith("https://"):
        raise UsageError(
            "C2D-EXISTING-INSECURE",
            f"The context {found.name} does not check who the API server is.",
            "Put the cluster's certificate authority into the kubeconfig, and an https:// server.",
        )
    for part, names in ((cluster, _FILES["cluster"]), (user, _FILES["user"])):
        for name in names:
            if path := part.pop(name, None):
                # Relative paths are relative to the kubeconfig they stand in, and would break in another
                # folder.
                part[f"{name}-data"] = base64.b64encode(found.read_file(path)).decode()
    if token_file := user.get("tokenFile"):
        # Named, not copied: tokens are renewed in their file, as credential plugins ("exec") renew theirs.
        found.read_file(token_file)
        user["tokenFile"] = str(found.folder.joinpath(token_file).absolute())
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": found.name,
            "contexts": [{"name": found.name, "context": {**found.context, "cluster": "box", "user": "box"}}],
            "clusters": [{"name": "box", "cluster": cluster}],
            "users": [{"name": "box", "user": user}],
        },
        indent=1,
    )


def server_url(kubeconfig: str) -> str:
    """Return the API server's URL in an extracted kubeconfig."""
    return str(json.loads(kubeconfig)["clusters"][0]["cluster"]["server"])


def current_context(kubeconfig: str) -> str:
    """Return the context's name in an extracted kubeconfig, for messages: users know the cluster by it."""
    return str(json.loads(kubeconfig)["current-context"])


def _candidate_files(kubeconfig: str) -> list[Path]:
    """Return the files in kubectl's order: the one named, else those of ``KUBECONFIG``, else the usual
    one.
    """
    if kubeconfig:
        return [Path(kubeconfig)]
    listed = [Path(item) for item in os.environ.get("KUBECONFIG", "").split(os.pathsep) if item]
    return listed or [Path.home() / ".kube" / "config"]


def _find_context(places: list[Path], context: str) -> KubeconfigContext:
    """Return the context from the first file that has it: kubectl's own rule for several files."""
    for place in places:
        document = read_kubeconfig(place) if place.exists() else {}
        names = {entry.get("name") for entry in document.get("contexts") or ()}
        if (context or document.get("current-context")) in names:
            return find_context(document, place, context)
    raise UsageError(
        "C2D-EXISTING-CONTEXT",
        f"No kubeconfig has {f'the context {context}' if context else 'a current context'}.",
        "kubectl config get-contexts lists them; name one: --context NAME [--kubeconfig FILE]",
        looked_at=[str(place) for place in places],
    )
