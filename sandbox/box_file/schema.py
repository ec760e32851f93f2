"""The keys of ``c2d-box.yaml``, with their types, defaults and comments.

Every option of ``up`` is a key. Unknown keys are refused: a misspelt one would be ignored otherwise, and the
user would believe that something was set.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from c2d_box.limits import OUTPUT_FILES_MOST
from c2d_box.operator_engine.rules.limits import StageLimits
from c2d_box.provider.settings import FetchSection, LimitsSection
from sandbox.settings import HIGHEST_PORT, BoxPorts

# Defaults come from the services themselves, so that the file cannot show other ones than they use.
STAGES, FETCH, CALLS = StageLimits(), FetchSection(), LimitsSection()
OPTION_KEYS: dict[str, str] = {
    "cluster": "cluster",
    "kubeconfig": "existing.kubeconfig",
    "context": "existing.context",
    "registry": "existing.registry",
    "pull_secret": "existing.pull_secret",
    "pull_by_login": "existing.pull_by_login",
    "run_unproven_jobs": "existing.run_unproven_jobs",
    "port_offset": "ports.offset",
    "ports": "ports",
    "chain": "chain.rpc",
    "chain_rpc": "chain.rpc",
    "address_file": "chain.address_file",
    "barge_keys": "barge_keys",
    "trust_empty_lists": "trust.empty_lists",
    "result_store": "result_store",
}
"""The key of each option of ``up``; ``--chain testchain`` is the key ``chain.rpc`` without a value."""


class FileSection(BaseModel):
    """Base of the file's sections: unknown keys are refused, and text is not taken for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Port = Annotated[int, Field(ge=1, le=HIGHEST_PORT)]
# The comment beside each port is its usual number, which a user would look for.
USUAL = BoxPorts()
# As much as a number of JSON holds exactly in every program.
Count = Annotated[int, Field(le=1 << 53)]


class PortsFileSection(FileSection):
    """Ports of 127.0.0.1. One without a value has its usual number, moved by ``offset``."""

    # Not a ``Port``: it may be negative, and only its sums are ports, which reading.py checks.
    offset: int = Field(
        default=0, description="Moves every port, for a second box: 100 makes the Provider's 8130."
    )
    # None, not the usual number: a port that is given is not moved by ``offset``.
    chain: Port | None = Field(default=None, description=f"{USUAL.chain}")
    cache: Port | None = Field(default=None, description=f"{USUAL.cache}")
    provider: Port | None = Field(default=None, description=f"{USUAL.provider}")
    operator_service: Port | None = Field(default=None, description=f"{USUAL.operator_service}")
    ipfs_api: Port | None = Field(default=None, description=f"{USUAL.ipfs_api}")
    ipfs_gateway: Port | None = Field(default=None, description=f"{USUAL.ipfs_gateway}")
    s3: Port | None = Field(default=None, description=f"{USUAL.s3}")


class ChainFileSection(FileSection):
    """The chain that the box uses."""

    rpc: str | None = Field(
        default=None, description="URL of a chain outside the box; no value: the box runs a test chain."
    )
    address_file: str | None = Field(
        default=None, description="Ocean's contracts on that chain; no value: its URL, /address.json."
    )


class TrustFileSection(FileSection):
    """The Provider's reading of permissions."""

    empty_lists: Literal["none", "all"] = Field(
        default="none", description="Who may compute where a dataset's trust lists are empty: none, all."
    )


class ExistingFileSection(FileSection):
    """For ``cluster: existing`` only: somebody else's cluster, and how the box may use it."""

    kubeconfig: str = Field(default="", description="Empty: where kubectl looks.")
    context: str = Field(default="", description="Empty: the kubeconfig's current one.")
    registry: str = Field(
        default="", description="HOST[:PORT][/PATH]: images are pushed there, nodes pull from there."
    )
    pull_secret: str = Field(
        default="",
        description="NAMESPACE/NAME of a Secret there with which nodes pull.",
        # A namespace and a name; empty for none.
        pattern=r"^$|^[^/]+/[^/]+$",
    )
    # Excludes ``pull_secret``; two keys cannot be compared here, see ``_contradictions`` in reading.py.
    pull_by_login: bool = Field(default=False, description="Make that Secret of your docker login instead.")
    # Off unless asked for: a cluster whose network plugin ignores NetworkPolicies lets jobs out.
    run_unproven_jobs: bool = Field(
        default=False, description="Run jobs even where nothing keeps them from the network."
    )


class LimitsFileSection(FileSection):
    """Limits of the box's services and of jobs."""

    # 0 switches this one off; limits with ``gt=0`` cannot be switched off.
    requests_per_minute: Count = Field(
        default=int(CALLS.per_minute),
        ge=0,
        description="Requests to the Provider of one address; 0: any number.",
    )
    unknown_orders_per_minute: Count = Field(
        default=int(CALLS.unknown_orders),
        gt=0,
        description="Waits for a transaction that the chain does not know.",
    )
    checksum_bytes: Count = Field(
        default=FETCH.max_checksum_length,
        ge=0,
        description="Most bytes of a file that are hashed for a caller.",
    )
    algorithm_bytes: Count = Field(
        default=FETCH.max_algorithm_length, ge=0, description="Most bytes of an algorithm's file."
    )
    queue_seconds: Count = Field(
        default=int(STAGES.queue), gt=0, description="Seconds a job waits for a place; then it ends 80."
    )
    staging_seconds: Count = Field(
        default=int(STAGES.staging), gt=0, description="Seconds for fetching a job's inputs."
    )
    image_seconds: Count = Field(
        default=int(STAGES.image), gt=0, description="Seconds for having a job's image."
    )
    publishing_seconds: Count = Field(
        default=int(STAGES.publishing), gt=0, description="Seconds for judging and storing results."
    )
    log_bytes: Count = Field(default=STAGES.log_bytes, ge=1, description="Most bytes of each log of a job.")
    output_files: int = Field(
        default=STAGES.output_files, ge=1, le=OUTPUT_FILES_MOST, description="Most files of a job's results."
    )
    # None is no default of a number: the disk of the job's environment is the limit then.
    output_bytes: Count | None = Field(
        default=STAGES.output_bytes,
        ge=1,
        description="Most bytes of a job's results; no value: as its disk holds.",
    )


# As browsers send it, since it is compared as a whole: small letters, no path, no pattern.
Origin = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*://[a-z0-9.:_\[\]-]+$")]


class BoxFile(FileSection):
    """A whole ``c2d-box.yaml``. What is left out has its default."""

    model_config = ConfigDict(title="c2d-box.yaml")

    # ``auto`` is settled by the first ``up``; a box keeps its cluster after that.
    cluster: Literal["auto", "native", "kind", "k3d", "existing"] = Field(
        default="auto",
        description="What carries the box. auto: what it has, else kind with Docker, else native.",
    )
    ports: PortsFileSection = Field(default=PortsFileSection(), description="Ports on 127.0.0.1.")
    chain: ChainFileSection = Field(default=ChainFileSection(), description="The chain that the box uses.")
    origins: list[Origin] = Field(
        default=[],
        description="Web pages that may talk to the box's own chain, such as http://localhost:3000.",
    )
    # Everybody knows these keys: whoever reaches the box can sign as its services.
    barge_keys: bool = Field(
        default=False, description="Well-known signing keys, for client test-suites; kept until reset --all."
    )
    trust: TrustFileSection = Field(default=TrustFileSection(), description="How permissions are read.")
    result_store: Literal["ipfs", "s3"] = Field(
        default="ipfs", description="Where results of jobs are kept: ipfs (whoever knows the CID reads), s3."
    )
    limits: LimitsFileSection = Field(default=LimitsFileSection(), description="Limits of services and jobs.")
    existing: ExistingFileSection = Field(
        default=ExistingFileSection(), description="For cluster: existing only; somebody else's cluster."
    )
    # Not a section of ours: :mod:`sandbox.box_file.chart_check` judges it by the chart's own schema.
    values: dict[str, Any] = Field(
        default={},
        description="For experts: values of the Helm chart (charts/c2d/values.yaml), on top of the box's.",
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, document: Any) -> Any:
        """Take a key without a value, whose lines are all comments perhaps, as one that is not there."""
        # Not a mapping: pydantic says so itself, with the line of the file.
        if not isinstance(document, dict):
            return document
        return {key: value for key, value in document.items() if value is not None}


def box_file_schema() -> dict[str, Any]:
    """Return the JSON schema of the file, for editors and other programs."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **BoxFile.model_json_schema()}
