"""Lists the objects that the box owns in somebody's cluster, checks that their names are free, removes them.

The order of removal matters: jobs end while the engine still runs, and volumes are erased while the
provisioner still runs and has the rights to erase them; a namespace that is being deleted loses first of all
the permissions to work in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from c2d_box.errors import Failed, StateProblem
from c2d_box.kubernetes.sync_client import KubeApi, Object
from c2d_box.workflow import names
from sandbox.defaults import SERVICES_NAMESPACE, SYSTEM_NAMESPACE
from sandbox.progress import Progress, ProgressEvent

SERVICES, JOBS, SYSTEM = SERVICES_NAMESPACE, names.JOBS_NAMESPACE, SYSTEM_NAMESPACE
NAMESPACES = "/api/v1/namespaces"
"""Path of the namespaces in the API, below which all namespaced core objects lie."""
VOLUMES = "/api/v1/persistentvolumes"
WORKFLOWS = names.workflows_path(JOBS)
RBAC = "/apis/rbac.authorization.k8s.io/v1"
SCOPED: tuple[tuple[str, str], ...] = (
    *((NAMESPACES, name) for name in (SERVICES, JOBS, SYSTEM)),
    ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", f"{names.PLURAL}.{names.GROUP}"),
    (f"{RBAC}/clusterroles", "c2d-provisioner"),
    (f"{RBAC}/clusterrolebindings", "c2d-provisioner"),
    ("/apis/storage.k8s.io/v1/storageclasses", "c2d-service"),
    ("/apis/storage.k8s.io/v1/storageclasses", "c2d-jobs"),
)
"""All objects of the box that do not lie in one of our namespaces, and these namespaces."""
PATIENCE = 120.0
"""Seconds to wait for objects to go by themselves before their finalizers are removed."""


def describe_objects() -> list[str]:
    """Return the list of objects for the question that is asked before anything changes."""
    listed = [f"{path.rpartition('/')[2]} {name}" for path, name in SCOPED]
    return [
        *listed,
        f"one privileged DaemonSet in {SYSTEM}: it makes and erases the jobs' volumes on the nodes",
    ]


def require_room(kube: KubeApi) -> None:
    """Refuse a cluster that has any object of these names already: the box would take it over, and remove it
    later.
    """
    # By name, not by a label of ours: an object that only looks like ours would be overwritten too.
    met = [f"{path.rpartition('/')[2]} {name}" for path, name in SCOPED if kube.get(f"{path}/{name}")]
    if met:
        raise StateProblem(
            "C2D-EXISTING-OCCUPIED",
            f"This cluster has {', '.join(met)} already; they are not this box's.",
            "Another box or Compute-to-Data runs there: use its home, or another cluster.",
        )


def remove_objects(kube: KubeApi, patience: float = PATIENCE) -> Progress[list[str]]:
    """Remove all objects of the box; return the names of those that could not be removed.

    Each step waits for at most ``patience`` seconds, or half of it, and then goes on by force: the owner of
    the cluster must get rid of the box even where its own programs are broken.
    """
    # 1. Jobs, while the engine still runs: it ends their pods and takes its finalizer away.
    yield ProgressEvent("cluster.jobs", "started", "ending jobs")
    for workflow in kube.items(WORKFLOWS):
        _delete_object(kube, f"{WORKFLOWS}/{workflow['metadata']['name']}")
    if not _await_gone(lambda: not kube.items(WORKFLOWS), patience / 2):
        for workflow in kube.items(WORKFLOWS):
            _let_go(kube, workflow)
    yield ProgressEvent("cluster.jobs", "done")
    # 2. Services and their claims, while the provisioner still runs: it erases the data on the nodes.
    yield ProgressEvent("cluster.volumes", "started", "erasing volumes")
    for path in _object_paths(kube, f"/apis/apps/v1/namespaces/{SERVICES}/deployments"):
        _delete_object(kube, path)
    for path in _claim_paths(kube):
        _delete_object(kube, path)
    if not _await_gone(lambda: not _claim_paths(kube), patience):
        for path in _claim_paths(kube):
            # "pvc-protection" holds a claim while a pod uses it; here nothing ends that pod any more.
            kube.merge(path, {"metadata": {"finalizers": []}})
    _await_gone(lambda: not _own_volumes(kube), patience / 2)
    for volume in _own_volumes(kube):
        _delete_object(kube, f"{VOLUMES}/{volume['metadata']['name']}")
    yield ProgressEvent("cluster.volumes", "done")
    # 3. Everything else; a namespace takes what is left in it along.
    yield ProgressEvent("cluster.rest", "started", "removing what is left of the box")
    for path, name in SCOPED:  # the services' namespace first, the provisioner's last of the three
        _delete_object(kube, f"{path}/{name}")
    _await_gone(lambda: not _remaining_objects(kube), patience)
    left = _remaining_objects(kube)
    yield ProgressEvent("cluster.rest", "failed" if left else "done", ", ".join(left))
    return left


def _remaining_objects(kube: KubeApi) -> list[str]:
    """Return the names of objects that are still there, for the user."""
    things = [f"{path.rpartition('/')[2]} {name}" for path, name in SCOPED if kube.get(f"{path}/{name}")]
    return [*things, *(f"persistentvolumes {volume['metadata']['name']}" for volume in _own_volumes(kube))]


def _object_paths(kube: KubeApi, path: str) -> list[str]:
    return [f"{path}/{item['metadata']['name']}" for item in kube.items(path)]


def _claim_paths(kube: KubeApi) -> list[str]:
    """Return the paths of the volume claims in our namespaces."""
    return [
        path
        for name in (JOBS, SERVICES)
        for path in _object_paths(kube, f"{NAMESPACES}/{name}/persistentvolumeclaims")
    ]


def _own_volumes(kube: KubeApi) -> list[Object]:
    """Return the volumes that were made for claims in our namespaces."""
    return [
        volume
        for volume in kube.items(VOLUMES)
        # Volumes have no namespace; the claim's tells ours, also after the claim is gone.
        if (volume["spec"].get("claimRef") or {}).get("namespace") in (SERVICES, JOBS)
    ]


def _let_go(kube: KubeApi, workflow: Object) -> None:
    """Remove our finalizer from a job whose engine does not run any more."""
    # Only our own: a finalizer of somebody else's controller is a promise that is not ours to break.
    kept = [entry for entry in workflow["metadata"].get("finalizers", ()) if entry != names.FINALIZER]
    kube.merge(f"{WORKFLOWS}/{workflow['metadata']['name']}", {"metadata": {"finalizers": kept}})


def _delete_object(kube: KubeApi, path: str) -> None:
    """Request the deletion; do not fail for an object that is being deleted already."""
    # A namespace that is being deleted answers 409. What stays for another reason is found by
    # _remaining_objects.
    with suppress(Failed):
        kube.delete(path)


def _await_gone(question: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not question():
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    return True
