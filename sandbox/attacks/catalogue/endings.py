"""Games with the end: exit codes that lie, signals ignored, ends that look like somebody else's fault.

The gate is process 1 of the algorithm's container and starts the program. It runs as the same user, so a
program may send it signals; what the program cannot do is to choose how its end is recorded.
"""

from __future__ import annotations

from c2d_box.workflow.states import State
from sandbox.attacks.attack import Attack
from sandbox.attacks.checks import ended_within

_KUBERNETES = "number and text follow from what Kubernetes reports, not from the program"


def _failing_attack(name: str, tries: str, script: str, reason: str, exit_code: int) -> Attack:
    """Return an attack that must end as a failed algorithm, with this exit code. Shells and Kubernetes report
    128+n for a process that signal n ended.
    """
    return Attack(
        f"end-{name}",
        "endings",
        tries,
        script,
        _KUBERNETES,
        code=State.ALGORITHM_FAILED,
        reason=reason,
        exit_code=exit_code,
    )


ATTACKS = (
    # The plain case, which the others are compared with.
    _failing_attack("code", "fail with a code of one's own", "sys.exit(42)\n", "exit code 42", 42),
    _failing_attack(
        "as-gate",
        'end with the gate\'s own code for "there was no go-ahead"',
        "os._exit(124)\n",
        "exit code 124",
        124,
    ),
    # prlimit on process 1, resource 7 (open files). A seccomp filter of the gate refuses it: a starved gate
    # would lose the log and the exit code.
    _failing_attack(
        "starve-gate",
        "end well in its place, by taking all files from the gate (the same user may)",
        """
starved = ctypes.create_string_buffer(struct.pack("QQ", 0, 0))
print("files of the gate:", libc.prlimit(1, 7, starved, None), flush=True)
time.sleep(0.5)
print("and on it goes", flush=True)
time.sleep(0.5)
os._exit(43)
""",
        "exit code 43",
        43,
    ),
    # 137 is what Kubernetes reports after SIGKILL. The reason for memory must come from the kernel's count
    # (OOMKilled) and not from this number.
    _failing_attack("as-killed", "look as if killed for memory (137)", "os._exit(137)\n", "signal 9", 137),
    # kill(-1) spares process 1 and the sender, so the program kills itself at the end.
    _failing_attack(
        "kill-all",
        "kill every process in sight",
        "os.kill(-1, signal.SIGKILL)\ntime.sleep(5)\nos.kill(os.getpid(), signal.SIGKILL)\n",
        "signal 9",
        137,
    ),
    # A core dump may start a handler of the node (core_pattern); RLIMIT_CORE keeps the kernel from it.
    _failing_attack(
        "core",
        "dump core, to see where it goes",
        """
import resource
try:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
except (OSError, ValueError) as problem:
    print(problem)
os.chdir(OUTPUTS)
os.kill(os.getpid(), signal.SIGSEGV)
time.sleep(5)
""",
        "signal 11",
        139,
    ),
    # SIGTERM at the time limit has no effect, so SIGKILL has to follow.
    Attack(
        "end-never",
        "endings",
        "ignore every signal and never end",
        """
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
(OUTPUTS / "part").write_text("1")
while True:
    time.sleep(1)
""",
        "the time limit ends it, marked as such",
        stop=2,
        maxtime=3,
        exit_code=None,
        checks=(ended_within(60),),
    ),
    # A stopped process gets SIGTERM only when it is continued.
    Attack(
        "end-stopped-itself",
        "endings",
        "stop itself and its group, so that nothing moves any more",
        "os.kill(0, signal.SIGSTOP)\ntime.sleep(600)\n",
        "the time limit ends it, marked as such",
        stop=2,
        maxtime=3,
        exit_code=None,
        checks=(ended_within(60),),
    ),
    # Without the signals that the gate passes on to its child: they would end this program.
    Attack(
        "end-signals-gate",
        "endings",
        "send the gate every signal there is, a thousand times",
        """
for number in range(1, 65):
    if number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        continue
    for _ in range(20):
        try:
            os.kill(1, number)
        except OSError:
            pass
time.sleep(0.2)
sys.exit(0)
""",
        _KUBERNETES,
    ),
)
