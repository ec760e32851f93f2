"""Parts of which the pods of a job are put together: mounts, metadata, security, scheduling."""

from __future__ import annotations

from typing import Any

from c2d_box.kubernetes.port import Object
from c2d_box.operator_engine.effects.job_network import JobNetwork
from c2d_box.workflow import names
from c2d_box.workflow.environments import Environment
from c2d_box.workflow.names import Component
from c2d_box.workflow.resource import WorkFlow, owner_reference

MANAGED_BY = "c2d-operator-engine"
HOSTNAME = "kubernetes.io/hostname"


def host_aliases(component: Component, network: JobNetwork) -> Object:
    """For our own pods: an algorithm has nobody to talk to."""
    if component == "algorithm" or not network.aliases:
        return {}
    by_address: dict[str, list[str]] = {}
    for name, address in sorted(network.aliases.items()):
        by_address.setdefault(address, []).append(name)
    return {"hostAliases": [{"ip": ip, "hostnames": hosts} for ip, hosts in by_address.items()]}


def same_node_affinity(workflow: WorkFlow) -> Object:
    """A job's three pods share one volume, which one node can mount."""
    own = {"labelSelector": {"matchLabels": {names.LABEL_JOB: workflow.job}}, "topologyKey": HOSTNAME}
    return {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [own]}}}


def pull_secrets(general: tuple[str, ...], environment: Environment, component: Component) -> Object:
    """The kubelet's, not the pod's: nothing of it is mounted."""
    own = environment.images.pull_secrets if component == "algorithm" else ()
    secrets = list(dict.fromkeys([*general, *own]))
    return {"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}


def masking_mount(path: str) -> Object:
    """An empty file over one of ``/proc``, an empty folder over one of ``/sys``."""
    if path.startswith("/proc/"):
        return {"name": "gate", "mountPath": path, "subPath": "nothing", "readOnly": True}
    return volume_mount("nothing", path)


def object_metadata(workflow: WorkFlow, name: str, component: str) -> Object:
    """Labels and owner of an object that belongs to a job."""
    return {
        "name": name,
        "labels": {
            names.LABEL_JOB: workflow.job,
            names.LABEL_COMPONENT: component,
            names.LABEL_ENVIRONMENT: workflow.spec.environment,
            names.LABEL_MANAGED_BY: MANAGED_BY,
        },
        "ownerReferences": [owner_reference(workflow)],
    }


def restricted_context(uid: int) -> Object:
    """The security context that Pod Security ``restricted`` demands, for one user."""
    return {
        "runAsUser": uid,
        "runAsGroup": names.GID_JOB,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def folder_mount(name: str, *, read_only: bool = True) -> Object:
    """One folder of the job's volume, at its place below /data."""
    return {
        "name": "data",
        "mountPath": f"{names.DATA}/{name}",
        "subPath": name,
        "readOnly": read_only,
    }


def volume_mount(volume: str, path: str, *, read_only: bool = True) -> Object:
    """A volume of the pod at ``path``."""
    return {"name": volume, "mountPath": path, "readOnly": read_only}


def stage_secret_volume(name: str, workflow: WorkFlow, items: dict[str, str]) -> Object:
    """Only the named keys of the stages' Secret, each under the name its reader expects."""
    return {
        "name": name,
        "secret": {
            "secretName": names.stage_secret_name(workflow.job),
            "items": [{"key": key, "path": path} for key, path in items.items()],
        },
    }


def environment_list(values: dict[str, str]) -> list[dict[str, Any]]:
    """Variables as a container lists them, their values taken literally."""
    return [{"name": name, "value": literal_text(value)} for name, value in values.items()]


def literal_text(text: str) -> str:
    """Kubernetes replaces ``$(NAME)`` in commands and variables and turns ``$$`` into ``$``; we mean
    what we say.
    """
    return text.replace("$", "$$")


def account_mounts() -> list[Object]:
    """Names for the algorithm's user in any image: without them ``getpass``, ``pwd`` and ssh fail."""
    return [
        {"name": "gate", "mountPath": f"/etc/{name}", "subPath": name, "readOnly": True}
        for name in ("passwd", "group")
    ]
