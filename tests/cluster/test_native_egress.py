"""Leaving the machine: only where it was asked for, only for service pods, and undone afterwards.

"Outside" is a network namespace of the test on a link of the machine, with no way further.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.clusters.driver_record import ClusterOptions
from tests.cluster.native_rig import (
    TestBox,
    nothing_left,
    pod,
    prepared_namespace,
    probe_image,
    runtime_class,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the supervisor needs root"),
]
LINK, MACHINE_END, OUTSIDE, PORT = "c2dtest0", "203.0.113.1", "203.0.113.2", "7777"


@contextmanager
def outside(probe: Path) -> Iterator[None]:
    listener = subprocess.Popen(
        ["unshare", "--net", str(probe), "serve", "outside", PORT], stdout=subprocess.DEVNULL
    )
    try:
        time.sleep(0.3)
        enter = f"nsenter --net --target {listener.pid}"
        script = f"""
            ip link add {LINK} type veth peer name eth0 netns {listener.pid}
            ip address add {MACHINE_END}/24 dev {LINK}
            ip link set {LINK} up
            {enter} ip address add {OUTSIDE}/24 dev eth0
            {enter} ip link set eth0 up"""
        subprocess.run(["sh", "-ec", script], check=True)
        yield
    finally:
        listener.send_signal(signal.SIGTERM)
        listener.wait()


@pytest.mark.parametrize("egress", [False, True])
def test_service_pods_leave_where_asked_and_job_pods_never(egress: bool) -> None:
    scratch = Path(tempfile.mkdtemp(prefix="c2d-e-"))
    archive = probe_image(scratch)
    box = TestBox.at(scratch / "home", scratch, ClusterOptions(egress=egress))
    try:
        with nothing_left(scratch / "home"), outside(archive.with_suffix("")):
            try:
                assert _dial_outside(box, archive) == {
                    "service": egress,
                    **dict.fromkeys(box.cluster.runtime_classes, False),
                }
            finally:
                box.delete()
    finally:
        shutil.rmtree(scratch)


def _dial_outside(box: TestBox, archive: Path) -> dict[str, bool]:
    box.create()
    prepared_namespace(box)
    box.load(archive)
    classes = {"service": "", **box.cluster.runtime_classes}
    box.apply(*(runtime_class(name) for name in classes.values() if name))
    for role, handler in classes.items():
        box.apply(pod(role, ["dial", "outside", "tcp4", OUTSIDE, PORT], handler))
    return {role: "outside open" in box.wait_log(role, "done") for role in classes}
