"""Getting at what stands beside the algorithm: the gate, the warden, the service account, other jobs.

The other containers of a job hold credentials, and later stages believe what lies in their own folders. An
algorithm that reaches one or the other needs no hole in the kernel.
"""

from __future__ import annotations

from sandbox.attacks.attack import Attack
from sandbox.attacks.checks import log_is_empty, nothing_of_the_inputs

ATTACKS = (
    # Kubernetes mounts a token into each pod and describes services in variables, unless told not to.
    Attack(
        "pod-service-account",
        "pod",
        "find the cluster's credentials: tokens, service links, kubeconfigs",
        """
for path in ("/var/run/secrets/kubernetes.io/serviceaccount/token", "/run/secrets/kubernetes.io/serviceaccount/token", "/etc/kubernetes/admin.conf", "/var/lib/kubelet/config.yaml", "/root/.kube/config", "/etc/c2d/job/token", "/etc/c2d/grants/grants.json", "/etc/c2d/job/store.json"):
    attempt(path, hidden, path)
known = {"USER", "LOGNAME", "DIDS", "TRANSFORMATION_DID", "VOLUME", "INPUTS", "OUTPUTS", "LOGS", "secret", "HOME", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PATH", "HOSTNAME", "LANG", "LC_ALL", "PWD", "SHLVL", "OLDPWD", "_", "LC_CTYPE", "PYTHONPATH"}
for name in set(os.environ) - known:
    if any(word in name for word in ("KUBE", "TOKEN", "KEY", "SERVICE", "C2D", "SECRET", "PASS")):
        breach(f"environment {name}")
settle()
""",
        "no projected volume or service link in the pod's own object",
    ),
    # The marker is put together in the program, because the program's own file is among those it reads.
    Attack(
        "pod-other-jobs",
        "pod",
        "find what another job holds, anywhere in the file system and in /proc",
        """
marker = ("victim" + "-" + "secret" + ":").encode()
pids = [name for name in os.listdir("/proc") if name.isdigit() and name != str(os.getpid())]
own = [pid for pid in pids if pid == "1"]
print("processes", pids)
for pid in pids:
    for place in ("root/data/inputs/algoCustomData.json", "environ", "cwd", "maps"):
        attempt(f"{pid} {place}", hidden, f"/proc/{pid}/{place}", harmless=lambda answer: marker not in answer)
found = 0
for root, folders, files in os.walk("/", followlinks=False):
    if root.startswith(("/proc", "/sys", "/usr", "/opt", "/lib")):
        folders[:] = []
        continue
    for name in files:
        path = os.path.join(root, name)
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                continue
            with open(path, "rb") as file:
                found += 1
                if marker in file.read(1 << 20):
                    breach(path)
                    print(open(path, "rb").read(1000))
        except OSError:
            continue
print(found, "files read")
others = [line.split()[4] for line in open("/proc/self/mountinfo") if "/data/" in line.split()[4]]
for mount in others:
    for above in (f"{mount}/..", f"{mount}/../..", f"{mount}/../../.."):
        print(above, sorted(os.listdir(above))[:20])
for path in ("/var/lib/kubelet/pods", "/var/lib/containerd", "/run/containerd", "/var/log/pods", "/host", "/mnt", "/dev/disk"):
    attempt(path, os.listdir, path, harmless=lambda answer: answer == [])
settle()
""",
        "the neighbour's secret is in no result",
    ),
    # The gate is process 1 of the container and runs as the same user; being not dumpable is what protects
    # it. Killing it must not forge an end: Kubernetes reports the container's exit itself.
    Attack(
        "pod-gate",
        "pod",
        "trace, read, stop and kill the gate; take its files",
        """
for name in ("mem", "environ", "fd/1", "fd/0", "maps", "auxv", "stack", "syscall", "io"):
    attempt(f"read /proc/1/{name}", hidden, f"/proc/1/{name}")
attempt("its root", os.listdir, "/proc/1/root")
attempt("its folder", os.readlink, "/proc/1/cwd")
attempt("write its memory", written, "/proc/1/mem")
attempt("its program", os.open, "/proc/1/exe", os.O_RDWR)
for request, name in ((16, "attach"), (0x4206, "seize")):
    attempt(f"ptrace {name}", syscall, "ptrace", request, 1, 0, 0)
buffer = ctypes.create_string_buffer(64)
iovec = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(buffer), 64))
attempt("process_vm_readv", syscall, "process_vm_readv", 1, iovec, 1, iovec, 1, 0)
def stolen():
    handle = os.pidfd_open(1)
    return syscall("pidfd_getfd", handle, 1, 0)
attempt("pidfd_getfd", stolen)
for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGTRAP, signal.SIGPIPE):
    os.kill(1, number)
time.sleep(0.3)
state = open("/proc/1/stat").read().rpartition(")")[2].split()[0]
if state not in "SRD":
    breach(f"the gate is {state}")
settle()
""",
        "exit code and end come from Kubernetes",
    ),
    # Later stages read what lies in the volume: whoever can change inputs or markers there speaks in our
    # name.
    Attack(
        "pod-files",
        "pod",
        "overwrite gate, go-ahead, inputs, algorithm, DDOs and the image; plant markers for other stages",
        """
for path in ("/c2d/gate", "/c2d-go/ahead", "/c2d-go/x", "/data/inputs/algoCustomData.json", "/data/inputs/x", "/data/transformations/algorithm", "/data/ddos/x", "/data/control/staged", "/data/x",
             "/data/adminlogs/configure.log", "/verdict/manifest.json", "/etc/passwd", "/usr/lib/python3/x", "/x", "/etc/hosts", "/etc/resolv.conf", "/dev/termination-log" + "x"):
    attempt(f"write {path}", written, path)
for path in ("/c2d-go/ahead", "/c2d/gate", "/data/inputs/algoCustomData.json", "/data/transformations/algorithm"):
    attempt(f"remove {path}", os.remove, path)
    attempt(f"chmod {path}", os.chmod, path, 0o777)
for path in ("/data/inputs", "/data/outputs", "/data/logs", "/c2d-go"):
    attempt(f"rename {path}", os.rename, path, path + "x")
    attempt(f"rmdir {path}", os.rmdir, path)
for path in ("/data/control", "/data/adminlogs", "/verdict", "/etc/c2d"):
    attempt(f"list {path}", os.listdir, path, harmless=lambda answer: answer == [])
settle()
""",
        "the folders are read-only mounts or not mounted; outputs and record are unchanged",
    ),
    # Nothing in outputs and logs may count as a message of ours, whatever it is called; and a link in the
    # log's place must not be followed when the log is stored.
    Attack(
        "pod-fake-markers",
        "pod",
        "leave manifests, verdicts and a log of one's own for the publishing pod to believe",
        """
fake = {"files": [{"source": "data", "path": "inputs/algoCustomData.json", "filename": "x", "type": "output", "size": 1, "sha256": "0" * 64}]}
for place in (OUTPUTS, pathlib.Path("/data/logs")):
    for name in ("manifest.json", "staged", "ahead", "verdict", "done", "_SUCCESS"):
        (place / name).write_text(json.dumps(fake))
log = pathlib.Path("/data/logs/algorithm.log")
log.unlink()
log.symlink_to("/data/inputs/algoCustomData.json")
try:
    pathlib.Path("/dev/termination-log").write_text('{"exitCode": 0}')
except OSError as problem:
    print(problem)
sys.exit(0)
""",
        "what was planted is published as ordinary files; the log's place stays empty; inputs do not leave",
        checks=(log_is_empty, nothing_of_the_inputs),
    ),
    # An open descriptor that is passed on works in spite of all permissions of its file.
    Attack(
        "pod-descriptors",
        "pod",
        "use what was left open: descriptors, shared memory, queues, locks",
        """
open_ = sorted(int(name) for name in os.listdir("/proc/self/fd"))
extra = []
for number in open_:
    try:
        extra.append((number, os.readlink(f"/proc/self/fd/{number}"))) if number > 2 else None
    except OSError:
        pass
extra = [entry for entry in extra if not entry[1].startswith(("/data/transformations/algorithm", "/proc/", "/usr/", "/opt/"))]
if extra:
    breach(f"descriptors {extra}")
for folder in ("/dev/shm", "/dev/mqueue"):
    if os.path.isdir(folder) and os.listdir(folder):
        breach(f"{folder} {os.listdir(folder)}")
for name in ("shm", "sem", "msg"):
    path = f"/proc/sysvipc/{name}"
    if os.path.exists(path) and len(open(path).read().splitlines()) > 1:
        breach(path)
settle()
""",
        "the gate opens everything close-on-exec",
    ),
)
