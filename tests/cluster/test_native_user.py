"""Only the supervisor is root: what it made for a user is the user's, whose verbs need nothing more."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.native_rig import TestBox, nothing_left, probe_image

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the supervisor needs root"),
]
USER = 12345
ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"
SCRIPT = """
import json, sys
from pathlib import Path
from c2d_box.errors import C2DError
from sandbox.clusters.native.driver import NativeCluster
from sandbox.home import BoxHome
from sandbox.progress import run_verb

class Programs:
    kubernetes_version = "{version}"
    def binary(self, name): return Path("/nowhere") / name
    def image(self, name): raise AssertionError

cluster = NativeCluster(BoxHome(Path("{home}")), Programs())
try:
    {action}
except C2DError as problem:
    print(json.dumps(problem.as_dict()))
"""


def as_user(box: TestBox, action: str, user: int = USER) -> str:
    script = SCRIPT.format(
        home=box.cluster.home.path, action=action, version=box.cluster._bundle.kubernetes_version
    )
    answer = subprocess.run(
        ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", PYTHON, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestBox]:
    if subprocess.run(
        [PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False
    ).returncode:
        pytest.skip("no system Python that another user could run")
    monkeypatch.setenv("SUDO_UID", str(USER))
    monkeypatch.setenv("SUDO_GID", str(USER))
    scratch = Path(tempfile.mkdtemp(prefix="c2d-u-"))
    scratch.chmod(0o755)
    made = TestBox.at(scratch / "home", scratch)
    with nothing_left(scratch / "home"):
        yield made
        made.delete()
    shutil.rmtree(scratch)


def test_the_users_box_is_the_users(box: TestBox, tmp_path: Path) -> None:
    box.create()
    box.load(probe_image(tmp_path))
    home = box.cluster.home
    for path in (home.path, home.kubeconfig, home.cluster_folder, home.cluster_folder / "supervisor.sock"):
        assert path.stat().st_uid == USER, path
    assert "running" in as_user(box, "print(cluster.status().state)")
    assert "kube-apiserver" in as_user(box, "print(cluster.resource_usage().by_process)")
    assert "c2d.test/probe" in as_user(box, "print(cluster.list_images())")
    assert as_user(box, "cluster.publish_ports({18031: 30031})") == ""
    pids = as_user(box, "print([part.pid for part in cluster.status().components])")
    assert "None" not in pids
    assert "C2D-NOT-YOURS" in as_user(box, "cluster.list_images()", user=USER + 1)
    assert as_user(box, "run_verb(cluster.stop(), lambda event: None)") == ""
    assert box.cluster.status().state == "stopped"


def test_without_sudo_a_user_is_told_why_root_is_needed(box: TestBox) -> None:
    box.create()
    box.stop()
    said = as_user(box, "run_verb(cluster.create(), lambda event: None)")
    assert "C2D-NOT-ROOT" in said
    assert "Run the command as root" in said
