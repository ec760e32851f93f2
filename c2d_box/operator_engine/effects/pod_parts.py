"""Parts that the manifests of a job's pods are built from: mounts, metadata, security, scheduling."""

from __future__ import annotations

from typing import Any

from c2d_box.kubernetes.port import Object
from c2d_box.operator_engine.effects.job_network import JobNetwork
from c2d_box.workflow import names
from c2d_box.workflow.environments import Environment
from c2d_box.workflow.names import Component
from c2d_box.workflow.resource import WorkFlow, owner_reference

MANAGED_BY = "c2d-operator-engine"
"""Value of the label ``app.kubernetes.io/managed-by`` on all that the engine creates."""
HOSTNAME = "kubernetes.io/hostname"


def host_aliases(component: Component, network: JobNetwork) -> Object:
    """Return ``hostAliases`` for our own pods, nothing for the algorithm's: it talks to nobody."""
    if component == "algorithm" or not network.aliases:
        return {}
    # One entry for each address: the kubelet writes them as lines of /etc/hosts.
    by_address: dict[str, list[str]] = {}
    for name, address in sorted(network.aliases.items()):
        by_address.setdefault(address, []).append(name)
    return {"hostAliases": [{"ip": ip, "hostnames": hosts} for ip, hosts in by_address.items()]}


def same_node_affinity(workflow: WorkFlow) -> Object:
    """Return the affinity that puts a job's three pods on one node: only one can mount their volume."""
    own = {"labelSelector": {"matchLabels": {names.LABEL_JOB: workflow.job}}, "topologyKey": HOSTNAME}
    # Required, not preferred. The first of the pods matches itself, which the scheduler allows.
    return {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [own]}}}


def pull_secrets(general: tuple[str, ...], environment: Environment, component: Component) -> Object:
    """Return ``imagePullSecrets``. Only the kubelet uses them: nothing of them is mounted into the pod."""
    own = environment.images.pull_secrets if component == "algorithm" else ()
    # The general ones first, without repetition.
    secrets = list(dict.fromkeys([*general, *own]))
    return {"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}


def masking_mount(path: str) -> Object:
    """Return the mount of an empty file over a file of ``/proc``, an empty folder over one of ``/sys``."""
    if path.startswith("/proc/"):
        # runc lets a mount cover only a few files of /proc; `masked` names those.
        return {"name": "gate", "mountPath": path, "subPath": "nothing", "readOnly": True}
    return volume_mount("nothing", path)


def object_metadata(workflow: WorkFlow, name: str, component: str) -> Object:
    """Return the metadata of a job's object: name, labels and owner."""
    return {
        "name": name,
        "labels": {
            names.LABEL_JOB: workflow.job,
            names.LABEL_COMPONENT: component,
            names.LABEL_ENVIRONMENT: workflow.spec.environment,
            names.LABEL_MANAGED_BY: MANAGED_BY,
        },
        # Kubernetes deletes the object with the WorkFlow, also where no engine is there to do it.
        "ownerReferences": [owner_reference(workflow)],
    }


def restricted_context(uid: int) -> Object:
    """Return the security context that Pod Security ``restricted`` demands, for one user."""
    return {
        "runAsUser": uid,
        # One group for all users of a job: they share the volume by it.
        "runAsGroup": names.GID_JOB,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        # Nothing is added back: no program of a job binds a low port or changes owners.
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def folder_mount(name: str, *, read_only: bool = True) -> Object:
    """Return the mount of one folder of the job's volume below /data."""
    return {
        "name": "data",
        "mountPath": f"{names.DATA}/{name}",
        # Only this folder: the root of the volume, and so its other folders, cannot be reached.
        "subPath": name,
        "readOnly": read_only,
    }


def volume_mount(volume: str, path: str, *, read_only: bool = True) -> Object:
    """Return the mount of a pod's volume at ``path``."""
    return {"name": volume, "mountPath": path, "readOnly": read_only}


def stage_secret_volume(name: str, workflow: WorkFlow, items: dict[str, str]) -> Object:
    """Return a volume with only the named keys of the stages' Secret, each under its reader's file name."""
    return {
        "name": name,
        "secret": {
            "secretName": names.stage_secret_name(workflow.job),
            "items": [{"key": key, "path": path} for key, path in items.items()],
        },
    }


def environment_list(values: dict[str, str]) -> list[dict[str, Any]]:
    """Return ``values`` as a container's ``env`` list, escaped so that they are taken literally."""
    return [{"name": name, "value": literal_text(value)} for name, value in values.items()]


def literal_text(text: str) -> str:
    """Escape ``text`` for commands and variables, where Kubernetes replaces ``$(NAME)`` and turns ``$$`` into
    ``$``.
    """
    return text.replace("$", "$$")


def account_mounts() -> list[Object]:
    """Return the mounts that name the algorithm's user in any image: without them ``getpass``, ``pwd`` and
    ssh fail.
    """
    return [
        {"name": "gate", "mountPath": f"/etc/{name}", "subPath": name, "readOnly": True}
        for name in ("passwd", "group")
    ]
