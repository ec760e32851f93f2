"""The gate, built as it is built for the image, and run as the algorithm's container runs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from c2d_box.workflow import names

SOURCE = Path(__file__).parents[3] / "c2d_box" / "pods" / "gate" / "gate.c"


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("musl-gcc")
    if compiler is None:
        pytest.skip("musl-gcc is not installed")
    target = tmp_path_factory.mktemp("gate") / "gate"
    command = [
        compiler,
        "-Os",
        "-static",
        "-s",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-o",
        str(target),
        str(SOURCE),
    ]
    subprocess.run(command, check=True)
    return target


@dataclass
class Gate:
    binary: Path
    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)

    @property
    def go(self) -> Path:
        return self.folder / "ahead"

    @property
    def log(self) -> Path:
        return self.folder / "algorithm.log"

    def start(
        self,
        line: str,
        patience: int = 20,
        cap: int = 1 << 20,
        root: Path | None = None,
        options: Sequence[str] = (),
        folder: Path | None = None,
        wrapper: Sequence[str] = (),
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        inside = Path("/") if root else self.folder
        command = [
            "/gate" if root else str(self.binary),
            f"--go={inside / 'ahead'}",
            f"--patience={patience}",
            f"--log={inside / 'algorithm.log'}",
            f"--cap={cap}",
            f"--outputs={inside / 'outputs'}",
            *options,
            "--",
            line,
        ]
        if root is not None:
            command = ["unshare", "--root", str(root), *command]
        process = subprocess.Popen(
            [*wrapper, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **environment},
        )
        self.running.append(process)
        return process

    def run(self, line: str, **options: object) -> tuple[int, bytes]:
        self.go.touch()
        process = self.start(line, **options)  # type: ignore[arg-type]
        output, _ = process.communicate(timeout=20)
        return process.returncode, output


@pytest.fixture
def gate(binary: Path, tmp_path: Path) -> Iterator[Gate]:
    made = Gate(binary, tmp_path)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.kill()
        process.communicate()
    for folder in made.folders:
        shutil.rmtree(folder)


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def test_it_is_small_and_needs_no_library(binary: Path) -> None:
    assert binary.stat().st_size < 200_000
    assert b"ld-musl" not in binary.read_bytes()


def test_nothing_runs_before_the_go_ahead(gate: Gate) -> None:
    touched = gate.folder / "touched"
    process = gate.start(f"touch {touched}")
    time.sleep(0.2)
    assert not touched.exists()
    gate.go.touch()
    assert process.wait(5) == 0
    assert touched.exists()


def test_without_a_go_ahead_it_ends_by_itself(gate: Gate) -> None:
    process = gate.start("true", patience=1)
    assert process.wait(5) == 124


def test_stopped_while_it_waits_it_starts_nothing(gate: Gate) -> None:
    touched = gate.folder / "touched"
    process = gate.start(f"touch {touched}")
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 128 + signal.SIGTERM
    assert not touched.exists()


@pytest.mark.parametrize(
    ("line", "code"),
    [("true", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -SEGV $$", 139), ("no-such-program", 127)],
)
def test_it_ends_as_the_algorithm_ended(gate: Gate, line: str, code: int) -> None:
    assert gate.run(line)[0] == code


def test_both_streams_reach_log_and_live_output(gate: Gate) -> None:
    code, output = gate.run("echo one; echo two >&2; echo three")
    assert (code, output) == (0, b"one\ntwo\nthree\n")
    assert gate.log.read_bytes() == output


def test_the_line_is_a_shell_line(gate: Gate) -> None:
    code, output = gate.run('false || echo "$GREETING" | tr a-z A-Z', GREETING="hello")
    assert (code, output) == (0, b"HELLO\n")


def test_the_environment_is_passed_on(gate: Gate) -> None:
    assert gate.run("printenv secret DIDS", secret="s", DIDS='["aa"]')[1] == b's\n["aa"]\n'


@pytest.mark.parametrize("then", ["sleep 60; touch {end}", "exit 0"])
def test_a_flood_is_cut_and_the_algorithm_ended(gate: Gate, then: str) -> None:
    end = gate.folder / "end"
    code, output = gate.run("head -c 500000 /dev/zero | tr '\\0' x; " + then.format(end=end), cap=1000)
    assert code == names.GATE_LOG_LIMIT
    assert not end.exists()
    assert gate.log.stat().st_size < 1200
    assert len(output) < 1200
    assert b"log limit" in output


USERS = count(1_900_000_000 + 10 * os.getpid())
"""Each test another: processes of an earlier one may still be on their way out."""


def readable(gate: Gate, name: str) -> Path:
    """A folder that other users may look into and not write."""
    made = Path(tempfile.mkdtemp(prefix=f"c2d-gate-{name}-"))
    made.chmod(0o755)
    gate.folders.append(made)
    return made


def crowded(gate: Gate, line: str, *more: str, folder: Path | None = None) -> tuple[int, str]:
    """As another user, with room for twelve processes; how it ended, and its log."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("setpriv", "prlimit", "/usr/bin/python3"))):
        pytest.skip("another user takes root, util-linux, and a Python that everybody may run")
    user, few = str(next(USERS)), ["prlimit", "--nproc=12:12"]
    shared = Path(tempfile.mkdtemp(prefix="c2d-gate-"))
    os.chown(shared, int(user), int(user))
    shutil.copy(gate.binary, shared / "gate")
    (shared / "ahead").touch()
    options = [f"--go={shared / 'ahead'}", f"--log={shared / 'log'}", "--patience=5", "--cap=100000"]
    command = [str(shared / "gate"), *options, *more, "--", line]
    try:
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        started = [*who, *few, *command]
        code = subprocess.run(started, timeout=60, check=False, capture_output=True, cwd=folder).returncode
        return code, (shared / "log").read_text()
    finally:
        shutil.rmtree(shared)


FILL = """/usr/bin/python3 -c '
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
first = os.getpid()
def full():
    try:
        os.fork()
    except OSError:
        return True
while not full() or {forever}:
    time.sleep(0.01)
time.sleep(1.5 if os.getpid() == first else 60)
sys.exit(3)
'"""


def test_who_leaves_no_room_for_a_process_is_ended(gate: Gate) -> None:
    code, log = crowded(gate, FILL.format(forever=True))
    assert code == names.GATE_PIDS_LIMIT
    assert "no room for another process" in log


def test_what_fails_for_want_of_processes_says_so(gate: Gate) -> None:
    """It ends by itself, before it is ended."""
    assert crowded(gate, FILL.format(forever=False))[0] == names.GATE_PIDS_LIMIT


def test_signals_are_handed_on(gate: Gate) -> None:
    gate.go.touch()
    process = gate.start("trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    assert within(5, lambda: gate.log.exists() and b"ready" in gate.log.read_bytes())
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 7
    assert b"got it" in gate.log.read_bytes()


def test_what_is_left_behind_dies_with_the_algorithm(gate: Gate) -> None:
    pid = gate.folder / "pid"
    began = time.monotonic()
    code, _ = gate.run(f"sleep 300 & echo $! > {pid}; exit 5")
    assert code == 5
    assert time.monotonic() - began < 5
    assert within(5, lambda: not Path(f"/proc/{pid.read_text().strip()}").exists())


def test_zombies_are_reaped(gate: Gate) -> None:
    code, output = gate.run("for i in 1 2 3 4 5 6 7 8 9; do (sleep 0.01 &) ; done; sleep 0.3; echo done")
    assert (code, output) == (0, b"done\n")


def test_what_only_its_owner_could_read_is_shared_with_the_judge(gate: Gate) -> None:
    outputs = gate.folder / "outputs"
    outside = gate.folder / "outside"
    outside.write_text("not ours")
    outside.chmod(0o600)
    line = f"""cd {gate.folder}; mkdir -p outputs/sub; umask 077; echo 1 > outputs/sub/x; echo 2 > outputs/y
    chmod 700 outputs/sub; ln -s ../outside outputs/link; ln outside outputs/hard; mkfifo outputs/pipe"""
    assert gate.run(line)[0] == 0
    modes = {path.name: path.lstat().st_mode & 0o777 for path in outputs.rglob("*")}
    assert (modes["sub"], modes["x"], modes["y"]) == (0o750, 0o640, 0o640)
    assert outside.stat().st_mode & 0o777 == 0o600
    assert modes["pipe"] & 0o040 == 0


def test_sharing_has_an_end(gate: Gate) -> None:
    line = f"cd {gate.folder}; mkdir outputs; cd outputs; umask 077; i=0; " + (
        "while [ $i -lt 200 ]; do mkdir d; cd d; i=$((i+1)); done; touch deep"
    )
    began = time.monotonic()
    assert gate.run(line)[0] == 0
    assert time.monotonic() - began < 15


def test_a_link_in_place_of_the_log_is_not_written_through(gate: Gate) -> None:
    victim = gate.folder / "victim"
    victim.write_text("untouched")
    gate.log.symlink_to(victim)
    code, output = gate.run("echo text")
    assert code == 0
    assert b"text" in output
    assert victim.read_text() == "untouched"


def test_it_can_be_neither_traced_nor_read(gate: Gate) -> None:
    gate.go.touch()
    process = gate.start("sleep 5")
    owner = Path(f"/proc/{process.pid}/mem")
    assert within(2, lambda: owner.stat().st_uid == 0)
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert process.poll() is None
    assert "TracerPid:\t0" in status


@pytest.mark.parametrize("limit", ["nofile", "cpu", "fsize", "nproc", "as"])
def test_its_limits_are_not_the_algorithms(gate: Gate, limit: str) -> None:
    """The same user could set them; the end and the log stay the algorithm's."""
    line = f"prlimit --pid $PPID --{limit}=0:0 || echo refused; sleep 0.3; echo still here; exit 3"
    code, output = gate.run(line)
    assert (code, output.splitlines()[-2:]) == (3, [b"refused", b"still here"])
    assert gate.log.read_bytes() == output


def test_an_algorithm_may_limit_itself_and_its_children(gate: Gate) -> None:
    line = "sleep 5 & prlimit --pid $! --nofile=9:9 && prlimit --pid $$ --nofile=8:8 && ulimit -n; kill $!"
    assert gate.run(line) == (0, b"8\n")


LIMIT = "--file=65536"


def test_no_file_grows_beyond_its_limit_wherever_it_lies(gate: Gate) -> None:
    """The disk of a node has files that no quota counts, such as a container's termination log."""
    target = gate.folder / "grows"
    code, output = gate.run(f"head -c 1000000 /dev/zero > {target}; echo went on $?", options=[LIMIT])
    assert (code, target.stat().st_size) == (0, 65536)
    assert b"went on 1" in output, "the writer is told that its file is too large, and is not killed"


def test_a_sparse_file_counts_by_its_size(gate: Gate) -> None:
    target = gate.folder / "sparse"
    assert gate.run(f"truncate -s 1T {target}", options=[LIMIT])[0] != 0
    assert target.stat().st_size <= 65536


def test_the_limit_of_a_file_is_not_raised_again(gate: Gate) -> None:
    """As the algorithm's user; root could, and is not allowed in the pod."""
    code, log = crowded(
        gate, "ulimit -f unlimited || echo refused; ulimit -c unlimited || echo so too", LIMIT
    )
    assert (code, log.count("refused"), log.count("so too")) == (0, 1, 1)


def test_a_crash_leaves_no_core_dump(gate: Gate) -> None:
    gate.folder.joinpath("outputs").mkdir()
    code, output = gate.run(
        f"ulimit -Hc; cd {gate.folder}/outputs; ulimit -c; kill -SEGV $$", options=[LIMIT]
    )
    assert code == 139
    assert output.split() == [b"0", b"0"], "less than one block of 512 bytes"
    assert list(gate.folder.glob("outputs/*")) == []


def test_the_log_is_not_bounded_by_the_files(gate: Gate) -> None:
    assert gate.run("head -c 100000 /dev/zero | tr '\\0' x", options=[LIMIT])[0] == 0
    assert gate.log.stat().st_size == 100_000


def test_the_api_servers_address_is_not_handed_on(gate: Gate) -> None:
    told = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_PORT_443_TCP": "tcp://x", "KUBERN": "kept"}
    code, output = gate.run("env", **told)
    assert code == 0
    assert b"KUBERNETES_" not in output and b"KUBERN=kept" in output


LOCKS = """/usr/bin/python3 -c '
import fcntl, struct, tempfile
file = tempfile.TemporaryFile()
fcntl.lockf(file, fcntl.LOCK_EX)
fcntl.flock(file, fcntl.LOCK_EX)
print("of a process", fcntl.fcntl(file, fcntl.F_GETFL) > 0)
for command in (36, 37, 38):
    try:
        fcntl.fcntl(file, command, struct.pack("hhqqixxxx", 1, 0, 0, 0, 0))
        print("shared")
    except OSError as problem:
        print("refused", problem.errno)
'"""


def test_locks_that_every_container_is_told_of_are_refused(gate: Gate) -> None:
    """The kernel lists locks of open files for all, and other locks where their process is."""
    if not Path("/usr/bin/python3").exists():
        pytest.skip("takes a Python that everybody may run")
    code, log = crowded(gate, LOCKS)
    assert (code, log.splitlines()) == (0, ["of a process True", *["refused 22"] * 3])


NO_FILTERS = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
prctl = {"x86_64": 157, "aarch64": 167}[os.uname().machine]
first_argument, refused, allowed = 16, 0x50001, 0x7FFF0000
steps = [(0x20, 0, 0, 0), (0x15, 0, 3, prctl), (0x20, 0, 0, first_argument), (0x15, 0, 1, 22)]
steps += [(0x06, 0, 0, refused), (0x06, 0, 0, allowed)]
made = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(made)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Runs a program to which the kernel gives no filter of system calls."""


def test_an_algorithm_that_cannot_be_held_to_the_filter_does_not_start(gate: Gate) -> None:
    code, output = gate.run("echo it runs", wrapper=[sys.executable, "-c", NO_FILTERS])
    assert code == 125 and b"filter" in output and b"it runs" not in output


@pytest.mark.parametrize(
    ("line", "folder"),
    [("pwd", "scratch"), ("cat here >/dev/null; pwd", "own"), ("/usr/bin/python3 -m module; pwd", "own")],
)
def test_the_working_directory_can_be_written_unless_the_line_needs_the_images(
    gate: Gate, line: str, folder: str
) -> None:
    own, scratch = readable(gate, "own"), readable(gate, "scratch")
    (own / "here").touch(mode=0o644)
    (own / "module.py").touch(mode=0o644)
    code, log = crowded(gate, line, f"--scratch={scratch}", folder=own)
    assert (code, log.splitlines()[-1]) == (0, str(own if folder == "own" else scratch))


def test_a_working_directory_that_can_be_written_is_kept(gate: Gate) -> None:
    code, output = gate.run("pwd", options=["--scratch=/tmp"], folder=gate.folder)
    assert (code, output.strip()) == (0, str(gate.folder).encode())


def test_what_must_stay_in_is_not_shown_while_it_runs(gate: Gate) -> None:
    code, output = gate.run("echo the secret; echo the secret >&2", options=["--live=no"])
    assert code == 0
    assert b"secret" not in output
    assert b"not shown" in output
    assert gate.log.read_bytes() == b"the secret\nthe secret\n"


def test_a_flood_that_is_not_shown_ends_all_the_same(gate: Gate) -> None:
    code, output = gate.run(
        "head -c 500000 /dev/zero | tr '\\0' x; sleep 60", cap=1000, options=["--live=no"]
    )
    assert code == names.GATE_LOG_LIMIT
    assert len(output) < 200


@pytest.fixture
def shell_less(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root without shell or libc: the gate and one static program."""
    if os.geteuid() != 0:
        pytest.skip("changing the root takes root")
    root = tmp_path_factory.mktemp("root")
    source = root / "args.c"
    source.write_text(
        '#include <stdio.h>\nint main(int c,char**v){for(int i=1;i<c;i++)printf("[%s]",v[i]);return 4;}\n'
    )
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", str(root / "args"), str(source)], check=True)
    shutil.copy(gate.binary, root / "gate")
    (root / "ahead").touch()
    return root


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/args a b", b"[a][b]"),
        ("/args  'a b'   \"c d\" e\\ f", b"[a b][c d][e f]"),
        ("/args \"it's\" '' '$ALGO'", b"[it's][][$ALGO]"),
        ('/args "a\\"b" --x=1', b'[a"b][--x=1]'),
    ],
)
def test_without_a_shell_the_line_is_split_by_posix_rules(
    gate: Gate, shell_less: Path, line: str, words: bytes
) -> None:
    code, output = gate.run(line, root=shell_less)
    assert (code, output) == (4, words)


@pytest.mark.parametrize(
    "line",
    ["/args a | b", "/args $HOME", "/args a; /args b", "/args > x", '/args "`id`"', "/args *", "/args 'open"],
)
def test_without_a_shell_its_syntax_is_refused(gate: Gate, shell_less: Path, line: str) -> None:
    code, output = gate.run(line, root=shell_less)
    assert code == 126
    assert output.startswith(b"gate: ")


def test_without_a_shell_a_missing_program_is_named(gate: Gate, shell_less: Path) -> None:
    code, output = gate.run("/no-such-program x", root=shell_less)
    assert code == 127
    assert b"/no-such-program" in output
