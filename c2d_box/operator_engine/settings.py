"""The engine's configuration file. Secrets are not in it but in files of ``secretsDir``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from c2d_box.operator_engine.limits import Limits
from c2d_box.workflow.environments import Environment, PullPolicy
from c2d_box.workflow.jobtable import Postgres
from c2d_box.workflow.stores import IpfsStore, S3Store


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Listen(_Section):
    host: str = "0.0.0.0"
    port: int = 8051


class Images(_Section):
    """``runtime``: the image of all our own programs, by digest."""

    runtime: str


class RuntimeClasses(_Section):
    """By role; None where the cluster isolates by policy alone."""

    algorithm: str | None = None
    configuration: str | None = None
    publishing: str | None = None


class Warden(_Section):
    """``targets``: ``ip:port`` of things that are alive and must not be reachable; ``timeout`` per probe.

    ``required`` false: the operator lets jobs run that are not isolated; the proof says so, and the evidence.
    """

    targets: tuple[str, ...] = ()
    timeout: float = 0.3
    required: bool = True


class Capacity(_Section):
    """What all jobs may request together; None: only ``maxJobs`` counts."""

    cpu: float
    memory_gb: float
    disk_gb: float


class ChainPlace(_Section):
    """``address_file``: a path or a URL."""

    id: int = 8996
    rpc_url: str
    address_file: str


class Registration(_Section):
    """For jobs whose results become assets: the chain, and the Provider that seals and serves them.

    ``public_url`` is the Provider's address as it stands in the asset's description.
    """

    chain: ChainPlace
    provider_url: str
    public_url: str


class Settings(_Section):
    listen: Listen = Listen()
    namespace: str = "c2d-jobs"
    postgres: Postgres
    environments: tuple[Environment, ...]
    images: Images
    image_pull_policy: PullPolicy = "Never"
    runtime_classes: RuntimeClasses = RuntimeClasses()
    storage_class: str = "c2d-jobs"
    engine_url: str
    result_store: Annotated[IpfsStore | S3Store, Field(discriminator="kind")]
    warden: Warden = Warden()
    host_users: bool = False
    cpu_request: float = Field(default=0.1, gt=0, le=1)
    """The share of an environment's cores that is requested; the limit is always the whole."""
    capacity: Capacity | None = None
    gate_path: Path = Path("/opt/c2d/bin/gate")
    limits: Limits = Limits()
    fee_token: str | None = None
    registration: Registration | None = None
    """None: no job can publish its results as an asset."""
    secrets_dir: Path = Path("/etc/c2d/secrets")

    def environment(self, name: str) -> Environment | None:
        return next((entry for entry in self.environments if entry.id == name), None)

    def limits_by_environment(self) -> dict[str, Limits]:
        """The engine's limits with what each environment says otherwise."""
        return {
            entry.id: self.limits.model_copy(
                update={
                    "queue": entry.max_queue_time or self.limits.queue,
                    "storage": entry.storage_expiry,
                }
            )
            for entry in self.environments
        }
