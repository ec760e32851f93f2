"""Executes actions: one Kubernetes call or two each, all of them safe to repeat.

An object that a call creates or patches is put into the job cache at once, ahead of the watch. An object
that exists already, or is gone already, counts as success: it is what the action was for.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from c2d_box import timestamps
from c2d_box.errors import StateProblem
from c2d_box.kubernetes.port import (
    CLAIMS,
    CONFIG_MAPS,
    LEASES,
    PODS,
    SECRETS,
    AlreadyExists,
    Cluster,
    ClusterError,
    Object,
    ObjectGone,
    ResourceKind,
)
from c2d_box.operator_engine.effects import result_expiry
from c2d_box.operator_engine.effects.job_network import JobNetworkResolver
from c2d_box.operator_engine.effects.pod_builder import BESIDE_GATE, ManifestBuilder, gate_map
from c2d_box.operator_engine.effects.pod_parts import MANAGED_BY
from c2d_box.operator_engine.rules import isolation_report, status_patch
from c2d_box.operator_engine.rules.actions import (
    Action,
    AddFinalizer,
    CreateClaim,
    CreatePod,
    CreateSecret,
    DeleteClaim,
    DeletePod,
    DeleteResults,
    DeleteSecretsAndLeases,
    DeleteWorkflow,
    PatchStatus,
    ReadIsolationReport,
    RemoveFinalizer,
)
from c2d_box.operator_engine.settings import EngineSettings
from c2d_box.operator_engine.stage_tokens import StageTokens
from c2d_box.operator_engine.state.job_cache import JobCache
from c2d_box.workflow import conditions, leases, names
from c2d_box.workflow.environments import Environment
from c2d_box.workflow.resource import WORKFLOWS, WorkFlow
from c2d_box.workflow.result_store import IpfsStore

log = logging.getLogger(__name__)
GATE_PREFIX = "c2d-gate-"
GATE_SECONDS = 600.0
"""Age below which an unused gate is not removed."""


class Executor:
    """Executes actions against the cluster and writes each result into the job cache.

    Every patch of a WorkFlow names the version that was planned on, so it raises VersionConflict after a
    change by anybody else.
    """

    def __init__(
        self,
        cluster: Cluster,
        job_cache: JobCache,
        settings: EngineSettings,
        tokens: StageTokens,
        gate: str,
        network: JobNetworkResolver,
    ) -> None:
        """``gate`` is the name of the gate's ConfigMap."""
        self._network = network
        self._cluster = cluster
        self._job_cache = job_cache
        self._settings = settings
        self._tokens = tokens
        self._bodies = ManifestBuilder(settings, gate)

    async def execute_action(self, workflow: WorkFlow, action: Action) -> None:
        """Execute one action. Raises ClusterError; VersionConflict when a patch met another version of the
        WorkFlow than the one planned on.
        """
        match action:
            case PatchStatus(changes):
                await self._write_status(workflow, changes)
            case AddFinalizer():
                finalizers = [*workflow.finalizers, names.FINALIZER]
                await self._patch_workflow(workflow, {"metadata": {"finalizers": finalizers}})
            case RemoveFinalizer():
                finalizers = [entry for entry in workflow.finalizers if entry != names.FINALIZER]
                await self._patch_workflow(workflow, {"metadata": {"finalizers": finalizers}})
            case CreateClaim():
                body = self._bodies.volume_claim(workflow, self._environment(workflow))
                await self._create_object(CLAIMS, body)
            case CreateSecret():
                await self._create_object(
                    SECRETS, self._bodies.stage_secrets(workflow, self._stage_values(workflow))
                )
            case CreatePod(component, attempt):
                environment = self._environment(workflow)
                secret = self._tokens.secret_for(environment.id, workflow.job)
                # Resolved for each pod, not once at the start: addresses of a store outside may have changed.
                network = await self._network.current()
                body = self._bodies.stage_pod(workflow, environment, component, attempt, secret, network)
                await self._create_object(PODS, body)
            case DeletePod(name, uid, grace):
                # With the uid: a pod that was made anew under the name must not be hit by an old plan.
                await self._cluster.delete(PODS, name, grace=grace, uid=uid)
            case DeleteClaim():
                # Without one: a job has a single claim in its life, and the plan
                # deletes it whatever its state.
                await self._cluster.delete(CLAIMS, names.claim_name(workflow.job))
            case DeleteSecretsAndLeases():
                await self._delete_secrets_and_leases(workflow)
            case ReadIsolationReport():
                await self._read_isolation_report(workflow)
            case DeleteResults():
                await self._delete_object(workflow)
            case DeleteWorkflow():
                await self._cluster.delete(WORKFLOWS, workflow.name, uid=workflow.uid)

    async def _delete_object(self, workflow: WorkFlow) -> None:
        """Delete the job's results from the store, then from the status; a crash
        in between repeats the former.
        """
        results, folder = workflow.status.results or (), self._settings.secrets_dir
        store, job = self._settings.result_store, workflow.job
        await result_expiry.delete_results(store, lambda name: read_secret(folder, name), job, results)
        gone: status_patch.Changes = {"results": [], "packedResults": None}
        await self._write_status(workflow, {**status_patch.set_moment(time.time(), "expired"), **gone})

    async def _read_isolation_report(self, workflow: WorkFlow) -> None:
        """Write the warden's report from its log into the status. Without a readable log nothing is written:
        the warden's exit code has been judged already.
        """
        output = bytearray()
        try:
            async for chunk in self._cluster.logs(names.pod_name(workflow.job, "algorithm"), "warden"):
                output += chunk
                # A log is never trusted to be short.
                if len(output) > isolation_report.READ_BYTES:
                    break
        except ClusterError as error:
            log.info("no proof yet: %s", error.message, extra={"job": workflow.job})
            return
        report = isolation_report.parse_warden_log(bytes(output))
        if report is None:
            log.info("no proof yet: the warden's log has %d bytes", len(output), extra={"job": workflow.job})
        else:
            await self._write_status(workflow, isolation_report.isolation_status(workflow, report))

    async def _write_status(self, workflow: WorkFlow, changes: Mapping[str, Any]) -> None:
        """Patch the status with ``changes``. Changed conditions are written along, all of them, since a merge
        patch replaces a list as a whole.
        """
        status = workflow.status
        known = conditions.derive_conditions(status.times, status.code, status.reason)
        # Derived from the state after the patch, so that conditions never contradict it.
        derived = conditions.derive_conditions(
            {**status.times, **changes.get("times", {})},
            changes.get("code", status.code),
            changes.get("reason", status.reason),
        )
        along = {"conditions": derived} if derived != known else {}
        await self._patch_workflow(workflow, {"status": {**changes, **along}}, status=True)
        times = [*changes.get("times", ())]
        log.info("recorded", extra={"job": workflow.job, "code": changes.get("code"), "times": times})

    async def _patch_workflow(self, workflow: WorkFlow, patch: Object, *, status: bool = False) -> None:
        """Patch exactly the version that was planned on. A WorkFlow that was deleted meanwhile is only
        removed from the cache.
        """
        # With the version in it the API server answers 409 where somebody else has written since.
        patch = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": workflow.version}}
        try:
            self._job_cache.put_object(
                WORKFLOWS, await self._cluster.patch(WORKFLOWS, workflow.name, patch, status=status)
            )
        except ObjectGone:
            self._job_cache.remove_workflow(workflow)

    async def _create_object(self, kind: ResourceKind, body: Object) -> None:
        """Create an object; one that exists already, made by an attempt whose answer got lost, is read."""
        name = body["metadata"]["name"]
        try:
            made: Object | None = await self._cluster.create(kind, body)
        except AlreadyExists:
            made = await self._cluster.get(kind, name)
        # The cache follows workflows, pods and claims; it has no room for Secrets.
        if made is not None and kind is not SECRETS:
            self._job_cache.put_object(kind, made)

    async def _delete_secrets_and_leases(self, workflow: WorkFlow) -> None:
        """Delete the job's two Secrets and release the locks on its orders;
        whatever is gone already is skipped.
        """
        secrets = (names.stage_secret_name(workflow.job), names.grants_secret_name(workflow.job))
        await asyncio.gather(
            *(self._cluster.delete(SECRETS, name) for name in secrets),
            *(
                self._release_order_locks(workflow.job, leases.order_lease_name(key))
                for key in leases.order_keys(workflow.spec)
            ),
        )

    async def _release_order_locks(self, job: str, name: str) -> None:
        """Release one lock if this job still holds it: another job may have taken it over."""
        lease = await self._cluster.get(LEASES, name)
        if lease is not None and leases.lease_holder(lease) == job:
            await self._cluster.delete(LEASES, name, uid=lease["metadata"]["uid"])

    def _environment(self, workflow: WorkFlow) -> Environment:
        """Return the job's environment. Without one the plan has ended the job before anything is created."""
        environment = self._settings.environment(workflow.spec.environment)
        assert environment is not None, "a job of an unknown environment is never admitted"
        return environment

    def _stage_values(self, workflow: WorkFlow) -> dict[str, str]:
        """Return the contents of the stages' Secret. ManifestBuilder mounts its keys one by one: each
        container gets its own and no other.
        """
        environment, job, algorithm = workflow.spec.environment, workflow.job, workflow.stage.algorithm
        # Identities and code only: no address of an input, which would be its publisher's secret.
        description = {
            "inputs": [{"id": entry.id} for entry in workflow.stage.input],
            "algorithm": {
                "id": algorithm.id or "",
                "rawcode": algorithm.rawcode or "",
                "custom": algorithm.algocustomdata,
            },
        }
        # The key that mints is in the cluster of jobs only while a job needs it.
        register = {}
        if workflow.publish is not None:
            register = {
                "register-token": self._tokens.token_for(environment, job, "register"),
                "register-key": read_secret(self._settings.secrets_dir, "register-key"),
            }
        return {
            **register,
            "job.json": json.dumps(description, ensure_ascii=False),
            "store.json": json.dumps(_store_for_upload(self._settings)),
            "configuration-token": self._tokens.token_for(environment, job, "configuration"),
            "judge-token": self._tokens.token_for(environment, job, "judge"),
            "upload-token": self._tokens.token_for(environment, job, "upload"),
        }


def _store_for_upload(settings: EngineSettings) -> dict[str, Any]:
    """Return the result store as the upload container sees it: an IPFS node with the token that may add, an
    S3 store without its keys. Those stay in the engine, see
    :mod:`c2d_box.operator_engine.pod_api.presigned_uploads`.
    """
    store = settings.result_store
    if isinstance(store, IpfsStore):
        token = read_secret(settings.secrets_dir, "upload-token")
        return {"kind": "ipfs", "api": store.api, "token": token}
    # The S3 settings hold no keys: those are files of their own.
    return store.model_dump()


def store_keys(settings: EngineSettings) -> dict[str, str]:
    """Return access and secret key of an S3 result store; an empty dictionary for IPFS."""
    if isinstance(settings.result_store, IpfsStore):
        return {}
    return {
        "accessKey": read_secret(settings.secrets_dir, "s3-access-key"),
        "secretKey": read_secret(settings.secrets_dir, "s3-secret-key"),
    }


async def install_gate(cluster: Cluster, binary: bytes) -> str:
    """Create the ConfigMap from which algorithm pods mount the gate; return its name. The name is a hash of
    the content: a new gate is a new object.
    """
    content = binary + json.dumps(BESIDE_GATE).encode()
    name = f"{GATE_PREFIX}{hashlib.sha256(content).hexdigest()[:16]}"
    if await cluster.get(CONFIG_MAPS, name) is None:
        # Several engines start at the same time; the content is the same, whoever comes first.
        with contextlib.suppress(AlreadyExists):
            await cluster.create(CONFIG_MAPS, gate_map(binary, name))
    return name


async def remove_gates(cluster: Cluster, current: str, used: Collection[str], now: float) -> list[str]:
    """Delete the gates that no engine installs any more and no pod mounts (``used``); return their names.
    A gate younger than ``GATE_SECONDS`` is left alone: an engine that is about to take over may have made it.
    """
    found, _ = await cluster.list(CONFIG_MAPS, f"{names.LABEL_MANAGED_BY}={MANAGED_BY}")
    gone = []
    for body in found:
        metadata = body["metadata"]
        age = now - timestamps.rfc3339_seconds(metadata["creationTimestamp"])
        # The label says who manages the object, the prefix what it is.
        stale = metadata["name"].startswith(GATE_PREFIX) and age > GATE_SECONDS
        if stale and metadata["name"] not in {current, *used}:
            await cluster.delete(CONFIG_MAPS, metadata["name"], uid=metadata["uid"])
            gone.append(metadata["name"])
    return gone


def read_gate(path: Path) -> bytes:
    """Return the gate's program, which the image `runtime` brings. Raises StateProblem."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StateProblem(
            "C2D-ENGINE-GATE", f"The gate cannot be read: {error}.", "Rebuild the image `runtime`."
        ) from error


def read_secret(folder: Path, name: str) -> str:
    """Return a secret from its file, without the newline that editors add. Raises StateProblem."""
    # Not cached: where a caller reads at each use, a replaced Secret takes effect without a restart.
    try:
        return (folder / name).read_text().strip()
    except OSError as error:
        raise StateProblem(
            "C2D-ENGINE-SECRET",
            f"The secret {name} cannot be read: {error.strerror}.",
            "Put it into the Secret that is mounted as secretsDir.",
        ) from error
