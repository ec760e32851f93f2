"""The WorkFlow: the consumer's request (``spec``), and the authoritative state of its job (``status``).

The state follows from ``status.times``: each stage that is over has its moment there, written once and never
changed. From the moments that exist every reader of the object knows how far the job is and what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from c2d_box import timestamps
from c2d_box.kubernetes.port import ResourceKind
from c2d_box.workflow import listing, names, states

WORKFLOWS = ResourceKind(f"/apis/{names.API_VERSION}", names.PLURAL)
"""The resource's path and plural, for every client of the Kubernetes API."""

Moment = Literal[
    "accepted",  # operator-service took the job
    "admitted",  # the engine gave it a place in the environment
    "bound",  # its volume exists
    "created",  # its pods are about to be created: the intent, recorded before the act
    "staged",  # configuration reported success: from here on the algorithm may be running
    "started",  # the warden's go-ahead, as read from its log
    "exited",  # the algorithm's end by the node's clock: for timing only
    "ended",  # Kubernetes itself says that the algorithm's container is not running any more
    "judged",
    "uploaded",
    "registered",  # the results are an asset of their owner's on the chain
    "finished",
    "cleaned",
    "expired",  # its results are in the store no more
]


class _Part(BaseModel):
    """Base of the models. Unknown keys are kept, because the job table stores the spec as it was sent.
    Numbers become text where text is expected: clients send either."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        coerce_numbers_to_str=True,
    )


class AlgorithmContainer(_Part):
    """The algorithm's image and entrypoint."""

    entrypoint: str
    image: str
    tag: str = ""
    checksum: str = ""

    @property
    def reference(self) -> str:
        """The image's reference: by digest where there is one, else by tag."""
        if self.checksum.startswith("sha256:"):
            return f"{self.image}@{self.checksum}"
        return f"{self.image}:{self.tag}" if self.tag else self.image


class JobAlgorithm(_Part):
    """The algorithm. Custom and user data are passed on unchanged: keys in lower case, as in the original's
    payload.
    """

    id: str | None = None
    rawcode: str | None = ""
    container: AlgorithmContainer
    algocustomdata: Any = None
    userdata: Any = None


class JobInput(_Part):
    """One dataset of the job, by its DID."""

    index: int = 0
    id: str
    files: int | None = None


class JobStage(_Part):
    """The one stage of a job. Ocean's payload has a list of them, of which we take exactly one."""

    index: int = 0
    input: tuple[JobInput, ...] = ()
    algorithm: JobAlgorithm
    compute: dict[str, Any] = Field(default_factory=dict)
    output: dict[str, Any] | None = None


class JobSpec(_Part):
    """The request for a job. Everything but ``stop`` is fixed at creation."""

    job_id: str = ""
    owner: str = ""
    agreement_id: str = ""
    orders: tuple[str, ...] = ()
    """Keys of the orders that the job uses; each order is for one job at a time."""
    environment: str
    chain_id: int | None = None
    provider_address: str | None = None
    maxtime: int | None = None
    valid_until: int | None = None
    stages: tuple[JobStage, ...] = Field(min_length=1, max_length=1)
    stop: bool = False
    ttl: float | None = Field(default=None, alias="ttlSecondsAfterFinished")
    """Seconds for which the finished WorkFlow stays; None: the engine's limit."""


class JobResult(_Part):
    """One stored result of a job, as upload reported it."""

    filename: str
    filesize: int
    type: str
    url: str = ""
    cid: str | None = None
    sha256: str | None = None
    encryption: str | None = None
    """``ecies`` where only its owner can read it."""


class AlgorithmRun(_Part):
    """Kubernetes' report about the one pod that may run the algorithm."""

    uid: str | None = None
    exit_code: int | None = None
    image: str | None = None
    """The image that ran, as Kubernetes reports it."""
    signal: int | None = None
    reason: str | None = None


class JobOutcome(_Part):
    """The job's end as decided before publishing, which may still turn a 70 into 77 or 79."""

    code: int
    reason: str | None = None


class PodAttempts(_Part):
    """Number of the current attempt of each pod that may be started again; the algorithm's never is."""

    configuration: int = 1
    publishing: int = 1


class JobStatus(_Part):
    """The recorded state of a job; ``times`` says how far it is."""

    code: int = states.State.WARMING_UP
    text: str = states.TEXTS[states.State.WARMING_UP]
    phase: str = "Queued"
    reason: str | None = None
    times: dict[str, str] = Field(default_factory=dict)
    stop: int = 0
    algorithm: AlgorithmRun = AlgorithmRun()
    attempts: PodAttempts = PodAttempts()
    outcome: JobOutcome | None = None
    results: tuple[JobResult, ...] | None = None
    packed_results: str | None = None
    """A long list of results, see :mod:`c2d_box.workflow.listing`; ``results`` holds it once it is read."""
    refused: tuple[dict[str, Any], ...] | None = None
    """The first of the outputs that were refused."""
    refused_count: int | None = None
    inputs: tuple[dict[str, Any], ...] | None = None
    """The first of the files that were staged."""
    inputs_count: int | None = None
    inputs_digest: str | None = None
    """Digest of all staged files, where ``inputs`` does not hold all of them."""
    isolation: dict[str, Any] | None = None
    manifest: str | None = None
    """Digest of what the judge lets leave."""
    evidence: dict[str, Any] | None = None
    """Head, signer and signature of the record."""
    asset: dict[str, Any] | None = None
    """The asset that the results became, and the transactions that create it."""

    @model_validator(mode="before")
    @classmethod
    def _unpacked(cls, data: Any) -> Any:
        """Unpack a long list of results, so that no reader has to know that there are two forms."""
        packed = data.get("packedResults") if isinstance(data, Mapping) else None
        return (
            {**data, "results": listing.unpack_listing(packed)}
            if packed and not data.get("results")
            else data
        )


class WorkFlow(_Part):
    """A WorkFlow object as the engine and operator-service read it. It is a value: changes are made by
    patches to the API, and seen when the watch brings the new object."""

    name: str
    uid: str = ""
    version: str = ""
    created: float = 0.0
    deleted: float | None = None
    finalizers: tuple[str, ...] = ()
    spec: JobSpec
    status: JobStatus = JobStatus()

    @property
    def job(self) -> str:
        """The job's id, which is the object's name."""
        return self.name

    @property
    def stage(self) -> JobStage:
        """The job's only stage."""
        return self.spec.stages[0]

    def at(self, moment: Moment) -> float | None:
        """Return the Unix seconds at which ``moment`` was reached, None before that."""
        text = self.status.times.get(moment)
        if text is not None:
            return timestamps.rfc3339_seconds(text)
        # Acceptance is no stage of the engine's: its moment is in the object's metadata.
        return self.created if moment == "accepted" else None

    @property
    def publish(self) -> Mapping[str, Any] | None:
        """The wishes for publishing the results as an asset; None where the job does not ask for that."""
        wanted = (self.stage.output or {}).get("publish")
        return wanted if isinstance(wanted, Mapping) else None

    @property
    def encrypt(self) -> str | None:
        """The public key for which results are to be encrypted; None where the job does not ask for that."""
        wanted = (self.stage.output or {}).get("encrypt")
        return str(wanted) if wanted else None

    @property
    def finished(self) -> bool:
        """The job has reached its end, good or bad; its state number never changes after that."""
        return "finished" in self.status.times


def parse_workflow(body: Mapping[str, Any]) -> WorkFlow:
    """Parse the API's object. Raises pydantic's ValidationError for one that is no WorkFlow (the CRD's schema
    refuses most).
    """
    metadata = body["metadata"]
    accepted = (metadata.get("annotations") or {}).get(names.ANNOTATION_ACCEPTED)
    deleted = metadata.get("deletionTimestamp")
    return WorkFlow(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        version=metadata.get("resourceVersion", ""),
        created=_created(accepted, metadata.get("creationTimestamp")),
        deleted=timestamps.rfc3339_seconds(deleted) if deleted else None,
        finalizers=tuple(metadata.get("finalizers") or ()),
        spec=JobSpec.model_validate(body["spec"]),
        status=JobStatus.model_validate(body.get("status") or {}),
    )


def _created(accepted: str | None, stamp: str | None) -> float:
    """Return the moment of acceptance. The annotation, which has fractions of a second, is believed only
    within 5 seconds of Kubernetes' own timestamp.
    """
    seen = timestamps.rfc3339_seconds(stamp) if stamp else 0.0
    try:
        claimed = float(accepted) if accepted else seen
    except ValueError:
        return seen
    # Anybody who may create a WorkFlow writes the annotation: an old one would pass others in the queue.
    return claimed if not seen or abs(claimed - seen) < 5 else seen


def build_workflow(job: str, spec: Mapping[str, Any], accepted: float) -> dict[str, Any]:
    """Return the object as operator-service creates it; with the finalizer, which saves the engine
    a write."""
    owner = str(spec.get("owner", "")).lower()
    labels = {names.LABEL_JOB: job, names.LABEL_ENVIRONMENT: str(spec["environment"])}
    # A label takes 63 characters of a small alphabet; an owner that is no address has no label.
    if owner.isalnum() and len(owner) < 64:
        labels[names.LABEL_OWNER] = owner
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "name": job,
            "labels": labels,
            "annotations": {names.ANNOTATION_ACCEPTED: f"{accepted:.6f}"},
            "finalizers": [names.FINALIZER],
        },
        "spec": dict(spec),
    }


def owner_reference(workflow: WorkFlow) -> dict[str, Any]:
    """Return the reference that lets Kubernetes collect a job's objects even where the engine is gone for
    good.
    """
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": workflow.name,
        "uid": workflow.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
