"""Reads the logs of a job's stages: from its results once it has ended, from its pod while it runs."""

from __future__ import annotations

from c2d_box.workflow import names
from sandbox.box import Box
from sandbox.verbs.compute.jobs import log_texts, read_job

CONTAINER = "algorithm"


def live_log_texts(box: Box, who: str, job_id: str, lines: int = 500) -> dict[str, str]:
    """Return log texts by name, for the job's owner; empty while there is nothing to read yet. ``lines``
    bounds the live log.

    The Provider answers for the job first, so a stranger's id is refused before Kubernetes is asked.
    """
    if read_job(box, who, job_id).results:
        return log_texts(box, who, job_id, "all")
    path = f"/api/v1/namespaces/{names.JOBS_NAMESPACE}/pods/{job_id}-algorithm/log"
    with box.kube_api() as kube:
        text = kube.text(path, container=CONTAINER, tailLines=str(lines))
    return {"algorithm, live": text} if text else {}
