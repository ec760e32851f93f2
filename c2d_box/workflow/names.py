"""Every name that two of operator-service, engine and pods must spell alike.

Plain constants without imports: the pods' programs load this on a job's hot path.
"""

from __future__ import annotations

from typing import Final, Literal

GROUP: Final = "oceanprotocol.com"
"""API group of the CRD, the same as the original's."""
VERSION: Final = "v1alpha"
API_VERSION: Final = f"{GROUP}/{VERSION}"
PLURAL: Final = "workflows"
KIND: Final = "WorkFlow"
JOBS_NAMESPACE: Final = "c2d-jobs"
"""Namespace in which jobs run unless the chart says otherwise; a box has no other."""
FINALIZER: Final = "oceanprotocol.com/cleanup"
"""Keeps a deleted WorkFlow until the engine has cleaned up: nothing else says where a job's results are."""

LABEL_JOB: Final = "c2d.oceanprotocol.com/job"
"""Selects every object of a job; the engine watches pods and claims by it."""
LABEL_ENVIRONMENT: Final = "c2d.oceanprotocol.com/environment"
LABEL_OWNER: Final = "c2d.oceanprotocol.com/owner"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
ANNOTATION_ACCEPTED: Final = "c2d.oceanprotocol.com/accepted"
"""Unix seconds with fraction at which operator-service accepted the job: Kubernetes keeps whole seconds
only.
"""

Component = Literal["configuration", "algorithm", "publishing"]
"""The three pods of a job, by their label ``app.kubernetes.io/component``."""
COMPONENTS: Final[tuple[Component, ...]] = ("configuration", "algorithm", "publishing")

Stage = Literal["configuration", "judge", "upload", "register"]
"""The containers that may report in band to the engine; each has its own token."""

# -- users: one per role, so that a file's owner says who wrote it

UID_CONFIGURATION: Final = 10001
UID_WARDEN: Final = 10002
UID_ALGORITHM: Final = 10003
UID_JUDGE: Final = 10004
UID_UPLOAD: Final = 10005
UID_REGISTER: Final = 10006
GID_JOB: Final = 10000
"""Group of all users of a job: files go from one role to the next by group access."""

# -- the job's volume, as the algorithm sees it

DATA: Final = "/data"
"""Ocean's tree: published algorithms have these paths written into them, so none of them can change."""
INPUTS: Final = "inputs"
TRANSFORMATIONS: Final = "transformations"
DDOS: Final = "ddos"
CONTROL: Final = "control"
"""Folder for markers between configuration and warden; the algorithm's container does not mount it."""
ADMIN_LOGS: Final = "adminlogs"
OUTPUTS: Final = "outputs"
LOGS: Final = "logs"
ALGORITHM_FILE: Final = f"{DATA}/{TRANSFORMATIONS}/algorithm"
ALGORITHM_LOG: Final = f"{DATA}/{LOGS}/algorithm.log"
CUSTOM_DATA_FILE: Final = f"{DATA}/{INPUTS}/algoCustomData.json"
CONFIGURE_LOG: Final = f"{DATA}/{ADMIN_LOGS}/configure.log"
ALIVE_FILE: Final = f"{DATA}/{CONTROL}/alive.json"
"""Written just before the marker: the addresses that answered configuration and must not answer the warden.
"""
STAGED_MARKER: Final = f"{DATA}/{CONTROL}/staged"
"""Written last by configuration, after the engine has recorded the success: the warden waits for it."""

# -- mounts besides the volume

GATE_FOLDER: Final = "/c2d"
GATE: Final = f"{GATE_FOLDER}/gate"
GATE_PIDS_LIMIT: Final = 122
GATE_LOG_LIMIT: Final = 123
"""The gate's exit codes for an algorithm that forks or writes without measure: gate.c has the same."""
HIDDEN_FOLDER: Final = "/sys/firmware"
"""One of the paths that Kubernetes masks in every container, after everything else is mounted: whatever lies
below it exists and cannot be reached.
"""
TERMINATION_LOG: Final = f"{HIDDEN_FOLDER}/termination-log"
"""A file of the node's disk that everybody could write and no quota counts; Kubernetes insists on one."""
SCRATCH: Final = "/tmp"
ALGORITHM_USER: Final = "algorithm"
GO_FOLDER: Final = "/c2d-go"
GO_AHEAD: Final = f"{GO_FOLDER}/ahead"
"""Written by the warden into a folder that the algorithm's container mounts read-only: the gate waits for it.
"""
VERDICT_FOLDER: Final = "/verdict"
MANIFEST: Final = f"{VERDICT_FOLDER}/manifest.json"
JOB_FOLDER: Final = "/etc/c2d/job"
JOB_FILE: Final = f"{JOB_FOLDER}/job.json"
TOKEN_FILE: Final = f"{JOB_FOLDER}/token"
STORE_FILE: Final = f"{JOB_FOLDER}/store.json"
REGISTER_KEY_FILE: Final = f"{JOB_FOLDER}/register-key"
GRANTS_FOLDER: Final = "/etc/c2d/grants"
GRANTS_FILE: Final = f"{GRANTS_FOLDER}/grants.json"

# -- environment variables of our own programs (Ocean's, for the algorithm, are in
# operator_engine.effects.algorithm_variables)

ENV_JOB: Final = "C2D_JOB"
ENV_ENGINE: Final = "C2D_ENGINE"
ENV_DEADLINE: Final = "C2D_DEADLINE"
"""Seconds after its start at which a program gives up."""
ENV_ENCRYPT: Final = "C2D_ENCRYPT"
"""The public key for which results are encrypted."""
ENV_WARDEN: Final = "C2D_WARDEN"
ENV_POD_UID: Final = "C2D_POD_UID"
"""The pod's own uid, from Kubernetes."""
ENV_NODE_IP: Final = "C2D_NODE_IP"
"""Address of the node that runs the pod, whose kubelet an algorithm must not reach."""

# -- objects of a job


def workflows_path(namespace: str) -> str:
    """Return the API path of a namespace's WorkFlows."""
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}"


def pod_name(job: str, component: Component, attempt: int = 1) -> str:
    """Return the pod's name: a second attempt gets another one, since the first pod may still be
    terminating."""
    return f"{job}-{component}" if attempt == 1 else f"{job}-{component}-{attempt}"


def claim_name(job: str) -> str:
    return f"{job}-data"


def grants_secret_name(job: str) -> str:
    """Return the name of the Secret that operator-service makes: key ``grants.json``."""
    return f"{job}-grants"


def stage_secret_name(job: str) -> str:
    """Return the name of the Secret that the engine makes: ``job.json``, a token per stage, the result
    store's address and credentials.
    """
    return f"{job}-stages"


def bare_did(did: str) -> str:
    """Return a DID as file name: only ``did:op:`` is cut off."""
    return did.removeprefix("did:op:")
