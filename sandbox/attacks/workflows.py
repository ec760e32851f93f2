"""Jobs without Provider, chain or order: WorkFlows that carry their own code, as an operator writes by hand.

Nothing stands between the attacker and the engine then: what contains it is the engine and the pods alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from c2d_box.kubernetes.sync_client import KubeApi, Object
from c2d_box.workflow import names
from sandbox.defaults import ENTRYPOINT
from sandbox.install.images import ContainerImage

OWNER = "0xselftest"
LABEL = "c2d-box.io/selftest"
"""By which what a killed run left is found by the next one."""


@dataclass
class AttackJobs:
    """Starts jobs and looks at them; remembers what it made."""

    kube: KubeApi
    namespace: str
    environment: str
    image: ContainerImage
    made: list[str] = field(default_factory=list)

    def start_job(
        self,
        script: str,
        custom: Mapping[str, Any],
        maxtime: int | None = None,
        rules: Mapping[str, Any] | None = None,
    ) -> str:
        """``rules``: disclosure rules, as a dataset's publisher would set them."""
        job = secrets.token_hex(16)
        container = {
            "entrypoint": ENTRYPOINT,
            "image": self.image.image,
            "tag": self.image.tag,
            "checksum": self.image.checksum,
        }
        algorithm = {"rawcode": script, "container": container, "algocustomdata": dict(custom)}
        stage: Object = {"algorithm": algorithm}
        if rules is not None:
            stage["output"] = {"disclosure": dict(rules)}
        spec: Object = {"owner": OWNER, "environment": self.environment, "stages": [stage]}
        if maxtime is not None:
            spec["maxtime"] = maxtime
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": job, "namespace": self.namespace, "labels": {LABEL: "yes"}},
            "spec": spec,
        }
        self.kube.apply(self._job_path(job), body)
        self.made.append(job)
        return job

    def stop_job(self, job: str) -> None:
        """As its owner would."""
        found = self.kube.get(self._job_path(job)) or {}
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": job, "namespace": self.namespace, "labels": {LABEL: "yes"}},
            "spec": {**found.get("spec", {}), "stop": True},
        }
        self.kube.apply(self._job_path(job), body)

    def job_statuses(self) -> dict[str, Mapping[str, Any]]:
        """Of all jobs made here that are there, in one look."""
        mine = set(self.made)
        path = f"/apis/{names.GROUP}/{names.VERSION}/namespaces/{self.namespace}/{names.PLURAL}"
        return {
            item["metadata"]["name"]: item.get("status") or {}
            for item in self.kube.items(path)
            if item["metadata"]["name"] in mine
        }

    def live_log(self, job: str) -> str:
        """What Kubernetes shows of the algorithm's output; empty where there is none."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{names.pod_name(job, 'algorithm')}/log"
        return self.kube.text(path, container="algorithm")

    def leftover_objects(self, job: str) -> list[str]:
        """Objects that a job of which all is said and done should not have."""
        found = []
        for kind in ("pods", "persistentvolumeclaims", "secrets"):
            path = f"/api/v1/namespaces/{self.namespace}/{kind}"
            listed = self.kube.items(path, labelSelector=f"{names.LABEL_JOB}={job}")
            found += [f"{kind}/{item['metadata']['name']}" for item in listed]
        return found

    def delete_jobs(self, keep: Callable[[str], bool] = lambda job: False) -> None:
        """Delete what was made; the engine's finalizer takes care of the rest."""
        for job in [job for job in self.made if not keep(job)]:
            self.kube.delete(self._job_path(job))
            self.made.remove(job)

    def delete_leftovers(self) -> None:
        """Delete what an earlier run could not."""
        path = f"/apis/{names.GROUP}/{names.VERSION}/namespaces/{self.namespace}/{names.PLURAL}"
        for item in self.kube.items(path, labelSelector=f"{LABEL}=yes"):
            self.kube.delete(self._job_path(item["metadata"]["name"]))

    def _job_path(self, job: str) -> str:
        return f"/apis/{names.GROUP}/{names.VERSION}/namespaces/{self.namespace}/{names.PLURAL}/{job}"
