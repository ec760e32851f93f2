"""The supervisor's own failures: whoever waits for a boot is told of them, never left waiting."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from c2d_box.errors import C2DError
from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.native.host import network
from sandbox.clusters.native.supervision import component_process, control_socket, node_supervisor
from sandbox.clusters.native.supervision.node_supervisor import HostHandles, NodeSupervisor
from sandbox.home import BoxHome
from tests.unit.clusters.test_configuration import record

Boot = Callable[[], C2DError]


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    """Boots a supervisor whose programs are not there; what a user who waits for it is told."""
    layout = ClusterLayout(BoxHome(tmp_path / "h"), "c2d")
    layout.logs_folder.mkdir(parents=True)
    owner = (os.getuid(), os.getgid())

    async def booted() -> C2DError:
        machine = os.open("/proc/self/ns/net", os.O_RDONLY)
        place = HostHandles(machine, Path(f"/proc/{os.getpid()}"))
        supervisor = NodeSupervisor(layout, record(owner=owner), place)
        serving = asyncio.Event()
        life = asyncio.create_task(supervisor.run_until_stopped(serving.set))
        await serving.wait()
        try:
            with pytest.raises(C2DError) as problem:
                await asyncio.to_thread(
                    control_socket.ask_supervisor, layout.supervisor_socket, {"verb": "follow-boot"}, 10.0
                )
            return problem.value
        finally:
            await supervisor.stop_components()
            await life
            os.close(machine)

    return lambda: asyncio.run(booted())


def raising(problem: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise problem

    return fail


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (RuntimeError("nobody thought of this"), "C2D-SUPERVISOR-DIED"),
        (OSError(errno.ENOSPC, "No space left on device"), "C2D-DISK-FULL"),
    ],
)
def test_what_no_rule_foresees_ends_the_boot_with_a_code(
    monkeypatch: pytest.MonkeyPatch, boot: Boot, problem: Exception, code: str
) -> None:
    monkeypatch.setattr(network, "load_rules", raising(problem))
    told = boot()
    assert told.code == code and told.next_step


def test_a_supervision_that_breaks_gives_its_component_up(
    monkeypatch: pytest.MonkeyPatch, boot: Boot
) -> None:
    monkeypatch.setattr(network, "load_rules", lambda *_: None)
    monkeypatch.setattr(component_process, "Backoff", raising(RuntimeError("nobody thought of this")))
    told = boot()
    assert told.code == "C2D-COMPONENT-FAILED" and "nobody thought of this" in told.message


def test_a_full_disk_does_not_end_the_supervision_of_a_component(
    monkeypatch: pytest.MonkeyPatch, boot: Boot
) -> None:
    """Its list of components cannot be written; the supervision goes on, and says what it finds."""
    monkeypatch.setattr(network, "load_rules", lambda *_: None)
    monkeypatch.setattr(
        node_supervisor, "replace_private_file", raising(OSError(errno.ENOSPC, "No space left on device"))
    )
    told = boot()
    assert told.code == "C2D-COMPONENT-FAILED" and "No such file" in told.message


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs a mount namespace")
def test_an_archive_is_read_where_the_machine_has_it(tmp_path: Path) -> None:
    """In the box private folders cover /run, /var/lib and /var/log. Here the machine is the covered one."""
    covered = tmp_path / "covered"
    covered.mkdir()
    script = f"mount -t tmpfs none {covered} && echo content >{covered}/image.tar && echo && exec sleep 60"
    machine = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE)
    assert machine.stdout is not None

    class Images:
        def load_archive(self, archive: Path) -> str:
            return subprocess.run(["cat", archive], capture_output=True, text=True, check=True).stdout

    try:
        machine.stdout.readline()
        place = HostHandles(-1, Path(f"/proc/{machine.pid}"))
        supervisor = NodeSupervisor(ClusterLayout(BoxHome(tmp_path / "h"), "c2d"), record(), place)
        supervisor.images = Images()  # type: ignore[assignment]
        assert supervisor._load_archive(covered / "image.tar") == "content\n"
        with pytest.raises(C2DError) as problem:
            supervisor._load_archive(covered / "other.tar")
        assert problem.value.code == "C2D-NO-SUCH-FILE" and str(covered) in problem.value.message
    finally:
        machine.kill()
        machine.stdout.close()
        machine.wait()
