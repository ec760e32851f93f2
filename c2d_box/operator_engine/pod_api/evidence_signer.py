"""Signs a job's evidence record, with the one key that only the engine has.

The upload container sends the manifest of what the judge let leave. It is signed only if it matches the
digest that the judge itself reported, so that a record cannot name other outputs than were judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from c2d_box import limits
from c2d_box.assets.addresses import same_hex
from c2d_box.assets.crypto import signatures
from c2d_box.errors import StateProblem
from c2d_box.operator_engine.effects.executor import read_secret
from c2d_box.operator_engine.pod_api.pod_reports import PodReports
from c2d_box.operator_engine.rules.stage_reports import PodAnswer
from c2d_box.operator_engine.settings import EngineSettings
from c2d_box.workflow import evidence, manifests
from c2d_box.workflow.resource import WorkFlow


class _File(BaseModel):
    """One file of the manifest, as upload read it from the judge."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    filename: str = Field(max_length=2000)
    type: str = Field(max_length=50)
    size: int = Field(ge=0)
    sha256: str = Field(max_length=64)


class _Manifest(BaseModel):
    """The upload container's question: the files that it will send."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: tuple[_File, ...] = Field(max_length=limits.LISTED_FILES)


def read_signing_keys(settings: EngineSettings) -> dict[str, str]:
    """Return each environment's private key. Raises StateProblem where an environment is announced by the
    address of another key: orders would name a stranger, and no evidence of its jobs could be verified.
    """
    keys: dict[str, str] = {}
    for environment in settings.environments:
        name = f"environment-key-{environment.id}"
        key = read_secret(settings.secrets_dir, name)
        try:
            address = signatures.address_of(key)
        # `from None`: the cause would show the key.
        except ValueError:
            raise StateProblem(
                "C2D-ENVIRONMENT-KEY", f"the secret {name} is not 32 bytes of hex", "write a new key"
            ) from None
        if not same_hex(address, environment.consumer_address):
            raise StateProblem(
                "C2D-ENVIRONMENT-KEY",
                f"environment {environment.id} is announced as {environment.consumer_address}, but its key "
                f"signs as {address}",
                f"set the environment's consumerAddress to {address}, or give it the key of the address",
            )
        keys[environment.id] = key
    return keys


class EvidenceSigner:
    """Makes and signs evidence records for the upload container."""

    def __init__(self, settings: EngineSettings, keys: Mapping[str, str], reports: PodReports) -> None:
        """``keys`` holds each environment's private key."""
        self._settings = settings
        self._keys = keys
        self._reports = reports

    async def sign_evidence(self, job: str, body: Mapping[str, Any]) -> dict[str, Any] | PodAnswer:
        """Return the signed record, or an answer that says why there is none. The record's head is written
        into the status before the record is handed out.
        """
        try:
            files = [file.model_dump() for file in _Manifest.model_validate(body).files]
        except ValidationError as problem:
            return PodAnswer(422, f"not a manifest: {problem.error_count()} faults")
        # The warden's report is part of the record, and the pod whose log holds it may be deleted soon.
        await self._reports.record_isolation(job)
        # Filled by `decide`, which runs again after a conflict; the last run is the one that counts.
        made: dict[str, Any] = {}

        def decide(workflow: WorkFlow) -> PodAnswer:
            if workflow.finished or workflow.deleted is not None:
                return PodAnswer(410, "the job is over")
            if workflow.at("judged") is None:
                return PodAnswer(409, "nothing has been judged")
            # The judge reported its digest itself, with a token that upload does not have.
            if workflow.status.manifest != manifests.manifest_digest(files):
                return PodAnswer(409, "these are not the files that were judged")
            made.update(self._signed_record(workflow, files))
            # Written once: asking again yields the same record and no further change of the status.
            head = {key: made[key] for key in ("head", "signer", "signature")}
            return PodAnswer(200, changes={} if workflow.status.evidence == head else {"evidence": head})

        answer = await self._reports.update_status(job, decide)
        return made if answer.status == 200 else answer

    def _signed_record(self, workflow: WorkFlow, files: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the record with the limits that held for this job."""
        environment = self._settings.environment(workflow.spec.environment)
        # The environment may have been removed since: the record then holds 0 and null for its limits.
        longest = environment.max_job_duration if environment else 0
        limits = {
            "seconds": min(longest, workflow.spec.maxtime or longest),
            "cpu": environment.cpu_number if environment else None,
            "ramGB": environment.ramGB if environment else None,
            "diskGB": environment.diskGB if environment else None,
            "outputFiles": self._settings.limits.output_files,
            "logBytes": self._settings.limits.log_bytes,
            "hostUsers": self._settings.host_users,
            "runtimeClass": self._settings.runtime_class("algorithm", environment),
        }
        return evidence.evidence_record(workflow, files, limits, self._keys[workflow.spec.environment])
