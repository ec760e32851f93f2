"""Compute environments, as operators write them and as consumers see them (numbers are numbers).

Each is a queue with its own price, limits, images and free quota. The rules for what an environment refuses
are here, so that Provider, operator-service and engine give the same answer.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

PullPolicy = Literal["Never", "IfNotPresent"]
"""Never ``Always``: an image is named by its digest, and a registry that is away must not end jobs."""


class _Part(BaseModel):
    """Base of the models: camelCase in configuration files. An unknown key is an error, so that a misspelt
    limit is not silently no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class ImagePolicy(_Part):
    """The images that an algorithm may use. ``allow`` holds shell patterns of names without tag."""

    allow: tuple[str, ...] = ("*",)
    require_digest: bool = True
    pull_policy: PullPolicy | None = None
    """None: the engine's pull policy."""
    pull_secrets: tuple[str, ...] = ()
    """Secrets of the jobs' namespace with which the kubelet asks a private registry."""

    def refusal_of(self, image: str, checksum: str) -> str | None:
        """Return why this image may not run here, None where it may."""
        # By tag the registry, or whoever controls it, could run another image than the one that was
        # permitted.
        if self.require_digest and not _is_digest(checksum):
            return f"The image {image} is not named by its digest (container.checksum: sha256:…)."
        # ``fnmatchcase``: names of images are case-sensitive, and ``fnmatch`` follows the platform.
        if not any(fnmatchcase(image, pattern) for pattern in self.allow):
            return f"The image {image} is not among those this environment allows: {', '.join(self.allow)}."
        return None


class FreeQuota(_Part):
    """Limit of ``jobs`` that an owner may start within ``seconds``; further ones wait in the queue."""

    jobs: int = Field(ge=1)
    seconds: int = Field(default=86400, ge=1)


class Environment(_Part):
    """One compute environment, as configured. Consumers see only what :meth:`announced` returns."""

    id: str
    desc: str = ""
    cpu_number: float = 1
    cpu_type: str = ""
    gpu_number: int = 0
    gpu_type: str = ""
    gpu_resource: str = "nvidia.com/gpu"
    """Resource name of the cluster's device plugin; requested where ``gpu_number`` is not 0."""
    # Spelt out: the alias generator would write ramGb.
    ramGB: float = 1
    diskGB: float = 1
    price_min: float = 0
    max_jobs: int = 10
    max_job_duration: int = 3600
    storage_expiry: int = 0
    consumer_address: str = ""
    allowed_chain_id: tuple[int, ...] = ()
    priority: int = 0
    """Of two environments that could use the same capacity, the one with the higher number comes first."""
    max_jobs_per_owner: int | None = Field(default=None, ge=1)
    max_queue_time: float | None = Field(default=None, gt=0)
    """Seconds a job waits for a place at most; None: the engine's limit."""
    free_quota: FreeQuota | None = None
    images: ImagePolicy = ImagePolicy()
    node_selector: dict[str, str] = {}
    """Labels of the nodes that take its jobs; not announced to consumers."""
    tolerations: tuple[dict[str, Any], ...] = ()
    """A pod's tolerations of those nodes' taints; nodes with GPUs are mostly tainted."""
    runtime_class: str = ""
    """RuntimeClass of its algorithms' pods; empty: the engine's."""

    def announced(self, *, current_jobs: int, last_seen: float) -> dict[str, Any]:
        """Return the object for consumers. Whole numbers are integers, and ``priceMin`` is always a number.
        Our own keys (queue, quota, images) appear only where they are not the default.
        """
        values = {key: _plain(value) for key, value in self.model_dump(by_alias=True).items()}
        # Keys that Ocean does not have are left out at their defaults: clients then see the original's
        # object.
        for field in _OURS:
            if getattr(self, field) == Environment.model_fields[field].default:
                values.pop(to_camel(field))
        if not self.allowed_chain_id:
            values.pop("allowedChainId")
        # Names of nodes and Secrets are the operator's own affair, and a hint to an attacker.
        for field in ("nodeSelector", "tolerations", "runtimeClass"):
            values.pop(field)
        values.get("images", {}).pop("pullSecrets", None)
        return {**values, "currentJobs": current_jobs, "lastSeen": f"{last_seen:.6f}"}

    def takes_chain(self, chain_id: int | None) -> bool:
        """Return whether jobs paid on this chain run here; an empty list takes any."""
        return not self.allowed_chain_id or chain_id in self.allowed_chain_id


_OURS = ("gpu_resource", "priority", "max_jobs_per_owner", "max_queue_time", "free_quota", "images")
"""Fields that Ocean's environments do not have."""


def _is_digest(checksum: str) -> bool:
    """Return whether the checksum is a digest in the form of the OCI image specification: ``sha256:`` and 64
    hexadecimal digits."""
    algorithm, _, digits = checksum.partition(":")
    return algorithm == "sha256" and len(digits) == 64 and not set(digits) - set("0123456789abcdef")


def _plain(value: Any) -> Any:
    """Return a value as consumers see it: whole numbers as integers, tuples as lists."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return list(value) if isinstance(value, tuple) else value
