"""``POST /compute``: the checks in the original's order with its texts, then lock, WorkFlow and grants.

The order of writes is what makes a repeated call safe: the lock is taken first, the WorkFlow is named
after the job, the grants come last; a repeated call finds how far the first one got and continues from there.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from c2d_box import limits
from c2d_box.kubernetes.port import SECRETS, AlreadyExists, Cluster, ClusterError, Object
from c2d_box.operator_service import outputs
from c2d_box.operator_service.arguments import Arguments, OperatorRefusal, require_arguments
from c2d_box.operator_service.jobs import JobIndex, is_job_of
from c2d_box.operator_service.locking import IN_USE, OrderLocks
from c2d_box.operator_service.settings import OperatorSettings
from c2d_box.workflow import leases, names, ocean_status, resource
from c2d_box.workflow.resource import WORKFLOWS, WorkFlow

_CALL = "POST:/compute"
_REQUIRED = ("workflow", "agreementId", "owner", "providerSignature", "environment", "nonce")
"""In the order in which the original checks them."""
_STAGE = ("algorithm", "compute", "input", "output")
_JOB_ID = re.compile(r"[0-9a-f]{32}\Z")
_REMOTE = ("txId", "serviceId", "metadataTx")
"""Keys kept of an asset's `remote`: order and service. Addresses and credentials stay with the Provider.
"""
_MOST_ORDERS, _ORDER_LENGTH = 256, 255
"""One order per asset; the CRD has the same limits."""

Authenticate = Callable[[], Awaitable[str]]


class JobRegistrar:
    """Registers jobs; a repeated call with the same ``jobId`` continues or returns the same job."""

    def __init__(self, settings: OperatorSettings, cluster: Cluster, jobs: JobIndex) -> None:
        self._settings = settings
        self._cluster = cluster
        self._jobs = jobs
        # Leases in Kubernetes and not in this process: several replicas may get the same order.
        self._locks = OrderLocks(cluster)

    async def register_job(self, arguments: Arguments, authenticate: Authenticate) -> list[dict[str, Any]]:
        """Return the status of the new job, or of the one an earlier call with this ``jobId`` has made.

        Raise OperatorRefusal for the first fault: texts and order are the original's, which callers know.
        """
        require_arguments(arguments, _REQUIRED, _CALL)
        workflow = arguments["workflow"]
        if not workflow or not isinstance(workflow, dict):
            raise OperatorRefusal(
                400, "`workflow` is required in the payload and must include workflow stages"
            )
        job = _job_id(arguments)
        agreement, owner = str(arguments["agreementId"]), str(arguments["owner"])
        provider = await authenticate()  # before anything is said of other jobs
        # A quick answer from the copy of the jobs. It may be behind: the locks decide.
        if any(other.job != job for other in self._jobs.unfinished_jobs(agreement)):
            raise OperatorRefusal(400, IN_USE)
        self._check_environment(arguments)
        # All checks come before the first write: a refused call leaves nothing behind.
        spec = _workflow_spec(
            arguments, workflow, job, provider, self._settings.result_store.require_encryption
        )
        existing = await self._existing_job(job)
        if existing is None:
            existing = await self._create_locked(resource.JobSpec.model_validate(spec), job, spec)
        # The id may be another caller's job. Nothing of it is said, except that it is taken.
        foreign = self._settings.signature_required and not is_job_of(existing, provider)
        if foreign or existing.spec.agreement_id != agreement or existing.spec.owner.lower() != owner.lower():
            raise OperatorRefusal(400, "`jobId` already in use for other job.")
        if existing.at("created") is None and not existing.finished:  # later on nobody would read them
            # Proven only now that the WorkFlow exists; the grants, without which
            # nothing runs, come after that.
            await self._locks.hold_locks(existing)
            await self._create_grants(existing, arguments.get("grants") or {})
        return [ocean_status.owner_status(existing)]

    def _check_environment(self, arguments: Arguments) -> None:
        """Raise OperatorRefusal unless the environment exists and takes jobs of this chain."""
        environment = self._settings.find_environment(arguments["environment"])
        chain = arguments.get("chainId")
        # A call without a chain means the one chain of this service.
        right = chain is None or str(chain) == str(self._settings.chain_id)
        if environment is None or not right or not environment.takes_chain(self._settings.chain_id):
            raise OperatorRefusal(400, "Environment invalid or does not exist")

    async def _existing_job(self, job: str) -> WorkFlow | None:
        """Return the job of an earlier call; Kubernetes is asked where the copy does not have it (yet)."""
        # The copy first: a repeated call costs no request then.
        known = self._jobs.get_job(job)
        if known is not None:
            return known
        body = await self._cluster.get(WORKFLOWS, job)
        return None if body is None else self._jobs.put_job(body)

    async def _create_locked(self, read: resource.JobSpec, job: str, spec: Object) -> WorkFlow:
        """Lock all orders of the job, then create its WorkFlow. If that is refused the locks are released."""
        keys = leases.order_keys(read)
        await self._locks.take_locks(keys, job)
        try:
            return await self._create_workflow(job, spec)
        except OperatorRefusal:
            await self._locks.release_locks(keys, job)
            raise

    async def _create_workflow(self, job: str, spec: Object) -> WorkFlow:
        """Create the WorkFlow; one of this name was made by the same call in another replica."""
        # The name is the job's id, so Kubernetes itself refuses a second WorkFlow for it.
        body = resource.build_workflow(job, spec, time.time())
        try:
            return self._jobs.put_job(await self._cluster.create(WORKFLOWS, body))
        except AlreadyExists:
            found = await self._cluster.get(WORKFLOWS, job)
            if found is None:
                # Between the two calls; a repeated call makes it anew.
                raise OperatorRefusal(503, "The job was deleted while it was created.") from None
            return self._jobs.put_job(found)
        except ClusterError as error:
            # The CRD's rules, or an object too large: the caller's fault.
            if error.status in (400, 413, 422):
                raise OperatorRefusal(400, f"The workflow is not valid: {error.message[:500]}") from error
            raise

    async def _create_grants(self, workflow: WorkFlow, grants: Object) -> None:
        """Create the Secret with the grants. It is the one place where they are kept."""
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            # Nobody can exchange the addresses and keys of a job that is under way.
            "immutable": True,
            "metadata": {
                "name": names.grants_secret_name(workflow.job),
                "labels": {names.LABEL_JOB: workflow.job},
                # The WorkFlow owns the Secret, which is collected with it, but no controller manages it.
                "ownerReferences": [{**resource.owner_reference(workflow), "controller": False}],
            },
            "stringData": {"grants.json": json.dumps(grants)},
        }
        try:
            await self._cluster.create(SECRETS, body)
        # Made by an earlier call; it is immutable, so it is what that call brought.
        except AlreadyExists:
            return


def _job_id(arguments: Arguments) -> str:
    """Return the caller's ``jobId``, or a new one. The form keeps it usable as a name in Kubernetes."""
    job = arguments.get("jobId")
    if job is None:
        return uuid.uuid4().hex
    if not isinstance(job, str) or not _JOB_ID.match(job):
        raise OperatorRefusal(400, '"jobId" must be 32 hexadecimal digits')
    return job


def _workflow_spec(
    arguments: Arguments, workflow: Object, job: str, provider: str, sealed_only: bool
) -> Object:
    """Build the spec key by key, so that no address, header or credential of the payload ends in the
    WorkFlow.
    """
    stages = workflow.get("stages")
    if not stages or not isinstance(stages, list):
        raise OperatorRefusal(400, "Missing stages")
    if len(stages) > 1:
        raise OperatorRefusal(400, "Multiple stages are not supported yet")
    # An entry of another type lacks every key, and is refused by the loop below.
    stage = stages[0] if isinstance(stages[0], dict) else {}
    for key in _STAGE:
        if key not in stage:
            raise OperatorRefusal(400, f"Missing {key} in stage 0")
    spec = {
        "jobId": job,
        "owner": str(arguments["owner"]),
        "agreementId": str(arguments["agreementId"]),
        "orders": _read_orders(arguments.get("orders")),
        "environment": arguments["environment"],
        "chainId": _read_number(arguments, "chainId"),
        "providerAddress": provider,
        "maxtime": _read_number(arguments, "maxtime"),
        "validUntil": _read_number(arguments, "validUntil"),
        "stages": [
            {
                "index": 0,
                "input": _read_inputs(stage["input"], arguments.get("grants")),
                "algorithm": _read_algorithm(stage["algorithm"]),
                "compute": _permission_verdict(stage["compute"]),
                "output": outputs.read_output(stage["output"], sealed_only=sealed_only),
            }
        ],
    }
    # What was not given is left out.
    spec = {key: value for key, value in spec.items() if value is not None}
    # Before Kubernetes sees it: etcd would refuse the later status, not this spec.
    if limits.stored_bytes(spec) > limits.SPEC_BYTES:
        raise OperatorRefusal(400, "The workflow is too big.")
    return spec


def _read_orders(given: Any) -> list[str] | None:
    """Return the orders in lower case and sorted, without repetition; None where the Provider names none."""
    if given is None:
        return None
    if not isinstance(given, list) or not given or len(given) > _MOST_ORDERS:
        raise OperatorRefusal(400, '"orders" must be a list')
    if not all(isinstance(key, str) and 0 < len(key) <= _ORDER_LENGTH for key in given):
        raise OperatorRefusal(400, '"orders" must hold texts')
    # Sorted, as locks are taken in this order; in lower case, as one transaction hash has two spellings.
    return sorted({key.lower() for key in given})


def _read_inputs(entries: Any, grants: Any) -> list[Object]:
    """Return the inputs as they stand in the WorkFlow, each with the number of its files."""
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("id"), str) for entry in entries
    ):
        raise OperatorRefusal(400, "Missing input in stage 0")
    granted = (grants.get("inputs") if isinstance(grants, dict) else None) or []
    if not isinstance(granted, list) or not all(_is_grant(entry) for entry in granted):
        raise OperatorRefusal(400, '"grants" must hold one entry for each input, each with its list of files')
    # Grants and inputs are matched by position later, so they must have the same order here.
    if [entry["id"] for entry in entries] != [entry.get("did") for entry in granted]:
        raise OperatorRefusal(400, '"grants" must hold one entry for each input, in the same order')
    found = []
    for index, (entry, grant) in enumerate(zip(entries, granted, strict=True)):
        remote = entry.get("remote") if isinstance(entry.get("remote"), dict) else {}
        # By an explicit list: whatever else ``remote`` holds stays out of the WorkFlow.
        kept = {key: str(remote[key]) for key in _REMOTE if remote.get(key) is not None}
        files = len(grant.get("files") or [])
        found.append({"index": index, "id": entry["id"], "files": files, "remote": kept})
    return found


def _is_grant(entry: Any) -> bool:
    """Return whether an entry of ``grants.inputs`` has the form that the configuration pod reads."""
    return isinstance(entry, dict) and isinstance(entry.get("files") or [], list)


def _read_algorithm(given: Any) -> Object:
    """Return the algorithm as it stands in the WorkFlow: code, container, identity and parameters."""
    container = given.get("container") if isinstance(given, dict) else None
    if not isinstance(container, dict):
        raise OperatorRefusal(400, "Missing algorithm in stage 0")
    if not isinstance(given.get("rawcode") or "", str):
        raise OperatorRefusal(400, "The algorithm's rawcode must be a text")
    # Only these keys: whatever else the payload holds of the container is not the engine's to see.
    algorithm: Object = {
        "rawcode": given.get("rawcode") or "",
        "container": {
            key: str(container.get(key) or "") for key in ("entrypoint", "image", "tag", "checksum")
        },
    }
    if isinstance(given.get("id"), str):
        algorithm["id"] = given["id"]
    remote = given.get("remote")
    if isinstance(remote, dict):
        algorithm["remote"] = {key: str(remote[key]) for key in _REMOTE if remote.get(key) is not None}
    for key in ("algocustomdata", "userdata"):
        if given.get(key) is not None:
            algorithm[key] = given[key]
    return algorithm


def _permission_verdict(compute: Any) -> Object:
    """Return the Provider's reasons, for the evidence; the environment decides all else of the section."""
    section = compute if isinstance(compute, dict) else {}
    if section.get("networkAccess"):  # to run it without would break what was agreed
        raise OperatorRefusal(400, "Network access is not offered by this environment")
    found = section.get("permissions")
    return {"permissions": found} if isinstance(found, dict) else {}


def _read_number(arguments: Arguments, key: str) -> int | None:
    """Return a whole number, given as number or text; None where it is missing or empty."""
    value = arguments.get(key)
    if value is None or value == "":
        return None
    try:
        # By way of float: "3600.0" and 3.6e3 are whole numbers too. Infinity is an OverflowError.
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        raise OperatorRefusal(400, f'"{key}" must be a number') from None
