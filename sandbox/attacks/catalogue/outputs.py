"""Getting data out, or harm into the consumer's hands, through the outputs. One refused keeps all in.

Outputs are the one way that is open by intent. The judge looks at every file before anything is stored; it
works on names and bytes that a hostile program has chosen.
"""

from __future__ import annotations

from c2d_box.workflow.states import State
from sandbox.attacks.attack import Attack
from sandbox.attacks.checks import log_is_plain, no_outputs, nothing_of_the_inputs

_REFUSED = "77; no output is listed or stored, the log is"


def _refused_attack(name: str, tries: str, reason: str, script: str, *, slow: bool = False) -> Attack:
    """Return an attack whose outputs must be refused. A harmless file is always among them: it shows that one
    refused file keeps all of them in.
    """
    innocent = '(OUTPUTS / "innocent.csv").write_text("a,b\\n")\n'
    return Attack(
        f"outputs-{name}",
        "outputs",
        tries,
        innocent + script + "\nsys.exit(0)\n",
        _REFUSED,
        code=State.OUTPUTS_REFUSED,
        reason=reason,
        checks=(no_outputs, nothing_of_the_inputs),
        slow=slow,
    )


ATTACKS = (
    # A link that is followed when results are stored carries its target out.
    _refused_attack(
        "symlink",
        "a symbolic link to the inputs",
        "symbolic link",
        '(OUTPUTS / "x").symlink_to("/data/inputs/algoCustomData.json")',
    ),
    _refused_attack(
        "symlink-folder",
        "a linked folder: the whole of /data, relative and by /proc",
        "symbolic link",
        '(OUTPUTS / "d").symlink_to("../inputs"); (OUTPUTS / "p").symlink_to("/proc/self/root/data")',
    ),
    # A hard link is the file itself and no check of its type would tell. The kernel refuses links between
    # mounts, and links to files of others.
    Attack(
        "outputs-hard-link-inputs",
        "outputs",
        "a hard link to the inputs or to the algorithm",
        """
for source in ("/data/inputs/algoCustomData.json", "/data/transformations/algorithm", "/etc/passwd", "/c2d/gate", "/c2d-go/ahead"):
    attempt(f"link {source}", os.link, source, OUTPUTS / "x")
    handle = os.open(source, os.O_PATH)
    attempt(f"link by descriptor {source}", lambda: os.link(f"/proc/self/fd/{handle}", OUTPUTS / "y", follow_symlinks=True))
settle()
""",
        "no link can be made; no result holds the inputs",
        checks=(nothing_of_the_inputs,),
    ),
    # A file with two names can be changed through the one that is not looked at.
    _refused_attack(
        "hard-link",
        "one file under two names",
        "hard link",
        '(OUTPUTS / "a").write_text("x"); os.link(OUTPUTS / "a", OUTPUTS / "b")',
    ),
    # Opening it for reading blocks until somebody writes: a judge that opens it never ends.
    _refused_attack("pipe", "a pipe that stops who reads it", "pipe", 'os.mkfifo(OUTPUTS / "p")'),
    _refused_attack(
        "socket",
        "a socket",
        "socket",
        'os.chdir(OUTPUTS); s = socket.socket(socket.AF_UNIX); s.bind("s")',
    ),
    # The largest size that the limits allow takes no block of the disk, so only the judge can refuse it.
    _refused_attack(
        "sparse",
        "a file as large as may be, that costs nothing",
        "refused",
        """
size = 1 << 40
while True:
    try:
        open(OUTPUTS / "x", "wb").truncate(size)
        break
    except OSError:
        size //= 2
print(size, "bytes", flush=True)
""",
    ),
    # Within the limit of bytes, so only the ratio of blocks to bytes tells.
    _refused_attack(
        "holes",
        "a file within the limit that is all holes, to fill the store",
        "sparse",
        'open(OUTPUTS / "x", "wb").truncate(600 << 20)',
    ),
    _refused_attack(
        "many",
        "more files than anybody can list",
        "may leave in all",
        "for n in range(2500): (OUTPUTS / str(n)).touch()",
    ),
    _refused_attack(
        "deep",
        "folders within folders",
        "deep",
        'p = OUTPUTS\nfor _ in range(60):\n    p = p / "d"\n    p.mkdir()',
    ),
    # The consumer who unpacks it is the target: 1.2 GB of zeros in about a megabyte.
    _refused_attack(
        "archive-bomb",
        "a gzip of a few kilobytes that unpacks to gigabytes",
        "unpacks",
        """
import zlib
packer = zlib.compressobj(9, zlib.DEFLATED, 31)
zeros = bytes(1 << 20)
with open(OUTPUTS / "x.gz", "wb") as file:
    for _ in range(1200):
        file.write(packer.compress(zeros))
    file.write(packer.flush())
""",
        slow=True,
    ),
    # Archives in archives multiply: a look at the outer one shows a small size only.
    _refused_attack(
        "zip-bomb",
        "a zip in a zip in a zip",
        "unpacks",
        """
import io, zipfile
def nested(data, depth):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(16):
            archive.writestr(f"{depth}-{n}", data)
    return held.getvalue()
data = bytes(8 << 20)
for depth in range(4):
    data = nested(data, depth)
(OUTPUTS / "x.zip").write_bytes(data)
""",
    ),
    # A name becomes a header of a download; a line feed in it would begin another header.
    _refused_attack(
        "name-newline", "a line feed in a name", "hidden", 'open(b"/data/outputs/a\\nContent-Type: x", "w")'
    ),
    # A name is shown in terminals, which obey escape sequences.
    _refused_attack(
        "name-escape",
        "a terminal's escape sequence in a name",
        "hidden",
        'open(b"/data/outputs/\\x1b[2J\\x1b]0;x\\x07", "w")',
    ),
    _refused_attack(
        "name-invalid",
        "a name that is not UTF-8",
        "UTF-8",
        'open(b"/data/outputs/\\xff\\xfe\\xc0\\xaf", "w")',
    ),
    _refused_attack(
        "name-long",
        "a path longer than a name may be",
        "is longer than",
        'os.chdir(OUTPUTS)\nfor _ in range(6):\n    os.mkdir("d" * 250)\n    os.chdir("d" * 250)\nopen("x", "w")',
    ),
    # It is shown as invoiceexe.pdf and is a program.
    _refused_attack(
        "name-reversed",
        "a name that reads backwards: right-to-left override",
        "hidden",
        'open("/data/outputs/invoice\\u202efdp.exe", "w")',
    ),
    # The log's folder is published too, and the algorithm can write there.
    _refused_attack(
        "beside-the-log",
        "a link beside the log instead of among the outputs",
        "symbolic link",
        'os.symlink("/data/inputs/algoCustomData.json", "/data/logs/x")',
    ),
    # Between judging and sending a file may change. What is sent must be the bytes that were judged, and no
    # process of the algorithm may be left by then.
    Attack(
        "outputs-while-judged",
        "outputs",
        "go on writing after the end: a daemon that changes a file while it is judged and sent",
        """
(OUTPUTS / "x").write_text("first")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        n = 0
        while True:
            n += 1
            (OUTPUTS / "x").write_text(f"{TOKEN} {n}")
            (OUTPUTS / f"late").write_text(GIVEN["sentinel"])
    os._exit(0)
time.sleep(0.3)
sys.exit(0)
""",
        "what is stored has the recorded hash, and it does so minutes later",
    ),
    # Logs are shown in terminals by people who follow a job.
    Attack(
        "outputs-log-escape",
        "outputs",
        "terminal escapes, nulls and invalid UTF-8 in the log",
        'os.write(1, b"\\x1b]0;owned\\x07\\x1b[2J\\x00\\xff\\xfe\\r\\x08" + "\\u202e".encode() + b"\\n")\nsys.exit(0)\n',
        "the stored log holds no control character",
        checks=(log_is_plain,),
    ),
)
