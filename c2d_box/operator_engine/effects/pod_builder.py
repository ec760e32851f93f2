"""Builds the manifests of a job: claim, Secret and three pods, all of them Pod Security ``restricted``.

This module alone decides what each container can see: which folders of the volume, which keys of the
Secret, which network (through the pod's RuntimeClass). Credentials and the algorithm never share a pod.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from c2d_box.kubernetes.port import Object
from c2d_box.operator_engine.effects.algorithm_variables import ocean_variables
from c2d_box.operator_engine.effects.job_network import UNKNOWN_NETWORK, JobNetwork
from c2d_box.operator_engine.effects.pod_parts import (
    MANAGED_BY,
    account_mounts,
    environment_list,
    folder_mount,
    host_aliases,
    literal_text,
    masking_mount,
    object_metadata,
    pull_secrets,
    restricted_context,
    same_node_affinity,
    stage_secret_volume,
    volume_mount,
)
from c2d_box.operator_engine.settings import EngineSettings
from c2d_box.workflow import names
from c2d_box.workflow.environments import Environment
from c2d_box.workflow.names import Component
from c2d_box.workflow.resource import WorkFlow

OWN_MEMORY = 256 << 20
"""Memory limit of each of our own containers, in bytes."""
OWN_REQUEST = {"cpu": "20m", "memory": "48Mi"}
"""Requests of each of our own containers; `scheduling/capacity.py` counts them for a whole job."""
TMP_BYTES = 512 << 20
"""Size of the algorithm's ``/tmp``, in bytes of memory."""
VOLUME_FOR_GROUP = {"fsGroup": names.GID_JOB, "fsGroupChangePolicy": "OnRootMismatch"}
"""The kubelet sets the group once, for the first pod: later pods leave the algorithm's file modes alone."""
POLICY_TIMEOUT = 1.0
"""Seconds without an answer after which an address counts as closed, where NetworkPolicies alone isolate."""

_STAGING_FOLDERS = (names.INPUTS, names.TRANSFORMATIONS, names.DDOS, names.CONTROL, names.ADMIN_LOGS)
"""Folders that configuration writes."""
_ALGORITHM_READS = (names.INPUTS, names.TRANSFORMATIONS, names.DDOS)
"""Folders that the algorithm sees read-only. ``control`` is not among them: the
marker there releases the warden.
"""
_ALGORITHM_WRITES = (names.OUTPUTS, names.LOGS)
"""Folders that the algorithm can write, and the only ones on a disk."""
_PUBLISHED = (names.OUTPUTS, names.LOGS, names.ADMIN_LOGS)
"""Folders that judge and upload read."""


class ManifestBuilder:
    """Builds manifests from the engine's settings; ``gate_map`` is the name of the gate's ConfigMap."""

    def __init__(self, settings: EngineSettings, gate_map: str) -> None:
        self._settings = settings
        self._gate_map = gate_map

    def volume_claim(self, workflow: WorkFlow, environment: Environment) -> Object:
        """Build the claim of the job's volume, as large as the environment's disk."""
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": object_metadata(workflow, names.claim_name(workflow.job), "volume"),
            "spec": {
                # One node at a time is enough: the job's pods share a node, see `same_node_affinity`.
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": self._settings.storage_class,
                # `diskGB` is Ocean's name; it is counted in GiB, as memory is.
                "resources": {"requests": {"storage": str(int(environment.diskGB * (1 << 30)))}},
            },
        }

    def stage_secrets(self, workflow: WorkFlow, values: dict[str, str]) -> Object:
        """Build the Secret of the stages. Each container mounts its own keys of it and no other."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            # What a pod was started with stays what it was: the kubelet need not
            # watch it, and nobody can swap it.
            "immutable": True,
            "metadata": object_metadata(workflow, names.stage_secret_name(workflow.job), "stages"),
            "stringData": values,
        }

    def stage_pod(
        self,
        workflow: WorkFlow,
        environment: Environment,
        component: Component,
        attempt: int,
        secret: str,
        network: JobNetwork = UNKNOWN_NETWORK,
    ) -> Object:
        """Build the pod of ``component``. ``secret`` becomes the algorithm's variable of that name."""
        if component == "configuration":
            containers, volumes = self._configuration_pod(workflow, environment)
        elif component == "algorithm":
            containers, volumes = self._algorithm_pod(workflow, environment, secret, network)
        else:
            containers, volumes = self._publishing_pod(workflow, environment)
        runtime_class = self._settings.runtime_class(component, environment)
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": object_metadata(
                workflow, names.pod_name(workflow.job, component, attempt), component
            ),
            "spec": {
                # The kubelet never starts a container twice: for the algorithm that would be a second run.
                "restartPolicy": "Never",
                # Nothing in a job may call Kubernetes, nor learn which Services there are.
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "hostUsers": self._settings.host_users,
                "terminationGracePeriodSeconds": self._settings.limits.grace,
                # Enforced by the kubelet, so it holds also while no engine runs.
                "activeDeadlineSeconds": self._longest(environment),
                # Nothing in a job resolves names; the few it may use stand in its hosts file.
                "dnsPolicy": "None",
                "dnsConfig": {"nameservers": ["127.0.0.1"], "searches": []},
                **({"tolerations": list(environment.tolerations)} if environment.tolerations else {}),
                **host_aliases(component, network),
                **same_node_affinity(workflow),
                **({"runtimeClassName": runtime_class} if runtime_class else {}),
                **({"nodeSelector": environment.node_selector} if environment.node_selector else {}),
                **pull_secrets(self._settings.image_pull_secrets, environment, component),
                # Pod Security `restricted` demands these two for the pod; each
                # container repeats them for itself.
                "securityContext": {
                    "seccompProfile": {"type": "RuntimeDefault"},
                    "runAsNonRoot": True,
                    **({} if self._settings.folders_made else VOLUME_FOR_GROUP),
                },
                "containers": containers,
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": names.claim_name(workflow.job)}},
                    *volumes,
                ],
            },
        }

    # -- the three pods

    def _configuration_pod(
        self, workflow: WorkFlow, environment: Environment
    ) -> tuple[list[Object], list[Object]]:
        # The only container that writes inputs, and the only one with the grants.
        container = self._own(
            "configuration",
            "c2d_box.pods.configuration",
            names.UID_CONFIGURATION,
            self._environment(workflow, environment),
            [
                *(folder_mount(name, read_only=False) for name in _STAGING_FOLDERS),
                volume_mount("job", names.JOB_FOLDER),
                volume_mount("grants", names.GRANTS_FOLDER),
            ],
        )
        volumes = [
            stage_secret_volume("job", workflow, {"job.json": "job.json", "configuration-token": "token"}),
            # Optional: a job that carries its own code and has no inputs has no grants either.
            {
                "name": "grants",
                "secret": {"secretName": names.grants_secret_name(workflow.job), "optional": True},
            },
        ]
        return [container], volumes

    def _algorithm_pod(
        self, workflow: WorkFlow, environment: Environment, secret: str, network: JobNetwork
    ) -> tuple[list[Object], list[Object]]:
        limits = self._settings.limits
        # Counted from the pods' creation: the volume must be bound and the inputs
        # staged before the marker comes.
        patience = {names.ENV_DEADLINE: str(int(limits.staging + limits.binding))}
        warden = self._own(
            "warden",
            "c2d_box.pods.warden",
            names.UID_WARDEN,
            {names.ENV_WARDEN: json.dumps(self._warden_container(network, environment)), **patience},
            # The warden reads the marker that configuration wrote, and alone can write the go-ahead.
            [folder_mount(names.CONTROL), volume_mount("go", names.GO_FOLDER, read_only=False)],
        )
        # From Kubernetes itself, since the engine does not know either of them before the pod exists.
        for variable, field in ((names.ENV_POD_UID, "metadata.uid"), (names.ENV_NODE_IP, "status.hostIP")):
            warden["env"].append({"name": variable, "valueFrom": {"fieldRef": {"fieldPath": field}}})
        section = workflow.stage.algorithm.container
        # The gate is the container's first process: it waits for the go-ahead and then runs the algorithm's
        # line. It shares the algorithm's user, so nothing it holds is a secret.
        gate = [
            names.GATE,
            f"--go={names.GO_AHEAD}",
            f"--patience={int(limits.staging + limits.binding)}",
            f"--log={names.ALGORITHM_LOG}",
            f"--cap={limits.log_bytes}",
            f"--outputs={names.DATA}/{names.OUTPUTS}",
            f"--file={_largest_file(environment)}",
            f"--scratch={names.SCRATCH}",
            # What a container prints is kept by the node and can be read at once: rules come too late there.
            *(["--live=no"] if _has_rules(workflow) else []),
            "--",
            # `$ALGO` is Ocean's placeholder for the algorithm's file.
            literal_text(section.entrypoint.replace("$ALGO", names.ALGORITHM_FILE)),
        ]
        # Memory is requested as a whole, since it cannot be taken back; of the cores a share is enough.
        cpu, memory = f"{int(environment.cpu_number * 1000)}m", str(int(environment.ramGB * (1 << 30)))
        request = f"{max(1, int(environment.cpu_number * 1000 * self._settings.cpu_request))}m"
        algorithm = {
            "name": "algorithm",
            "image": section.reference,
            "imagePullPolicy": environment.images.pull_policy or self._settings.image_pull_policy,
            "command": gate,
            "env": environment_list(ocean_variables(workflow, secret)),
            "securityContext": restricted_context(names.UID_ALGORITHM),
            "resources": {
                "requests": {"cpu": request, "memory": memory},
                "limits": {
                    "cpu": cpu,
                    "memory": memory,
                    # What a container prints is on the node's disk and counts here.
                    "ephemeral-storage": str(2 * TMP_BYTES),
                    # An extended resource needs only a limit: the request follows from it.
                    **(
                        {environment.gpu_resource: gpus}
                        if (gpus := str(environment.gpu_number)) != "0"
                        else {}
                    ),
                },
            },
            "volumeMounts": [
                *(folder_mount(name) for name in _ALGORITHM_READS),
                *(folder_mount(name, read_only=False) for name in _ALGORITHM_WRITES),
                volume_mount("gate", names.GATE_FOLDER),
                volume_mount("go", names.GO_FOLDER),
                volume_mount("tmp", names.SCRATCH, read_only=False),
                *account_mounts(),
                volume_mount("hidden", names.HIDDEN_FOLDER, read_only=False),
                *(masking_mount(path) for path in self._settings.masked),
            ],
            # Kubernetes masks the folder after it has mounted this file: it is there and out of reach.
            "terminationMessagePath": names.TERMINATION_LOG,
        }
        volumes: list[Object] = [
            # Executable for any user, writable for none.
            {"name": "gate", "configMap": {"name": self._gate_map, "defaultMode": 0o555}},
            # In memory and tiny: it holds one file that the warden writes.
            {"name": "go", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            # In memory: what an algorithm puts there may be the data itself, and a folder of the node's disk
            # would be unlinked at the pod's end, not overwritten. It counts against the memory limit.
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": str(TMP_BYTES)}},
            *(
                # `hidden` is where the termination log lies; `nothing` is the empty folder for masking.
                {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
                for name in ("hidden", "nothing")
            ),
        ]
        return [warden, algorithm], volumes

    def _publishing_pod(
        self, workflow: WorkFlow, environment: Environment
    ) -> tuple[list[Object], list[Object]]:
        published = [folder_mount(name) for name in _PUBLISHED]
        # The judge parses the algorithm's bytes, so it has no credential. Upload has them, and sends only
        # what the judge's verdict lists, which it cannot write.
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
                volume_mount("judge", names.JOB_FOLDER),
                volume_mount("verdict", names.VERDICT_FOLDER, read_only=False),
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
            [
                *published,
                volume_mount("upload", names.JOB_FOLDER),
                volume_mount("verdict", names.VERDICT_FOLDER),
            ],
        )
        volumes = [
            stage_secret_volume("judge", workflow, {"judge-token": "token"}),
            stage_secret_volume("upload", workflow, {"upload-token": "token", "store.json": "store.json"}),
            # Room for the filtered copies of the logs and the manifest.
            {"name": "verdict", "emptyDir": {"sizeLimit": str(16 * self._settings.limits.log_bytes)}},
        ]
        if workflow.publish is None:
            return [judge, upload], volumes
        # Its container holds a key that can spend, so it sees nothing of the volume.
        register = self._own(
            "register",
            "c2d_box.pods.register",
            names.UID_REGISTER,
            self._environment(workflow, environment),
            [volume_mount("register", names.JOB_FOLDER)],
        )
        keys = {"register-token": "token", "register-key": "register-key"}
        return [judge, upload, register], [*volumes, stage_secret_volume("register", workflow, keys)]

    # -- parts of the pods

    def _longest(self, environment: Environment) -> int:
        """Return the seconds after which a pod ends even where no engine is there to end it."""
        limits = self._settings.limits
        waits = limits.staging + limits.publishing + 2 * limits.binding + limits.image + limits.kill
        return int(waits + environment.max_job_duration)

    def _warden_container(self, network: JobNetwork, environment: Environment) -> dict[str, Any]:
        """Return the warden's settings. Where policies alone isolate, the timeout is longer: a distant
        address must not pass for a closed one. An environment's own RuntimeClass is assumed to leave the
        network as it is.
        """
        given, general = self._settings.warden, self._settings.runtime_classes.algorithm
        by_construction = general is not None and environment.runtime_class in ("", general)
        demanded = (*given.restrictions, *(() if self._settings.host_users else ("user_namespace",)))
        return {
            "targets": network.targets,
            "timeout": given.timeout if by_construction else max(given.timeout, POLICY_TIMEOUT),
            "required": given.required,
            "restrictions": demanded,
        }

    def _environment(self, workflow: WorkFlow, environment: Environment) -> dict[str, str]:
        """Return the variables of our own containers: job, engine and deadline."""
        return {
            names.ENV_JOB: workflow.job,
            names.ENV_ENGINE: self._settings.engine_url,
            names.ENV_DEADLINE: str(self._longest(environment)),
        }

    def _output_limits(self, workflow: WorkFlow, environment: Environment) -> dict[str, Any]:
        """Return the judge's limits. Outputs may fill the disk unless the operator sets less."""
        limits = self._settings.limits
        return {
            "disclosure": _rules(workflow),
            "files": limits.output_files,
            "bytes": limits.output_bytes or int(environment.diskGB * (1 << 30)),
            "logBytes": limits.log_bytes,
        }

    def _own(
        self, name: str, module: str, uid: int, environment: dict[str, str], mounts: list[Object]
    ) -> Object:
        """Build one of our own containers, all of which run the image `runtime` as a user of their own."""
        return {
            "name": name,
            "image": self._settings.images.runtime,
            "imagePullPolicy": self._settings.image_pull_policy,
            "command": ["python3", "-m", module],
            "env": environment_list({**environment, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}),
            "securityContext": restricted_context(uid),
            # One core and little memory at most, since jobs share a node.
            "resources": {"requests": OWN_REQUEST, "limits": {"cpu": "1", "memory": str(OWN_MEMORY)}},
            "volumeMounts": mounts,
        }


def _rules(workflow: WorkFlow) -> Any:
    """Return the publishers' disclosure rules for this job, None where there are none."""
    return (workflow.stage.output or {}).get("disclosure")


def _has_rules(workflow: WorkFlow) -> bool:
    """Return whether publishers' disclosure rules hold for this job."""
    return _rules(workflow) is not None


def _largest_file(environment: Environment) -> int:
    """Return the bytes that one file of the algorithm may hold: files lie on the job's disk or in its memory.
    The limit also bounds what no quota counts, such as files that the kubelet mounts from the node's disk.
    """
    return int(max(environment.diskGB, environment.ramGB) * (1 << 30))


# The algorithm's user by name, for images that do not know its uid; mounted over the image's own files.
_USERS = f"""\
root:x:0:0:root:/root:/bin/sh
{names.ALGORITHM_USER}:x:{names.UID_ALGORITHM}:{names.GID_JOB}:algorithm:{names.SCRATCH}:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""
_GROUPS = f"root:x:0:\nc2djob:x:{names.GID_JOB}:\nnogroup:x:65534:\n"
BESIDE_GATE = {"passwd": _USERS, "group": _GROUPS, "nothing": ""}
"""Further files of the gate's ConfigMap."""


def gate_map(binary: bytes, name: str) -> Object:
    """Build the gate's ConfigMap: the program, the account files and an empty file for masking."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        # A pod that runs can rely on it; another content is another object, see `install_gate`.
        "immutable": True,
        "metadata": {"name": name, "labels": {names.LABEL_MANAGED_BY: MANAGED_BY}},
        "binaryData": {"gate": base64.b64encode(binary).decode()},
        "data": BESIDE_GATE,
    }
