"""Makes the chart's values for this box, without a single secret in them, and the Secrets beside them.

helm keeps values in the cluster and prints them, so secrets are written separately. Job pods have no DNS, so
the services have fixed addresses inside the box's service range.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2d_box.assets.endpoints import origin_spellings
from c2d_box.workflow import names
from sandbox.box import Box
from sandbox.bundle import BundleImage
from sandbox.clusters.existing.pull_secrets import pull_secret_names
from sandbox.clusters.port import JobIsolation
from sandbox.defaults import SERVICE_ENDPOINTS, SERVICES_NAMESPACE, SYSTEM_NAMESPACE
from sandbox.install.user_values import merged_values, user_values
from sandbox.keys import BoxKeys

NAMESPACE, JOBS, SYSTEM = SERVICES_NAMESPACE, names.JOBS_NAMESPACE, SYSTEM_NAMESPACE
ENVIRONMENT = "ocean-compute"
"""Id of the one compute environment that a box announces."""
SERVICES = ("chain", "postgres", "ipfs", "s3", "cache", "provider", "operator-service", "operator-engine")
"""All services of the chart; a box on a chain outside runs all but ``chain``."""
SERVICE_IMAGES = ("runtime", "postgres", "kubo", "s3")
"""Images that the chart needs; algorithms' images are loaded beside them."""
KUBE_DNS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}
"""Selectors of the DNS pods on clusters whose DNS runs in pods; the native cluster's DNS is a process on the
node instead.
"""


@dataclass(frozen=True, slots=True)
class ServiceAddresses:
    """Fixed addresses of services, by the chart's names."""

    by_name: Mapping[str, str]

    @classmethod
    def within_range(cls, service_cidr: str) -> ServiceAddresses:
        """Return the addresses in a service range. On clusters of ours they lie in its lowest part, which
        Kubernetes does not give out by itself (KEP-3070); in somebody's cluster the driver looks for free
        ones.
        """
        base = ipaddress.ip_network(service_cidr).network_address
        return cls({name: str(base + place) for name, (place, _) in SERVICE_ENDPOINTS.items()})

    def endpoint_texts(self) -> list[str]:
        """Return ``ip:port`` of each service: those that this box runs answer, and an algorithm must reach
        none.
        """
        return ["{}:{}".format(*self._endpoint(name)) for name in self.by_name]

    def job_isolation(self, result_store: str) -> JobIsolation:
        """Return the endpoints that pods of the two routed job classes may reach; the algorithm's reach
        nothing.
        """
        # Inputs come through the Provider and results go to the one store in use; both report to the engine.
        provider, engine, store = map(self._endpoint, ("provider", "operatorEngine", result_store))
        return JobIsolation.from_lists(staging=[provider, engine], publishing=[engine, store])

    def _endpoint(self, name: str) -> tuple[str, int]:
        """Return address and port of a service."""
        return self.by_name[name], SERVICE_ENDPOINTS[name][1]


def chart_folder() -> Path:
    """Return the chart's folder: inside the wheel, or at its place in a checkout."""
    packaged = Path(__file__).parents[1] / "charts" / "c2d"
    return packaged if packaged.exists() else Path(__file__).parents[2] / "charts" / "c2d"


def services_of(box: Box) -> tuple[str, ...]:
    """Return the services this box runs."""
    return SERVICES if box.settings.chain.rpc_url is None else tuple(s for s in SERVICES if s != "chain")


def chart_values(box: Box, keys: BoxKeys, images: Mapping[str, str]) -> dict[str, Any]:
    """Return the chart's values for this box; ``images`` maps names to references by digest."""
    addresses = ServiceAddresses.within_range(box.cluster.service_cidr).by_name
    # No classes: the nodes are somebody else's.
    classes, policy = box.cluster.runtime_classes, pull_policy(box)
    provider, s3 = box.service_urls["provider"], box.service_urls["s3"]
    # The settings may be left from another attempt; they count for that driver only.
    secret_names = pull_secret_names(box.settings.existing) if box.settings.cluster == "existing" else []
    values: dict[str, Any] = {
        "images": {name: images[name] for name in SERVICE_IMAGES},
        "imagePullPolicy": policy,
        "imagePullSecrets": [{"name": name} for name in secret_names],
        "clusterIPs": dict(addresses),
        # Where the nodes are somebody else's no port is opened on them.
        "nodePorts": {"enabled": bool(classes)},
        "storage": {"className": "c2d-service"},
        "runtimeClasses": {"create": bool(classes), **classes},
        "chain": _chain_values(box),
        "provider": {
            "publicUrl": provider,
            "fetch": {
                # Private addresses, which the Provider refuses otherwise: a publisher's URL must not reach
                # into the cluster.
                "allow": ["http://s3.c2d.svc:9000", "http://ipfs.c2d.svc:8080"],
                "ipfsGateway": "http://ipfs.c2d.svc:8080",
                # Publishers write the address that they see on 127.0.0.1; the Provider's pod must read the
                # same store.
                "aliases": dict.fromkeys(origin_spellings(s3), "http://s3.c2d.svc:9000"),
            },
            "endpointAliases": _provider_names(provider, addresses["provider"]),
            "trust": {"emptyLists": box.settings.trust_empty_lists},
            # A box has one user, whose tests and screens may ask as often as they like.
            "limits": {"perMinute": 0},
        },
        "cache": {"endpointAliases": _provider_names(provider, addresses["provider"])},
        # Requests of other Providers are refused; the box has one.
        "operatorService": {"allowedProviders": [keys.key_address("provider-key")]},
        # One engine: the machine has one node, and a second one would cost the memory of the first.
        "operatorEngine": {
            "replicas": 1,
            "wardenTargets": warden_targets(box),
            # The operator's one switch (docs/adr/0012); every other box has it on.
            "requireIsolation": not box.settings.unproven_jobs,
            # On a chain outside nobody funds the account that pays for the transactions.
            "registration": box.settings.chain.rpc_url is None,
        },
        "environments": [_environment_values(keys)],
        "resultStore": {"kind": box.settings.result_store},
        "jobs": {"imagePullPolicy": policy, "imagePullSecrets": secret_names},
        # Both: DNS in pods is selected by label, the native node's own by its address.
        "networkPolicies": {"dns": [KUBE_DNS, {"ipBlock": {"cidr": f"{box.cluster.dns_ip}/32"}}]},
        "provisioner": {
            "enabled": True,
            "root": box.cluster.volumes_root,
            "devices": box.cluster.devices,
            # Clusters of ours have one node: no choice is waited for, which would cost each job a second.
            **({"jobBinding": "Immediate"} if classes else {}),
        },
    }
    return merged_values(values, user_values(box.settings))


def _provider_names(url: str, address: str) -> dict[str, str]:
    """Map the names under which publishers on this machine and services in the cluster may have written the
    box's Provider to its address in the cluster.
    """
    inside = f"http://{address}:8030"
    names = (f"provider.{NAMESPACE}.svc.cluster.local", f"provider.{NAMESPACE}.svc", f"provider.{NAMESPACE}")
    known = (*origin_spellings(url), *(f"http://{name}:8030" for name in (*names, "provider")), inside)
    return dict.fromkeys(known, inside)


def pinned_image(box: Box, image: BundleImage) -> str:
    """Return the reference of exactly this image, as the cluster's nodes find it."""
    registry = box.cluster.registry
    return f"{registry}/{image.name}@{image.digest}" if registry else image.pinned_reference


def pull_policy(box: Box) -> str:
    """Return the pull policy. Images on the node cannot be pulled from anywhere: Never makes a missing one
    fail at once, with that reason.
    """
    return "IfNotPresent" if box.cluster.registry else "Never"


def warden_targets(box: Box) -> list[str]:
    """Return what the warden must find closed besides the chart's services: API server, kubelet and DNS."""
    node = box.cluster.node_ip
    return [f"{node}:6443", f"{node}:10250", f"{box.cluster.dns_ip}:53"]


def _chain_values(box: Box) -> dict[str, Any]:
    """Return the chart's section on the chain: the box's own, or the one outside with its contracts'
    addresses.
    """
    choice = box.settings.chain
    if choice.rpc_url is not None:
        # Written by `up` after it examined the chain.
        addresses = json.loads(box.home.address_file.read_text())
        return {"enabled": False, "id": choice.chain_id, "rpcUrl": choice.rpc_url, "addresses": addresses}
    return {"enabled": True, "id": choice.chain_id, "allowedHosts": ["127.0.0.1", "localhost"]}


def _environment_values(keys: BoxKeys) -> dict[str, Any]:
    """Return the environment as it is announced to consumers.

    One CPU and 1 GiB for a job, no price, and results that do not expire (0). The address is that of the
    environment's key.
    """
    return {
        "id": ENVIRONMENT,
        "desc": "This computer",
        "cpuNumber": 1,
        "cpuType": "",
        "gpuNumber": 0,
        "gpuType": "",
        "ramGB": 1,
        "diskGB": 2,
        "priceMin": 0,
        "maxJobs": 10,
        "maxJobDuration": 3600,
        "storageExpiry": 0,
        "consumerAddress": keys.key_address(f"environment-key-{ENVIRONMENT}"),
    }


def service_secrets(keys: BoxKeys) -> dict[str, dict[str, str]]:
    """Return the Secrets of the services' namespace: name, then key to value. Each service gets what it needs
    and no more.
    """
    environment = f"environment-key-{ENVIRONMENT}"
    # The file format of a private IPFS network (pnet PSK v1).
    swarm_key = f"/key/swarm/psk/1.0.0/\n/base16/\n{keys['swarm-key']}\n"
    return {
        "cache-secrets": _pick_keys(keys, "cache-key"),
        "provider-secrets": {
            **_pick_keys(keys, "provider-key", "token-secret", "result-secret"),
            **_s3_keys(keys, "provider"),
        },
        "operator-service-secrets": {
            **_pick_keys(keys, "admin-password"),
            **_s3_keys(keys, "service"),
            # Each service logs in as its own role, which may do what it needs (postgres-secrets names them).
            "postgres-password": keys["postgres-service-password"],
        },
        "operator-engine-secrets": {
            **_pick_keys(keys, environment, "upload-token", "expiry-token", "register-key", "result-secret"),
            **_s3_keys(keys, "engine"),
            "postgres-password": keys["postgres-engine-password"],
        },
        "postgres-secrets": {
            **_pick_keys(keys, "postgres-password"),
            "role-c2d_engine": keys["postgres-engine-password"],
            "role-c2d_service": keys["postgres-service-password"],
        },
        "ipfs-secrets": {
            **_pick_keys(keys, "upload-token", "expiry-token", "ipfs-admin-token"),
            "swarm-key": swarm_key,
        },
        "s3-secrets": {name: key for name, key in keys.values.items() if name.startswith("s3-")},
    }


def _s3_keys(keys: BoxKeys, user: str) -> dict[str, str]:
    """Return a service's own key of the store, under the names by which every service reads its own."""
    return {f"s3-{part}-key": keys[f"s3-{user}-{part}-key"] for part in ("access", "secret")}


def _pick_keys(keys: BoxKeys, *names: str) -> dict[str, str]:
    """Return some of the box's secrets by name."""
    return {name: keys[name] for name in names}


def values_fingerprint(values: Mapping[str, Any], chart: Path) -> str:
    """Return a hash that changes when anything helm would install changes: values (images by digest among
    them) or chart.
    """
    # Sorted: the order of a dictionary must not look like a change.
    hashed = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for file in sorted(path for path in chart.rglob("*") if path.is_file()):
        # With its path, so that a renamed template counts as a change.
        hashed.update(str(file.relative_to(chart)).encode() + b"\0" + file.read_bytes())
    return hashed.hexdigest()
