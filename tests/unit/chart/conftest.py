"""Rendering the chart with the helm of the bundle, where it has been built."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[3] / "charts" / "c2d"
DIGEST = "sha256:" + "a" * 64
ADDRESS = "0x" + "1" * 40
Object = dict[str, Any]
Render = Callable[..., list[Object]]

BOX: Mapping[str, Any] = {
    "images": {name: f"c2d.local/{name}@{DIGEST}" for name in ("runtime", "postgres", "kubo", "s3")},
    "imagePullPolicy": "Never",
    "clusterIPs": {
        "provider": "10.1.0.30",
        "operatorEngine": "10.1.0.31",
        "ipfs": "10.1.0.32",
        "s3": "10.1.0.33",
    },
    "nodePorts": {"enabled": True},
    "storage": {"className": "c2d-service"},
    "runtimeClasses": {
        "create": True,
        "algorithm": "c2d-unrouted",
        "configuration": "c2d-staging",
        "publishing": "c2d-publishing",
    },
    "chain": {"enabled": True, "allowedHosts": ["127.0.0.1:8545"]},
    "operatorService": {"allowedProviders": [ADDRESS]},
    "jobs": {"imagePullPolicy": "Never"},
    "networkPolicies": {"apiServer": {"cidrs": ["10.0.0.1/32"]}},
    "provisioner": {"enabled": True, "root": "/srv/c2d/volumes"},
}


def _find_helm() -> str | None:
    """The built helm: the bundle's, wherever its cache keeps it, or one on the PATH."""
    cache = os.environ.get("C2D_BOX_CACHE") or Path.home() / ".cache" / "c2d-box"
    built = sorted(path for path in Path(cache).glob("parts/helm/*/**/helm") if path.is_file())
    return str(built[-1]) if built else shutil.which("helm")


@pytest.fixture(scope="session")
def helm() -> str:
    found = _find_helm()
    if not found:
        pytest.skip("no helm: c2d-box bundle build makes it")
    return found


@pytest.fixture(scope="session")
def template(helm: str) -> Callable[[Mapping[str, Any]], subprocess.CompletedProcess[str]]:
    """Run ``helm template`` with these values, whatever comes of it."""

    def run(values: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        command = [
            helm,
            "template",
            "c2d",
            str(CHART),
            "--namespace",
            "c2d",
            "--include-crds",
            "--values",
            "-",
        ]
        return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def render(template: Callable[[Mapping[str, Any]], subprocess.CompletedProcess[str]]) -> Render:
    """The objects that the box's values give, with changes of some sections on top."""

    def objects(**changes: Any) -> list[Object]:
        values = {
            **BOX,
            **{k: {**BOX.get(k, {}), **v} if isinstance(v, dict) else v for k, v in changes.items()},
        }
        done = template(values)
        assert done.returncode == 0, done.stderr
        return [item for item in yaml.safe_load_all(done.stdout) if item]

    return objects


@pytest.fixture(scope="session")
def box(render: Render) -> list[Object]:
    return render()


@pytest.fixture(scope="session")
def cloud(render: Render) -> list[Object]:
    """Another cluster: no node ports, no RuntimeClasses, no provisioner, a real chain, results in S3."""
    return render(
        nodePorts={"enabled": False},
        clusterIPs={"provider": "", "operatorEngine": "", "ipfs": "", "s3": ""},
        runtimeClasses={"create": False, "algorithm": "", "configuration": "", "publishing": ""},
        provisioner={"enabled": False},
        chain={"enabled": False, "id": 137, "rpcUrl": "https://rpc.example", "addresses": {"polygon": {}}},
        resultStore={
            "kind": "s3",
            "bucket": "results",
            "endpoint": "https://s3.eu-west-1.amazonaws.com",
            "cidrs": ["52.218.0.0/17"],
        },
        jobs={"imagePullPolicy": "IfNotPresent", "imagePullSecrets": ["regcred"], "claimsWait": True},
        provider={"publicUrl": "https://provider.example"},
    )
