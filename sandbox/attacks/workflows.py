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
"""Owner of the jobs. It is no address, so no account can ask the API for them."""
LABEL = "c2d-box.io/selftest"
"""Label by which a run finds the jobs that a killed run left."""


@dataclass
class AttackJobs:
    """Starts jobs and looks at them; remembers the ones it made, so that it touches no job of a user."""

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
        """Start a job with this Python script; return its id.

        ``custom`` becomes the file ``algoCustomData.json`` in its inputs; ``maxtime`` is in seconds;
        ``rules`` are disclosure rules, as a dataset's publisher would set them.
        """
        job = secrets.token_hex(16)
        container = {
            "entrypoint": ENTRYPOINT,
            "image": self.image.image,
            "tag": self.image.tag,
            "checksum": self.image.checksum,
        }
        # The code stands in the WorkFlow itself: no asset, no order, no Provider.
        algorithm = {"rawcode": script, "container": container, "algocustomdata": dict(custom)}
        stage: Object = {"algorithm": algorithm}
        if rules is not None:
            stage["output"] = {"disclosure": dict(rules)}
        # Fields as :mod:`c2d_box.workflow.resource` reads them; a job without ``maxtime`` has the
        # environment's.
        spec: Object = {"owner": OWNER, "environment": self.environment, "stages": [stage]}
        if maxtime is not None:
            spec["maxtime"] = maxtime
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": job, "namespace": self.namespace, "labels": {LABEL: "yes"}},
            "spec": spec,
        }
        # Kept in ``made`` only afterwards: a job that the API server refused does not exist.
        self.kube.apply(self._job_path(job), body)
        self.made.append(job)
        return job

    def stop_job(self, job: str) -> None:
        """Ask for the job's stop, as the Provider does for its owner."""
        found = self.kube.get(self._job_path(job)) or {}
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": job, "namespace": self.namespace, "labels": {LABEL: "yes"}},
            # The whole spec: a server-side apply removes fields that the applier set before and leaves out
            # now.
            "spec": {**found.get("spec", {}), "stop": True},
        }
        self.kube.apply(self._job_path(job), body)

    def job_statuses(self) -> dict[str, Mapping[str, Any]]:
        """Return the statuses of all jobs made here that still exist, with one request."""
        mine = set(self.made)
        path = f"/apis/{names.GROUP}/{names.VERSION}/namespaces/{self.namespace}/{names.PLURAL}"
        return {
            item["metadata"]["name"]: item.get("status") or {}
            for item in self.kube.items(path)
            if item["metadata"]["name"] in mine
        }

    def live_log(self, job: str) -> str:
        """Return what Kubernetes shows of the algorithm's output; empty where there is none."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{names.pod_name(job, 'algorithm')}/log"
        return self.kube.text(path, container="algorithm")

    def leftover_objects(self, job: str) -> list[str]:
        """Return the objects, as ``kind/name``, that a cleaned job should not have any more."""
        found = []
        # The kinds that hold a job's data or its rights.
        for kind in ("pods", "persistentvolumeclaims", "secrets"):
            path = f"/api/v1/namespaces/{self.namespace}/{kind}"
            listed = self.kube.items(path, labelSelector=f"{names.LABEL_JOB}={job}")
            found += [f"{kind}/{item['metadata']['name']}" for item in listed]
        return found

    def delete_jobs(self, keep: Callable[[str], bool] = lambda job: False) -> None:
        """Delete the jobs made here, except those that ``keep`` wants. The engine's finalizer removes what
        belongs to them.
        """
        for job in [job for job in self.made if not keep(job)]:
            self.kube.delete(self._job_path(job))
            self.made.remove(job)

    def delete_leftovers(self) -> None:
        """Delete the jobs that a killed run has left, by their label."""
        path = f"/apis/{names.GROUP}/{names.VERSION}/namespaces/{self.namespace}/{names.PLURAL}"
        for item in self.kube.items(path, labelSelector=f"{LABEL}=yes"):
            self.kube.delete(self._job_path(item["metadata"]["name"]))

    def _job_path(self, job: str) -> str:
        """Return the API path of a job's WorkFlow."""
        return f"/apis/{names.GROUP}/{names.VERSION}/namespaces/{self.namespace}/{names.PLURAL}/{job}"
