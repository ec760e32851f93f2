"""Data stays in: a canary string in dataset and algorithm is looked for on the node's disks and in every log.

The publisher's own object store is where the canary belongs, so its volume is the one place that is left out.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from c2d_box.client import JobDetails, JobRequest
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import Box
from sandbox.install.chart_values import SERVICES
from sandbox.verbs.compute import jobs
from sandbox.verbs.lifecycle.logs import stream_logs
from sandbox.verbs.publishing.assets import bucket_of

from .conftest import ComputePair, finish_verb, wait_until

COUNT = "import os, json\ndid = json.loads(os.environ['DIDS'])[0]\n"
COUNT += "rows = open(f'/data/inputs/{did}/0').read().splitlines()\n"
COUNT += "open('/tmp/copy', 'w').write('\\n'.join(rows))\n"
COUNT += "open('/data/outputs/count.txt', 'w').write(str(len(rows)))\n"
COUNT += """
places = [line.split()[4] for line in open('/proc/self/mountinfo')]
places += ['/dev/termination-log', '/var/tmp', '/dev/shm']
for place in places:
    for path in (place, os.path.join(place, 'copy')):
        if path.startswith(('/data/outputs', '/data/logs', '/proc')):
            continue
        try:
            open(path, 'w').write('\\n'.join(rows))
        except OSError:
            pass
"""
"""A copy in every place that can be written: none of them may be the node's disk."""
ENDINGS = {
    "finished": COUNT,
    "failed": COUNT + "raise SystemExit(3)\n",
    "stopped": COUNT + "import time\nprint('waiting', flush=True)\ntime.sleep(300)\n",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_trace_of_data_or_algorithm_is_left_on_the_node(
    ending: str, box: Box, kube: KubeApi, publish_pair: Callable[[str, str], ComputePair]
) -> None:
    data, program = f"data-canary-{secrets.token_hex(16)}", f"algo-canary-{secrets.token_hex(16)}"
    pair = publish_pair(f"id,secret\n1,{data}\n" * 50, f"# {program}\n{ENDINGS[ending]}")
    assert _places(box, data), "the search does not even find the publisher's own copy"
    job = _run(box, pair, ending)
    wait_until(lambda: _job_is_gone(kube, job.id), what="the job's pods and claim to be gone")
    for canary in (data, program):
        assert [place for place in _places(box, canary) if not _is_store(kube, place)] == []
        assert [line for line in _all_logs(box) if canary in line] == []


def test_the_dataset_cannot_be_read_without_credentials(
    box: Box, publish_pair: Callable[[str, str], ComputePair]
) -> None:
    publish_pair("id\nsecret\n", COUNT)
    bucket = bucket_of("publisher")
    assert httpx.get(f"{box.service_urls['s3']}/{bucket}", timeout=5).status_code == 403
    assert httpx.get(f"{box.service_urls['s3']}/", timeout=5).status_code == 403


def test_the_dataset_is_not_on_ipfs(
    box: Box, publish_pair: Callable[[str, str], ComputePair], run_job: Callable[[ComputePair], JobDetails]
) -> None:
    canary = secrets.token_hex(16)
    run_job(publish_pair(f"id\n{canary}\n", COUNT))
    token = (box.home.keys_folder / "ipfs-admin-token").read_text()
    headers = {"authorization": f"Bearer {token}"}
    api = f"{box.service_urls['ipfs-api']}/api/v0"
    blocks = httpx.post(f"{api}/refs/local", headers=headers, timeout=30).text.splitlines()
    references = [line.split('"')[3] for line in blocks if '"Ref"' in line]
    assert references
    for reference in references:
        block = httpx.post(f"{api}/block/get", params={"arg": reference}, headers=headers, timeout=30).content
        assert canary.encode() not in block


def test_kubo_has_no_peer_and_refuses_strangers(box: Box) -> None:
    token = (box.home.keys_folder / "ipfs-admin-token").read_text()
    api = f"{box.service_urls['ipfs-api']}/api/v0"
    assert httpx.post(f"{api}/id", timeout=5).status_code in (401, 403)
    peers = httpx.post(f"{api}/swarm/peers", headers={"authorization": f"Bearer {token}"}, timeout=5)
    if peers.status_code == 200:
        assert not peers.json().get("Peers")


def _run(box: Box, pair: ComputePair, ending: str) -> JobDetails:
    job = finish_verb(jobs.start(box, "consumer", JobRequest(pair.dataset, pair.algorithm)))
    if ending == "stopped":
        wait_until(lambda: jobs.read_job(box, "consumer", job.id).status >= 40, what="the algorithm to run")
        finish_verb(jobs.stop_job(box, "consumer", job.id))
    ended = finish_verb(jobs.follow(box, "consumer", job.id, timeout=120))
    assert ended.status == {"finished": 70, "failed": 75, "stopped": 70}[ending]
    return ended


def _job_is_gone(kube: KubeApi, job_id: str) -> bool:
    selector = f"c2d.oceanprotocol.com/job={job_id}"
    return not any(
        kube.items(f"/api/v1/namespaces/c2d-jobs/{kind}", labelSelector=selector)
        for kind in ("pods", "persistentvolumeclaims")
    )


def _places(box: Box, canary: str) -> list[Path]:
    """Files below the home, volumes' disks included, that hold the canary anywhere in their bytes."""
    command = ["grep", "--recursive", "--files-with-matches", "--text", "--fixed-strings", "--no-messages"]
    found = subprocess.run(
        [*command, "--", canary, str(box.home.path)], capture_output=True, text=True, check=False
    )
    return [Path(line) for line in found.stdout.splitlines()]


def _is_store(kube: KubeApi, place: Path) -> bool:
    claim = kube.get("/api/v1/namespaces/c2d/persistentvolumeclaims/s3") or {}
    return str(claim.get("spec", {}).get("volumeName")) in place.parts


def _all_logs(box: Box) -> Iterator[str]:
    for service in SERVICES:
        yield from stream_logs(box, service, lines=100000)
    for component in box.cluster.status().components:
        yield from box.cluster.read_logs(component.name, 100000).splitlines()
    # What the command line itself printed is captured by pytest; the kernel's log is the last place.
    yield from subprocess.run(["dmesg"], capture_output=True, text=True, check=False).stdout.splitlines()
