"""Using up what all share. The innocent job beside each of them must still come through.

Most have to end with the limit that they ran into as the reason: it is what a job's owner is told.
"""

from __future__ import annotations

from c2d_box.workflow import names
from c2d_box.workflow.states import State
from sandbox.attacks.attack import Attack
from sandbox.attacks.checks import ended_within, log_is_bounded, no_outputs

# The limit of the job itself is only half of it: a neighbour must not notice.
_OTHERS = "an innocent job beside it ends with its right result; the node stays ready"

ATTACKS = (
    # The kernel kills within the container's control group; Kubernetes reports it as OOMKilled.
    Attack(
        "exhaust-memory",
        "exhaustion",
        "take all memory",
        "held = []\nwhile True:\n    held.append(bytearray(50_000_000))\n",
        _OTHERS,
        code=State.LIMIT_EXCEEDED,
        reason="memory",
        exit_code=None,
    ),
    # Pages of tmpfs and memfd belong to no process: a limit per process would not count them.
    Attack(
        "exhaust-memory-files",
        "exhaustion",
        "take memory that is no process's own: /tmp, memfd, /dev/shm",
        """
handles = []
def fill(handle):
    try:
        while True:
            os.write(handle, bytes(4 << 20))
    except OSError as problem:
        print(problem)
for path in ("/tmp/x", "/dev/shm/x"):
    try:
        fill(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as problem:
        print(path, problem)
while True:
    handles.append(os.memfd_create("x"))
    for _ in range(16):
        os.write(handles[-1], bytes(4 << 20))
""",
        _OTHERS,
        code=State.LIMIT_EXCEEDED,
        reason="memory",
        exit_code=None,
    ),
    # The volume is a file system of its own, so writing fails with ENOSPC and the node's disk is not touched.
    Attack(
        "exhaust-disk",
        "exhaustion",
        "fill the volume",
        'with open(OUTPUTS / "x", "wb", buffering=0) as f:\n    while True:\n        f.write(bytes(8 << 20))\n',
        _OTHERS,
        code=State.LIMIT_EXCEEDED,
        reason="volume",
        exit_code=1,
        slow=True,
    ),
    # The inodes are the job's own; so many files are refused as outputs, which ends the job with 77.
    Attack(
        "exhaust-inodes",
        "exhaustion",
        "use up the file system's inodes",
        """
made = 0
try:
    for folder in range(1000):
        os.mkdir(OUTPUTS / str(folder))
        for n in range(1000):
            os.mknod(f"/data/outputs/{folder}/{n}")
            made += 1
except OSError as problem:
    print(made, problem)
sys.exit(0)
""",
        _OTHERS,
        code=State.OUTPUTS_REFUSED,
        reason="of the outputs refused",
        checks=(no_outputs,),
        slow=True,
    ),
    # A full table of processes also keeps the gate from ending them, so the gate watches the limit itself and
    # ends with a code for it. SIGTERM is ignored to try the kill that follows.
    Attack(
        "exhaust-processes",
        "exhaustion",
        "a fork bomb",
        """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
""",
        _OTHERS,
        code=State.LIMIT_EXCEEDED,
        reason="processes",
        exit_code=names.GATE_PIDS_LIMIT,
        maxtime=120,
        checks=(ended_within(150),),
        slow=True,
    ),
    # Threads count as processes for the kernel's limit, and these use the processor as well.
    Attack(
        "exhaust-threads",
        "exhaustion",
        "as many threads as there can be, all of them busy",
        """
import threading
made = 0
end = None
def spin():
    while end is None:
        time.sleep(0.2)
    while time.monotonic() < end:
        pass
try:
    while made < 5000:
        threading.Thread(target=spin, daemon=True).start()
        made += 1
except RuntimeError as problem:
    print(made, problem)
if threading.active_count() > 2000:
    breach(f"{threading.active_count()} threads at once")
end = time.monotonic() + 3
time.sleep(100)
settle()
""",
        _OTHERS,
        code=State.LIMIT_EXCEEDED,
        reason="processes",
        exit_code=names.GATE_PIDS_LIMIT,
        maxtime=120,
        slow=True,
    ),
    # Some 98 MB, to a log of 10 MiB: the node keeps what a container prints, and no quota counts it there.
    Attack(
        "exhaust-log",
        "exhaustion",
        "flood the log",
        'line = b"x" * 65535 + b"\\n"\nfor _ in range(1500):\n    os.write(1, line)\nsys.exit(0)\n',
        "the stored log is cut at its limit and says so",
        code=State.LIMIT_EXCEEDED,
        reason="log",
        exit_code=names.GATE_LOG_LIMIT,
        checks=(log_is_bounded,),
    ),
    # Some of these have limits for the whole node or per user of it, and all algorithms run as one user.
    Attack(
        "exhaust-descriptors",
        "exhaustion",
        "use up open files, pipes, sockets, watches, locks",
        """
import select, fcntl
kept = []
for make in (lambda: os.open("/dev/null", os.O_RDONLY), os.pipe, lambda: socket.socket(), select.epoll, lambda: libc.inotify_init()):
    try:
        for _ in range(70000):
            made = make()
            if made == -1:
                raise OSError(24, "refused")
            kept.append(made)
    except OSError as problem:
        print(len(kept), problem)
        kept.clear()
os._exit(0)
""",
        _OTHERS,
    ),
    # Orphans become children of process 1, the gate. Not reaped, they would fill the table of processes.
    Attack(
        "exhaust-zombies",
        "exhaustion",
        "leave zombies and orphans for the gate to reap",
        """
for _ in range(300):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        os._exit(0)
time.sleep(0.5)
sys.exit(0)
""",
        "the job ends at once: Kubernetes confirms it without a kill",
        checks=(ended_within(60),),
    ),
)
