"""Puts the Secret with which nodes pull from a private registry into each namespace that has pods of the box.

The box pushes with `docker login`'s credentials; nodes have credentials of their own, or this Secret: a copy
of one that is in the cluster already, or one made of the login's entry for that registry and of no other.
"""

from __future__ import annotations

import base64
import json

from c2d_box.errors import EnvironmentProblem, UsageError
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.clusters.existing.belongings import SERVICES
from sandbox.clusters.existing.registry import ImageRegistry, login_entry
from sandbox.settings import ExistingClusterSettings

NAME = "c2d-box-registry"
"""Name of our Secret. The namespaces are ours too, so it cannot meet somebody else's."""
KIND = "kubernetes.io/dockerconfigjson"
_KEY = ".dockerconfigjson"


def pull_secret_names(chosen: ExistingClusterSettings) -> list[str]:
    """Return the names of pull secrets for the chart's values."""
    return [NAME] if chosen.pull_secret or chosen.pull_by_login else []


def find_pull_secret(kube: KubeApi, chosen: ExistingClusterSettings) -> str:
    """Return the Secret's content in base64, as written to our namespaces; empty where none was asked for.

    Raise where what was asked for cannot be had, with the ``kubectl`` command that would make it.
    """
    if chosen.pull_secret:
        return _copied_secret(kube, chosen)
    if not chosen.pull_by_login:
        return ""
    host = ImageRegistry(chosen.registry).host
    # One registry's entry, not the whole file: everybody who may read Secrets in these namespaces sees it.
    entry = login_entry(host)
    if not entry:
        raise EnvironmentProblem(
            "C2D-EXISTING-PULL-LOGIN",
            f"docker login left no credentials for {host} that can be read: none, or a helper keeps them.",
            f"{_create_command(chosen)}; then c2d-box up --pull-secret default/registry",
        )
    return base64.b64encode(json.dumps({"auths": {host: {"auth": entry}}}).encode()).decode()


def put_pull_secret(kube: KubeApi, namespace: str, content: str) -> None:
    """Write the Secret into a namespace, or leave it where it is unchanged."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME},
        "type": KIND,
        "data": {_KEY: content},
    }
    kube.apply(f"/api/v1/namespaces/{namespace}/secrets/{NAME}", body)


def carry_pull_secret(kube: KubeApi, namespace: str) -> list[str]:
    """Copy the services' Secret into another namespace; return the names for its pods, none where there is no
    Secret.
    """
    found = kube.get(f"/api/v1/namespaces/{SERVICES}/secrets/{NAME}")
    if found is None:
        return []
    put_pull_secret(kube, namespace, found["data"][_KEY])
    return [NAME]


def _copied_secret(kube: KubeApi, chosen: ExistingClusterSettings) -> str:
    """Return the content of the Secret that the user named. A Secret cannot be referred to from another
    namespace, so it has to be copied.
    """
    namespace, _, name = chosen.pull_secret.partition("/")
    # Checked here, as both become part of a path in the API.
    if not (namespace and name) or "/" in name:
        raise UsageError(
            "C2D-EXISTING-PULL-SECRET",
            f"{chosen.pull_secret} is not NAMESPACE/NAME",
            "for example --pull-secret default/registry",
        )
    found = kube.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    content = (found or {}).get("data", {}).get(_KEY, "")
    if found is None or found.get("type") != KIND or not content:
        what = "no Secret" if found is None else f"a Secret, but not of the type {KIND}:"
        raise EnvironmentProblem(
            "C2D-EXISTING-PULL-SECRET",
            f"The cluster has {what} {chosen.pull_secret}.",
            _create_command(chosen, namespace, name),
        )
    return str(content)


def _create_command(
    chosen: ExistingClusterSettings, namespace: str = "default", name: str = "registry"
) -> str:
    """Return the command that makes a usable Secret, for error messages."""
    server = ImageRegistry(chosen.registry).host
    return (
        f"kubectl --namespace {namespace} create secret docker-registry {name}"
        f" --docker-server {server} --docker-username … --docker-password …"
    )
