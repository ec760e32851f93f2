"""The engine's configuration file. Secrets are not in it but in files of ``secretsDir``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from c2d_box.operator_engine.rules.limits import StageLimits
from c2d_box.service.settings import ChainSection, ListenSection, SettingsSection
from c2d_box.workflow.environments import Environment, PullPolicy
from c2d_box.workflow.jobtable import PostgresSettings
from c2d_box.workflow.names import JOBS_NAMESPACE, Component
from c2d_box.workflow.result_store import IpfsStore, S3Store


class EngineListen(ListenSection):
    """Address of the port that the jobs' pods call."""

    port: int = 8051


class EngineImages(SettingsSection):
    """``runtime``: the image of all our own programs, by digest."""

    runtime: str


class RuntimeClasses(SettingsSection):
    """RuntimeClass of each kind of pod; None where the cluster isolates by policy alone."""

    algorithm: str | None = None
    configuration: str | None = None
    publishing: str | None = None


class WardenSettings(SettingsSection):
    """Settings of the warden's check. ``targets`` are ``ip:port`` of things that are alive and must not be
    reachable; ``timeout`` holds per probe.

    With ``required`` false the operator lets jobs run that are not isolated; the proof says so, and the
    evidence. ``restrictions`` are those the kernel must report of the pod besides, by the warden's names; the
    user namespace is added where pods have one.
    """

    targets: tuple[str, ...] = ()
    timeout: float = 0.3
    required: bool = True
    restrictions: tuple[str, ...] = ("capabilities", "no_new_privileges", "seccomp")


class CapacitySettings(SettingsSection):
    """Most that all jobs may request together. Without this section only ``maxJobs`` counts."""

    cpu: float
    """Cores. Memory and disk are in GiB."""
    memory_gb: float
    disk_gb: float


class RegistrationSettings(SettingsSection):
    """Settings for jobs whose results become assets: the chain, and the Provider that seals and serves them.

    ``public_url`` is the Provider's address as it stands in the asset's description.
    """

    chain: ChainSection
    provider_url: str
    public_url: str


class EngineSettings(SettingsSection):
    """The whole configuration of an engine."""

    listen: EngineListen = EngineListen()
    namespace: str = JOBS_NAMESPACE
    postgres: PostgresSettings
    environments: tuple[Environment, ...]
    images: EngineImages
    image_pull_policy: PullPolicy = "Never"
    """``Never`` suits a box, whose images are on the node already; a chart sets ``IfNotPresent``."""
    runtime_classes: RuntimeClasses = RuntimeClasses()
    storage_class: str = "c2d-jobs"
    """StorageClass of the jobs' volumes."""
    engine_url: str
    """The engine's URL as the jobs' pods call it."""
    provider_url: str | None = None
    """The Provider that configuration pods fetch from; its host name is resolved for them."""
    image_pull_secrets: tuple[str, ...] = ()
    """Secrets for every pod of a job; those of the environment are added for the algorithm's."""
    claims_wait: bool = False
    """True where the StorageClass binds a claim only once a pod uses it (``WaitForFirstConsumer``)."""
    folders_made: bool = True
    """True where the StorageClass makes a job's folders, each with its owner, as our provisioner does.
    Elsewhere a volume is empty and root's: the kubelet gives it to the pods' group and makes the folders they
    mount.
    """
    result_store: Annotated[IpfsStore | S3Store, Field(discriminator="kind")]
    warden: WardenSettings = WardenSettings()
    host_users: bool = False
    """False: pods get a user namespace (``hostUsers: false``), so that no uid in a pod is one of the node's.
    """
    masked: tuple[str, ...] = ("/proc/diskstats", "/sys/block", "/sys/class/block", "/sys/dev/block")
    """Files of ``/proc`` and folders of ``/sys``, there on every node, that an algorithm finds empty: the
    counters and names of the node's disks would tell it what other jobs do.
    """
    cpu_request: float = Field(default=0.1, gt=0, le=1)
    """The share of an environment's cores that is requested; the limit is always the whole."""
    capacity: CapacitySettings | None = None
    gate_path: Path = Path("/opt/c2d/bin/gate")
    """The gate's program in the image `runtime`."""
    limits: StageLimits = StageLimits()
    fee_token: str | None = None
    registration: RegistrationSettings | None = None
    """Without this section no job can publish its results as an asset."""
    secrets_dir: Path = Path("/etc/c2d/secrets")

    def environment(self, name: str) -> Environment | None:
        """Return the environment of this name; None for a job of one that was removed from the settings."""
        return next((entry for entry in self.environments if entry.id == name), None)

    def runtime_class(self, component: Component, environment: Environment | None) -> str | None:
        """Return the RuntimeClass of a job's pod; None where the cluster's default runs it."""
        # An environment's own class is for algorithms: GPUs need it, our own containers do not.
        own = environment.runtime_class if environment and component == "algorithm" else ""
        chosen: str | None = own or getattr(self.runtime_classes, component)
        return chosen

    def limits_by_environment(self) -> dict[str, StageLimits]:
        """Return for each environment the engine's limits, with those it sets itself in their place."""
        return {
            entry.id: self.limits.model_copy(
                update={
                    "queue": entry.max_queue_time or self.limits.queue,
                    # Always the environment's: 0 means that results stay for good.
                    "storage": entry.storage_expiry,
                }
            )
            for entry in self.environments
        }
