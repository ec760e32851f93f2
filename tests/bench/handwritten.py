"""Workflows as people write them: no Provider, no order, the program in the object itself."""

from __future__ import annotations

from typing import Any

from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import Box
from sandbox.install.chart_values import JOBS
from sandbox.install.images import find_image

IMAGE = "c2d.local/algo-python"
PATH = f"/apis/oceanprotocol.com/v1alpha/namespaces/{JOBS}/workflows"


def algorithm_container(box: Box) -> dict[str, str]:
    found = find_image(box, IMAGE)
    return {
        "entrypoint": "python3 $ALGO",
        "image": found.image,
        "tag": found.tag,
        "checksum": str(found.checksum),
    }


def workflow_body(
    name: str, owner: str, code: str, section: dict[str, str], namespace: str = JOBS
) -> dict[str, Any]:
    return {
        "apiVersion": "oceanprotocol.com/v1alpha",
        "kind": "WorkFlow",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "owner": owner,
            "environment": "ocean-compute",
            "stages": [{"algorithm": {"rawcode": code, "container": section}}],
        },
    }


def create_workflow(kube: KubeApi, workflow: dict[str, Any]) -> None:
    kube.apply(f"{PATH}/{workflow['metadata']['name']}", workflow)
