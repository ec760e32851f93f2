"""A Docker engine for tests: the real one, in process, network and mount namespaces of its own.

Whatever happens to the tests, ending one process (the holder) takes engine, containers, bridges, rules and
mounts away; on the machine only empty control groups could stay, which are removed here. The thread that
uses the engine enters its network namespace, so that ports on 127.0.0.1 mean the same to test, engine and
containers.

On machines whose root lacks capabilities (containers in CI) ``--privileged`` asks for more than there is: a
shim in front of runc takes from every container what this process does not have itself. Ordinary machines
need none of that.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWNET = 0x40000000
FIRST = """
import os, time
while True:
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        time.sleep(0.02)
"""
"""The namespaces' first process takes in orphans, as a machine's does: to a restarted engine the corpse of
its containerd would look alive."""
RUNTIME = "c2d-test"
SHIM = """#!{python}
import json, os, sys
def held():
    for line in open("/proc/self/status"):
        if line.startswith("CapPrm"):
            return int(line.split()[1], 16)
NAMES = {names!r}
def cut(process):
    mine = held()
    for kind, listed in (process.get("capabilities") or {{}}).items():
        process["capabilities"][kind] = [n for n in listed if n in NAMES and mine >> NAMES.index(n) & 1]
words = sys.argv[1:]
def value(option):
    for number, word in enumerate(words):
        if word == option: return words[number + 1]
        if word.startswith(option + "="): return word.partition("=")[2]
if "create" in words or "run" in words:
    path = os.path.join(value("--bundle") or value("-b") or ".", "config.json")
    document = json.load(open(path)); cut(document["process"]); json.dump(document, open(path, "w"))
elif "exec" in words and (path := value("--process") or value("-p")):
    document = json.load(open(path)); cut(document); json.dump(document, open(path, "w"))
os.execv({runc!r}, [{runc!r}, *words])
"""
CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
    "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
    "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ "
    "PERFMON BPF CHECKPOINT_RESTORE"
)


@dataclass
class Engine:
    """One running engine; ``folder`` holds everything it keeps."""

    folder: Path
    holder: subprocess.Popen[bytes]
    daemon: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def inside(self) -> list[str]:
        """Prefix of commands that run in the engine's namespaces."""
        return ["nsenter", "--target", str(self.child), "--net", "--mount", "--pid", "--"]

    @property
    def child(self) -> int:
        """The machine's number of the namespaces' first process."""
        listed = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text().split()
        return int(listed[0])

    def start(self) -> None:
        """Start dockerd, or start it again, and wait until it answers."""
        (self.folder / "docker.pid").unlink(missing_ok=True)
        with (self.folder / "dockerd.log").open("ab") as log:
            self.daemon = subprocess.Popen([*self.inside, *self._command()], stdout=log, stderr=log)
        end = time.monotonic() + 30
        while not self.answers():
            if time.monotonic() > end:
                raise AssertionError((self.folder / "dockerd.log").read_text()[-2000:])
            time.sleep(0.1)

    def _command(self) -> list[str]:
        command = ["dockerd", "--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec"]
        command += ["-H", self.address, "--pidfile", f"{self.folder}/docker.pid", "--bridge", "none"]
        command += ["--oom-score-adjust", "0", "--log-level", "warn"]
        return [*command, "--add-runtime", f"{RUNTIME}={self.folder}/runtime", "--default-runtime", RUNTIME]

    def answers(self) -> bool:
        command = ["docker", "-H", self.address, "version"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def kill(self) -> None:
        """``kill -9`` of dockerd alone, as a crash does it."""
        number = (self.folder / "docker.pid").read_text().strip()
        subprocess.run([*self.inside, "kill", "-9", number], check=True)
        assert self.daemon is not None
        self.daemon.wait()
        end = time.monotonic() + 10
        while self.answers() and time.monotonic() < end:
            time.sleep(0.05)

    def end(self) -> None:
        self.holder.send_signal(signal.SIGKILL)
        self.holder.wait()
        if self.daemon is not None:
            self.daemon.wait()


def _enter(namespace: int) -> None:
    """Move the calling thread, and whatever it starts from now on, to a network namespace."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _control_groups() -> set[str]:
    return {str(path) for path in Path("/sys/fs/cgroup").glob("*/docker*")}


@contextmanager
def docker_engine(folder: Path) -> Iterator[Engine]:
    """A running engine in ``folder``; the calling thread is in its network namespace meanwhile."""
    before = _control_groups()
    folder.mkdir(parents=True, exist_ok=True)
    runc = shutil.which("runc", path="/usr/sbin:/usr/bin:/sbin")
    assert runc, "the Docker engine's package brings runc"
    shim = folder / "runtime"
    names = [f"CAP_{name}" for name in CAPABILITIES.split()]
    shim.write_text(SHIM.format(python=sys.executable, names=names, runc=runc))
    shim.chmod(0o755)
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    holder = subprocess.Popen([*unshare, sys.executable, "-c", FIRST])
    engine = Engine(folder, holder)
    outside, home = os.environ.get("DOCKER_HOST"), os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        time.sleep(0.3)
        subprocess.run([*engine.inside, "ip", "link", "set", "lo", "up"], check=True)
        engine.start()
        os.environ["DOCKER_HOST"] = engine.address
        inside = os.open(f"/proc/{engine.child}/ns/net", os.O_RDONLY)
        _enter(inside)
        os.close(inside)
        yield engine
    finally:
        os.environ.pop("DOCKER_HOST", None)
        if outside is not None:
            os.environ["DOCKER_HOST"] = outside
        _enter(home)
        os.close(home)
        engine.end()
        _remove_groups(_control_groups() - before)
        shutil.rmtree(folder, ignore_errors=True)


def _remove_groups(left: set[str]) -> None:
    for top in left:
        for path, _, _ in os.walk(top, topdown=False):
            for _ in range(20):
                with suppress(OSError):
                    Path(path).rmdir()
                    break
                time.sleep(0.05)
