"""Attacks on what two jobs of one node share: places that no limit counts, counters and files of the node.

Kubernetes limits memory and processor of a container, but not what the kernel or the kubelet keep outside of
it. What can be written there fills the node's disk, and what can be read there tells one job about another.
"""

from __future__ import annotations

from sandbox.attacks.attack import Attack
from sandbox.attacks.checks import nothing_of_the_inputs

# What leaks between jobs all the same, and how much: docs/sidechannels.md.
_ALIKE = "the node has no pressure and no other pod was restarted; innocent jobs end well"

# Every mount that can be written, by trying; what a job is given is memory, or a disk of its own.
_MOUNTS = '''
def mounts():
    """Place, file system and device of each mount, the last one at a place."""
    found = {}
    for line in open("/proc/self/mountinfo"):
        fields, _, rest = line.partition(" - ")
        place = fields.split()[4].encode().decode("unicode_escape")
        found[place] = (rest.split()[0], rest.split()[1])
    return found

def opened_for_writing(place):
    """A descriptor below or at the place; OSError where nothing there can be written."""
    if os.path.isdir(place):
        return os.open(os.path.join(place, "c2d-probe"), os.O_WRONLY | os.O_CREAT, 0o600)
    if stat.S_ISREG(os.stat(place).st_mode):
        return os.open(place, os.O_WRONLY)
    raise OSError(errno.ENOTSUP, "neither file nor folder")
'''

ATTACKS = (
    # A file of the kubelet's below /var/lib lies on the node's disk, and no limit of the job counts it.
    Attack(
        "node-uncounted-places",
        "node",
        "write where no limit counts: termination log, hosts file, whatever else is mounted",
        _MOUNTS
        + """
OWN = {"/data/outputs", "/data/logs"}
KERNELS = ("proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue")
for place, (kind, device) in mounts().items():
    if kind in KERNELS or place in OWN:
        continue
    try:
        handle = opened_for_writing(place)
    except OSError as problem:
        print("closed:", place, problem)
        continue
    os.close(handle)
    if os.path.isdir(place):
        os.remove(os.path.join(place, "c2d-probe"))
    # Memory counts against the job's own limit.
    if kind != "tmpfs":
        breach(f"{place} on {kind} {device} can be written")
for folder in ("/", "/etc", "/dev", "/run", "/var/tmp", "/var/log", "/usr/local", "/root", "/home"):
    attempt(f"make a file in {folder}", lambda: os.open(os.path.join(folder, "c2d-probe"), os.O_WRONLY | os.O_CREAT, 0o600))
settle()
""",
        "all that can be written is memory of the job or the job's own disk",
    ),
    # Kubernetes insists on this file. It is mounted where Kubernetes then masks (docs/adr/0018).
    Attack(
        "node-termination-log",
        "node",
        "fill the node's disk through the container's termination log, and leave the inputs there",
        """
secret = open("/data/inputs/algoCustomData.json", "rb").read()
places = {"/dev/termination-log"}
for line in open("/proc/self/mountinfo"):
    fields = line.split()
    if "/containers/" in fields[3] or "termination" in fields[4]:
        places.add(fields[4])
print("tried:", sorted(places))
def fill(place):
    # As much as goes; what was written before it failed counts.
    written = 0
    try:
        with open(place, "wb", buffering=0) as file:
            while written < 6 << 30:
                written += file.write(secret * (1 + (4 << 20) // len(secret)))
    except OSError:
        if not written:
            raise
    return f"{written} bytes"
for place in sorted(places):
    attempt(f"fill {place}", fill, place)
    attempt(f"list {os.path.dirname(place)}", os.listdir, os.path.dirname(place), harmless=lambda answer: answer == [] or place.startswith("/dev/"))
settle()
""",
        _ALIKE,
        checks=(nothing_of_the_inputs,),
    ),
    # RLIMIT_FSIZE is the wall against files beyond the job's disk; a soft limit could be raised.
    Attack(
        "node-file-limit",
        "node",
        "raise the limits of files, core dumps, memory and processes, and make files beyond them",
        """
import resource
for name in ("RLIMIT_FSIZE", "RLIMIT_CORE"):
    kind = getattr(resource, name)
    soft, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY:
        breach(f"{name} is not limited")
    attempt(f"raise {name}", resource.setrlimit, kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    attempt(f"double {name}", resource.setrlimit, kind, (hard * 2, hard * 2))
libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
def taken(folder, mode, size):
    handle = os.open(os.path.join(folder, "big"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if libc.fallocate(handle, mode, 0, size) != 0:
            raise OSError(ctypes.get_errno(), "fallocate")
        return size
    finally:
        os.close(handle)
        os.remove(os.path.join(folder, "big"))
for folder in ("/data/outputs", "/data/logs", "/tmp", "/dev/shm"):
    for mode in (0, 1):
        attempt(f"a terabyte in {folder}, mode {mode}", taken, folder, mode, 1 << 40)
def sparse(folder):
    with open(os.path.join(folder, "sparse"), "wb") as file:
        try:
            file.truncate(1 << 40)
            return "a terabyte of holes"
        finally:
            os.remove(os.path.join(folder, "sparse"))
for folder in ("/data/outputs", "/tmp"):
    attempt(f"holes in {folder}", sparse, folder)
settle()
""",
        _ALIKE,
    ),
    # Counters of a loop device tell how much its job writes at each moment, and backing files are named by
    # job.
    Attack(
        "node-disks",
        "node",
        "see the node's disks: names, counters and backing files of other jobs' volumes",
        """
attempt("/proc/diskstats", hidden, "/proc/diskstats", harmless=lambda answer: answer == b"")
for folder in ("/sys/block", "/sys/class/block", "/sys/dev/block", "/sys/devices/virtual/block", "/sys/fs/ext4"):
    attempt(folder, os.listdir, folder, harmless=lambda answer: answer == [])
for path in ("/sys/block/loop0/loop/backing_file", "/sys/devices/virtual/block/loop0/stat", "/sys/class/block/loop1/loop/backing_file", "/dev/loop0", "/dev/vda", "/dev/sda", "/dev/loop-control", "/dev/disk"):
    attempt(path, lambda: hidden(path) if not os.path.isdir(path) else os.listdir(path), harmless=lambda answer: answer == [])
names = []
for root, folders, files in os.walk("/sys/devices"):
    if "backing_file" in files:
        names.append(os.path.join(root, "backing_file"))
if names:
    breach(f"backing files of loop devices: {names[:3]}")
settle()
""",
        "the folders are empty; what is measured stands in docs/sidechannels.md",
    ),
    # A process 1 that Kubernetes started has the service variables, whatever it passes on.
    Attack(
        "node-inherited-names",
        "node",
        "learn where the cluster is, from the environment of every process",
        """
for source in ["/proc/self/environ", "/proc/1/environ"] + [f"/proc/{pid}/environ" for pid in os.listdir("/proc") if pid.isdigit()]:
    attempt(source, lambda: open(source, "rb").read(), harmless=lambda answer: b"KUBERNETES_" not in answer)
child = subprocess.run([sys.executable, "-c", "import os; print([n for n in os.environ if n.startswith('KUBERNETES')])"], capture_output=True, text=True)
if child.stdout.strip() != "[]":
    breach(child.stdout.strip())
settle()
""",
        "no variable of Kubernetes is in the container's processes",
    ),
    # Several kernel interfaces report on the whole machine and not on the namespace of the one that asks.
    Attack(
        "node-listeners",
        "node",
        "listen to the kernel's news of other pods: processes, devices, routes, audit, watched folders",
        """
def heard(protocol, group, asked=b""):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as s:
        s.bind((0, group))
        if asked:
            s.send(struct.pack("<IHHII", 16 + len(asked), 3, 0, 1, os.getpid()) + asked)
        s.settimeout(2)
        return s.recv(4096)
# Processes (connector), devices (uevents), audit, generic netlink. What concerns this pod alone cannot arrive: nothing happens in it.
attempt("processes", heard, 11, 1, struct.pack("<IIIIHHI", 1, 1, 0, 0, 4, 0, 1))
attempt("devices", heard, 15, 1)
attempt("devices as told by udev", heard, 15, 2)
attempt("audit", heard, 9, 1)
for protocol, what in ((6, "xfrm"), (12, "netfilter"), (4, "sockets"), (0, "routes")):
    attempt(what, heard, protocol, 0xff)
watch = libc.inotify_init()
places = [line.split()[4] for line in open("/proc/self/mountinfo")]
added = 0
# The kernel's own file systems tell of this container's readers: the kubelet looks at its control group.
for place in ("/", "/etc", "/usr", "/usr/lib", *(p for p in places if not p.startswith(("/proc", "/sys", "/dev")))):
    if libc.inotify_add_watch(watch, place.encode(), 0x3cf) >= 0:
        added += 1
os.set_blocking(watch, False)
time.sleep(3)
# The gate writes down what this program prints: that is its own log, however late it arrives.
def events():
    found, others = os.read(watch, 65536), []
    while found:
        place, mask, cookie, size = struct.unpack_from("iIII", found)
        name, found = found[16:16 + size].rstrip(b"\\0"), found[16 + size:]
        if name != b"algorithm.log":
            others.append((place, mask, name))
    if not others:
        raise BlockingIOError(errno.EAGAIN, "only the own log was written")
    return others
print(added, "places watched")
attempt("events of others", events)
settle()
""",
        "nothing arrives within seconds, while other jobs run",
    ),
    # Locks of open files are listed to every container: that was a channel of 13.8 bits a second between two
    # jobs.
    Attack(
        "node-locks-and-queues",
        "node",
        "find what others hold in the kernel: locks, queues, shared memory, keys of other containers",
        """
# Locks that belong to an open file and to no process are told to every container of the node, which has some itself.
import fcntl
shared = open("/tmp/lock", "wb")
for command in (36, 37, 38):
    attempt(f"a lock of an open file, {command}", fcntl.fcntl, shared, command, struct.pack("hhqqixxxx", 1, 0, 0, 0, 0))
def by_another_number():
    if os.uname().machine != "x86_64":
        raise OSError(errno.ENOSYS, "no such calls")
    lock = ctypes.create_string_buffer(struct.pack("hhqqixxxx", 1, 0, 0, 0, 0))
    if libc.syscall(ctypes.c_long(0x40000000 + 72), shared.fileno(), 37, lock) == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return "locked"
attempt("a lock by a system call of x32", by_another_number)
attempt("locks of others", lambda: [line for line in open("/proc/locks") if "OFDLCK" not in line], harmless=lambda answer: answer == [])
for name in ("shm", "sem", "msg"):
    attempt(f"sysvipc {name}", lambda: open(f"/proc/sysvipc/{name}").read().splitlines()[1:], harmless=lambda answer: answer == [])
for folder in ("/dev/shm", "/dev/mqueue"):
    attempt(folder, os.listdir, folder, harmless=lambda answer: answer == [])
attempt("keys", hidden, "/proc/keys", harmless=lambda answer: answer == b"")
own = {name for _, name in socket.if_nameindex()}
seen = {line.split(":")[0].strip() for line in open("/proc/net/dev").read().splitlines()[2:]}
if seen - own:
    breach(f"links of others: {seen - own}")
facts = os.statvfs("/dev/shm")
size = facts.f_blocks * facts.f_frsize
if size > 1 << 30:
    breach(f"/dev/shm holds {size} bytes")
settle()
""",
        "the lists are empty in a container of its own namespaces",
    ),
    # A file of memfd_create lies on no mount, so neither nosuid nor noexec holds for it.
    Attack(
        "node-rights-from-memory",
        "node",
        "run a program that no mount option concerns, out of memory, with the bits of a privileged one",
        """
shell = open("/bin/sh", "rb").read()
handle = os.memfd_create("sh", 0)
os.write(handle, shell)
attempt("set-uid bit", os.fchown, handle, 0, 0)
os.fchmod(handle, 0o6755)
attempt("file capability", os.setxattr, f"/proc/self/fd/{handle}", "security.capability", b"\\1\\0\\0\\2\\xff\\xff\\xff\\xff" + bytes(12))
def user():
    done = subprocess.run([f"/proc/self/fd/{handle}", "-c", "id -u; grep CapEff /proc/self/status"], pass_fds=[handle], capture_output=True, text=True, timeout=10)
    return done.stdout.split()
answer = user()
print("as seen:", answer)
if answer and (answer[0] == "0" or answer[-1].strip("0")):
    breach(f"a program in memory runs as {answer}")
settle()
""",
        "it runs as the same user without capabilities",
    ),
    # The gate runs as the same user, whose limits the kernel lets it set. Without processor time the kernel
    # kills the gate, and log and exit code are lost; so the gate's seccomp filter refuses that.
    Attack(
        "node-gate-limits",
        "node",
        "take the gate's resources from outside it: its limits, its priority, its processor, its score",
        """
import resource
for kind in (resource.RLIMIT_NPROC, resource.RLIMIT_AS, resource.RLIMIT_STACK, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE):
    try:
        resource.prlimit(1, kind, (0, 0))
    except (OSError, ValueError) as problem:
        print(kind, problem)
for what, action in (("priority", lambda: os.setpriority(os.PRIO_PROCESS, 1, -20)), ("score", lambda: written("/proc/1/oom_score_adj", b"-1000")), ("realtime", lambda: os.sched_setscheduler(1, os.SCHED_FIFO, os.sched_param(50)))):
    attempt(what, action)
for number in range(1, 65):
    if number not in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        for sender in (os.kill,):
            try:
                sender(1, number)
            except OSError:
                pass
print("still here", flush=True)
time.sleep(1)
settle()
""",
        "the job ends with the program's own exit code and its log is there",
    ),
)
