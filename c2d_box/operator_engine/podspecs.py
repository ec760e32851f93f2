"""The bodies of a job's objects: claim, Secret and the three pods, all of them Pod Security ``restricted``.

What each container can see is decided here and nowhere else: which folders of the volume, which keys of the
Secret, which network (through the pod's RuntimeClass). Credentials and the algorithm never share a pod.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from c2d_box.operator_engine.settings import Settings
from c2d_box.workflow import names
from c2d_box.workflow.cluster import Object
from c2d_box.workflow.environments import Environment
from c2d_box.workflow.names import Component
from c2d_box.workflow.resource import WorkFlow, owner_reference

OWN_MEMORY = 256 << 20
"""Limit of each container of ours, in bytes."""
OWN_REQUEST = {"cpu": "20m", "memory": "48Mi"}
TMP_BYTES = 512 << 20
PARAMETER_BYTES = 64 << 10
"""Of one variable: the kernel takes twice that; longer parameters are in the file alone."""
MANAGED_BY = "c2d-operator-engine"

_STAGING_FOLDERS = (names.INPUTS, names.TRANSFORMATIONS, names.DDOS, names.CONTROL, names.ADMIN_LOGS)
_ALGORITHM_READS = (names.INPUTS, names.TRANSFORMATIONS, names.DDOS)
_ALGORITHM_WRITES = (names.OUTPUTS, names.LOGS)
_PUBLISHED = (names.OUTPUTS, names.LOGS, names.ADMIN_LOGS)


class Bodies:
    """Builds bodies from the engine's settings; ``gate_map`` is the name of the gate's ConfigMap."""

    def __init__(self, settings: Settings, gate_map: str) -> None:
        self._settings = settings
        self._gate_map = gate_map

    def claim(self, workflow: WorkFlow, environment: Environment) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": _metadata(workflow, names.claim(workflow.job), "volume"),
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": self._settings.storage_class,
                "resources": {"requests": {"storage": str(int(environment.diskGB * (1 << 30)))}},
            },
        }

    def secret(self, workflow: WorkFlow, values: dict[str, str]) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "immutable": True,
            "metadata": _metadata(workflow, names.stage_secret(workflow.job), "stages"),
            "stringData": values,
        }

    def pod(
        self, workflow: WorkFlow, environment: Environment, component: Component, attempt: int, secret: str
    ) -> Object:
        """``secret``: the value of the algorithm's variable of that name."""
        if component == "configuration":
            containers, volumes = self._configuration(workflow, environment)
        elif component == "algorithm":
            containers, volumes = self._algorithm(workflow, environment, secret)
        else:
            containers, volumes = self._publishing(workflow, environment)
        runtime_class = getattr(self._settings.runtime_classes, component)
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": _metadata(workflow, names.pod(workflow.job, component, attempt), component),
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "hostUsers": self._settings.host_users,
                "terminationGracePeriodSeconds": self._settings.limits.grace,
                "activeDeadlineSeconds": self._longest(environment),
                # Nothing in a job resolves names; addresses are given as numbers.
                "dnsPolicy": "None",
                "dnsConfig": {"nameservers": ["127.0.0.1"], "searches": []},
                **({"runtimeClassName": runtime_class} if runtime_class else {}),
                **({"nodeSelector": environment.node_selector} if environment.node_selector else {}),
                **_pulling(environment, component),
                "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, "runAsNonRoot": True},
                "containers": containers,
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": names.claim(workflow.job)}},
                    *volumes,
                ],
            },
        }

    # -- the three pods

    def _configuration(
        self, workflow: WorkFlow, environment: Environment
    ) -> tuple[list[Object], list[Object]]:
        container = self._own(
            "configuration",
            "c2d_box.pods.configuration",
            names.UID_CONFIGURATION,
            self._environment(workflow, environment),
            [
                *(_folder(name, read_only=False) for name in _STAGING_FOLDERS),
                _mount("job", names.JOB_FOLDER),
                _mount("grants", names.GRANTS_FOLDER),
            ],
        )
        volumes = [
            _secret_volume("job", workflow, {"job.json": "job.json", "configuration-token": "token"}),
            # Optional: a job that carries its own code and has no inputs has no grants either.
            {"name": "grants", "secret": {"secretName": names.grants_secret(workflow.job), "optional": True}},
        ]
        return [container], volumes

    def _algorithm(
        self, workflow: WorkFlow, environment: Environment, secret: str
    ) -> tuple[list[Object], list[Object]]:
        limits = self._settings.limits
        patience = {names.ENV_DEADLINE: str(int(limits.staging + limits.binding))}
        warden = self._own(
            "warden",
            "c2d_box.pods.warden",
            names.UID_WARDEN,
            {names.ENV_WARDEN: json.dumps(self._settings.warden.model_dump()), **patience},
            [_folder(names.CONTROL), _mount("go", names.GO_FOLDER, read_only=False)],
        )
        own_uid = {"fieldRef": {"fieldPath": "metadata.uid"}}
        warden["env"].append({"name": names.ENV_POD_UID, "valueFrom": own_uid})
        section = workflow.stage.algorithm.container
        gate = [
            names.GATE,
            f"--go={names.GO_AHEAD}",
            f"--patience={int(limits.staging + limits.binding)}",
            f"--log={names.ALGORITHM_LOG}",
            f"--cap={limits.log_bytes}",
            f"--outputs={names.DATA}/{names.OUTPUTS}",
            "--",
            _literal(section.entrypoint.replace("$ALGO", names.ALGORITHM_FILE)),
        ]
        cpu, memory = f"{int(environment.cpu_number * 1000)}m", str(int(environment.ramGB * (1 << 30)))
        request = f"{max(1, int(environment.cpu_number * 1000 * self._settings.cpu_request))}m"
        algorithm = {
            "name": "algorithm",
            "image": section.reference,
            "imagePullPolicy": environment.images.pull_policy or self._settings.image_pull_policy,
            "command": gate,
            "env": _variables(ocean_variables(workflow, secret)),
            "securityContext": _restricted(names.UID_ALGORITHM),
            "resources": {
                "requests": {"cpu": request, "memory": memory},
                "limits": {
                    "cpu": cpu,
                    "memory": memory,
                    "ephemeral-storage": str(2 * TMP_BYTES),
                    **(
                        {environment.gpu_resource: gpus}
                        if (gpus := str(environment.gpu_number)) != "0"
                        else {}
                    ),
                },
            },
            "volumeMounts": [
                *(_folder(name) for name in _ALGORITHM_READS),
                *(_folder(name, read_only=False) for name in _ALGORITHM_WRITES),
                _mount("gate", names.GATE_FOLDER),
                _mount("go", names.GO_FOLDER),
                _mount("tmp", "/tmp", read_only=False),
            ],
        }
        volumes: list[Object] = [
            {"name": "gate", "configMap": {"name": self._gate_map, "defaultMode": 0o555}},
            {"name": "go", "emptyDir": {"sizeLimit": "1Mi"}},
            # In memory: what an algorithm puts there may be the data itself, and a folder of the node's disk
            # would be unlinked at the pod's end, not overwritten. It counts against the memory limit.
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": str(TMP_BYTES)}},
        ]
        return [warden, algorithm], volumes

    def _publishing(self, workflow: WorkFlow, environment: Environment) -> tuple[list[Object], list[Object]]:
        published = [_folder(name) for name in _PUBLISHED]
        judge = self._own(
            "judge",
            "c2d_box.pods.judge",
            names.UID_JUDGE,
            {
                **self._environment(workflow, environment),
                "C2D_LIMITS": json.dumps(self._output_limits(workflow, environment)),
            },
            [
                *published,
                _mount("judge", names.JOB_FOLDER),
                _mount("verdict", names.VERDICT_FOLDER, read_only=False),
            ],
        )
        upload = self._own(
            "upload",
            "c2d_box.pods.upload",
            names.UID_UPLOAD,
            {
                **self._environment(workflow, environment),
                **({names.ENV_ENCRYPT: workflow.encrypt} if workflow.encrypt else {}),
            },
            [*published, _mount("upload", names.JOB_FOLDER), _mount("verdict", names.VERDICT_FOLDER)],
        )
        volumes = [
            _secret_volume("judge", workflow, {"judge-token": "token"}),
            _secret_volume("upload", workflow, {"upload-token": "token", "store.json": "store.json"}),
            {"name": "verdict", "emptyDir": {"sizeLimit": str(16 * self._settings.limits.log_bytes)}},
        ]
        if workflow.publish is None:
            return [judge, upload], volumes
        register = self._own(
            "register",
            "c2d_box.pods.register",
            names.UID_REGISTER,
            self._environment(workflow, environment),
            [_mount("register", names.JOB_FOLDER)],
        )
        keys = {"register-token": "token", "register-key": "register-key"}
        return [judge, upload, register], [*volumes, _secret_volume("register", workflow, keys)]

    # -- their parts

    def _longest(self, environment: Environment) -> int:
        """Seconds after which a pod ends even where no engine is there to end it."""
        limits = self._settings.limits
        waits = limits.staging + limits.publishing + 2 * limits.binding + limits.image + limits.kill
        return int(waits + environment.max_job_duration)

    def _environment(self, workflow: WorkFlow, environment: Environment) -> dict[str, str]:
        return {
            names.ENV_JOB: workflow.job,
            names.ENV_ENGINE: self._settings.engine_url,
            names.ENV_DEADLINE: str(self._longest(environment)),
        }

    def _output_limits(self, workflow: WorkFlow, environment: Environment) -> dict[str, Any]:
        limits = self._settings.limits
        return {
            "disclosure": (workflow.stage.output or {}).get("disclosure"),
            "files": limits.output_files,
            "bytes": limits.output_bytes or int(environment.diskGB * (1 << 30)),
            "logBytes": limits.log_bytes,
        }

    def _own(
        self, name: str, module: str, uid: int, environment: dict[str, str], mounts: list[Object]
    ) -> Object:
        return {
            "name": name,
            "image": self._settings.images.runtime,
            "imagePullPolicy": self._settings.image_pull_policy,
            "command": ["python3", "-m", module],
            "env": _variables({**environment, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}),
            "securityContext": _restricted(uid),
            "resources": {"requests": OWN_REQUEST, "limits": {"cpu": "1", "memory": str(OWN_MEMORY)}},
            "volumeMounts": mounts,
        }


def _pulling(environment: Environment, component: Component) -> Object:
    """The kubelet's, not the pod's: nothing of it is mounted."""
    secrets = environment.images.pull_secrets if component == "algorithm" else ()
    return {"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}


def ocean_variables(workflow: WorkFlow, secret: str) -> dict[str, str]:
    """The environment Ocean's algorithms know, and what makes Python and home-seeking tools behave."""
    dids = [names.bare_did(entry.id) for entry in workflow.stage.input]
    return {
        "DIDS": json.dumps(dids),
        "TRANSFORMATION_DID": names.bare_did(workflow.stage.algorithm.id or ""),
        "VOLUME": names.DATA,
        "INPUTS": f"{names.DATA}/{names.INPUTS}",
        "OUTPUTS": f"{names.DATA}/{names.OUTPUTS}",
        "LOGS": f"{names.DATA}/{names.LOGS}",
        "secret": secret,
        **_parameters(workflow),
        "HOME": "/tmp",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _parameters(workflow: WorkFlow) -> dict[str, str]:
    """The consumer's parameters as JSON, beside the file; one variable each, whatever the parameters are
    called, since a name of the consumer's choice could be one that a loader or an interpreter obeys.
    """
    algorithm = workflow.stage.algorithm
    given = {"ALGO_CUSTOM_DATA": algorithm.algocustomdata, "ALGO_USER_DATA": algorithm.userdata}
    texts = {name: json.dumps(value) for name, value in given.items() if value is not None}
    return {name: text for name, text in texts.items() if len(text) <= PARAMETER_BYTES}


def gate_map(binary: bytes, name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "immutable": True,
        "metadata": {"name": name, "labels": {names.LABEL_MANAGED_BY: MANAGED_BY}},
        "binaryData": {"gate": base64.b64encode(binary).decode()},
    }


def _metadata(workflow: WorkFlow, name: str, component: str) -> Object:
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


def _restricted(uid: int) -> Object:
    return {
        "runAsUser": uid,
        "runAsGroup": names.GID_JOB,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _folder(name: str, *, read_only: bool = True) -> Object:
    """One folder of the job's volume, at its place below /data."""
    return {
        "name": "data",
        "mountPath": f"{names.DATA}/{name}",
        "subPath": name,
        "readOnly": read_only,
    }


def _mount(volume: str, path: str, *, read_only: bool = True) -> Object:
    return {"name": volume, "mountPath": path, "readOnly": read_only}


def _secret_volume(name: str, workflow: WorkFlow, items: dict[str, str]) -> Object:
    """Only the named keys of the stages' Secret, each under the name its reader expects."""
    return {
        "name": name,
        "secret": {
            "secretName": names.stage_secret(workflow.job),
            "items": [{"key": key, "path": path} for key, path in items.items()],
        },
    }


def _variables(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": _literal(value)} for name, value in values.items()]


def _literal(text: str) -> str:
    """Kubernetes replaces ``$(NAME)`` in commands and variables and turns ``$$`` into ``$``; we mean
    what we say.
    """
    return text.replace("$", "$$")
