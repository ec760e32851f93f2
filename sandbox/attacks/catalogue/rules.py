"""Algorithms under a publisher's disclosure rules. Their inputs hold a secret, and no channel may carry it out.

What is looked at: the outputs, the log, every word of the job's status (reasons and refused names go into the
evidence and to everybody who asks) and what Kubernetes shows of the container while it runs.
"""

from __future__ import annotations

from c2d_box.workflow.states import State
from sandbox.attacks.attack import Attack
from sandbox.attacks.checks import log_stays_in, nothing_of_the_inputs, nothing_said_of_the_inputs

# Everything that leaves is output here (docs/adr/0016): results, log, status, and what was shown live.
_CHECKS = (nothing_of_the_inputs, nothing_said_of_the_inputs, log_stays_in)
_EVERYWHERE = "the secret is in no result, no word of the status and no live log"


def _rules_attack(
    name: str, tries: str, script: str, code: State = State.FINISHED, reason: str = "", exit_code: int = 0
) -> Attack:
    """Return an attack under disclosure rules. A small table that the rules allow is always among the
    outputs, so a refusal is due to what the attack adds.
    """
    return Attack(
        f"rules-{name}",
        "rules",
        tries,
        'secret = GIVEN["sentinel"]\n(OUTPUTS / "table.csv").write_text("a,b\\n1,2\\n")\n' + script,
        _EVERYWHERE,
        code=code,
        reason=reason,
        exit_code=exit_code,
        checks=_CHECKS,
        rules=True,
    )


ATTACKS = (
    # The pause at the end gives the battery time to read the live log while the container exists.
    _rules_attack(
        "log",
        "print the data, on both streams, plainly and through the log's own file",
        """
for _ in range(50):
    print(secret, flush=True)
    print(secret, file=sys.stderr, flush=True)
with open("/data/logs/algorithm.log", "a") as file:
    file.write(secret + "\\n")
time.sleep(2)
sys.exit(0)
""",
    ),
    # Python writes the text of SystemExit to stderr, and the exit code of a failure is told to the owner.
    _rules_attack(
        "log-of-a-failure",
        "fail with the data in the error's text",
        "time.sleep(2)\nraise SystemExit(secret)\n",
        State.ALGORITHM_FAILED,
        "exit code 1",
        1,
    ),
    # An error that lists refused files would publish their names: they are told by a number and a hash.
    _rules_attack(
        "refused-names",
        "carry the data in names of files that are refused",
        """
for n in range(120):
    (OUTPUTS / f"{n}-{secret.replace(':', '-')}.bin").write_bytes(b"x")
    (OUTPUTS / f"{n}-{secret}.bin").write_bytes(b"x")
sys.exit(0)
""",
        State.OUTPUTS_REFUSED,
        "refused",
    ),
    _rules_attack(
        "name",
        "carry the data in the name of the one file that is allowed",
        '(OUTPUTS / "table.csv").rename(OUTPUTS / f"{secret} x.csv")\nsys.exit(0)\n',
        State.OUTPUTS_REFUSED,
        "refused",
    ),
    _rules_attack(
        "beside-the-log",
        "leave the data beside the log, in files and folders of its own",
        """
(pathlib.Path("/data/logs") / "more.log").write_text(secret)
(pathlib.Path("/data/logs") / secret).mkdir()
sys.exit(0)
""",
        State.OUTPUTS_REFUSED,
        "refused",
    ),
    # The table stays below the limit of bytes: the rule for rows has to refuse it.
    _rules_attack(
        "many-rows",
        "carry the data in a table longer than may be",
        '(OUTPUTS / "table.csv").write_text("a\\n" + (secret + "\\n") * 50)\nsys.exit(0)\n',
        State.OUTPUTS_REFUSED,
        "refused",
    ),
    # Extended attributes travel with a file in some archives and file systems; a result is its bytes only.
    _rules_attack(
        "attributes",
        "carry the data in attributes of a file",
        """
for name in ("user.secret", "trusted.secret", "security.secret"):
    try:
        os.setxattr(OUTPUTS / "table.csv", name, secret.encode())
    except OSError as problem:
        print(name, problem.errno)
sys.exit(0)
""",
    ),
    # A core dump would lie among the outputs, or go to a handler of the node.
    _rules_attack(
        "crash",
        "leave the data in what the node keeps of a crash",
        """
os.chdir(OUTPUTS)
kept = ctypes.create_string_buffer(secret.encode() * 1000)
os.kill(os.getpid(), signal.SIGSEGV)
time.sleep(5)
""",
        State.ALGORITHM_FAILED,
        "signal 11",
        139,
    ),
)
