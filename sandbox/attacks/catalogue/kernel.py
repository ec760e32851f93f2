"""Getting at the node through its kernel. What succeeds would show in the node's own state, compared
afterwards.

All containers share one kernel. Seccomp, dropped capabilities, masked paths and namespaces keep a program
from these calls and files.
"""

from __future__ import annotations

from sandbox.attacks.attack import Attack

# Not asked of the program: a broken node shows in restarts, conditions and the clock.
_COMPARED = "the node's components, restarts and clock are the same afterwards"


def _kernel_attack(name: str, tries: str, script: str) -> Attack:
    """Return an attack that must end well without any success."""
    return Attack(f"kernel-{name}", "kernel", tries, script + "\nsettle()\n", _COMPARED)


ATTACKS = (
    # A program written to core_pattern or modprobe is started by the kernel as root, outside of every
    # container.
    _kernel_attack(
        "proc",
        "write to /proc/sys, trigger SysRq, read kernel memory and messages",
        """
for path in ("kernel/core_pattern", "kernel/hostname", "kernel/modprobe", "vm/drop_caches", "net/ipv4/ip_forward", "kernel/panic", "fs/protected_hardlinks"):
    attempt(f"write {path}", written, f"/proc/sys/{path}")
for path in ("/proc/sysrq-trigger", "/proc/irq/0/smp_affinity", "/proc/self/setgroups", "/proc/self/uid_map", "/proc/self/gid_map"):
    attempt(f"write {path}", written, path, b"b")
for path in ("/proc/kcore", "/proc/kmsg", "/proc/timer_list", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi/scsi"):
    attempt(f"read {path}", hidden, path, harmless=lambda answer: answer == b"")
attempt("become unkillable", written, "/proc/self/oom_score_adj", b"-1000")
attempt("addresses of the kernel", lambda: [l for l in open("/proc/kallsyms") if not l.startswith("0000000000000000")][:1], harmless=lambda answer: answer == [])
""",
    ),
    # release_agent of control groups version 1 is the known way out: the kernel starts it as root on the
    # node.
    _kernel_attack(
        "sys",
        "write to /sys and to control groups, read debug file systems",
        """
roots = ["/sys/fs/cgroup"] + [str(p) for p in pathlib.Path("/sys/fs/cgroup").iterdir() if p.is_dir()][:12]
for root in roots:
    for name in ("cgroup.procs", "release_agent", "notify_on_release", "pids.max", "memory.limit_in_bytes", "memory.max", "devices.allow"):
        if os.path.exists(f"{root}/{name}"):
            attempt(f"write {root}/{name}", written, f"{root}/{name}")
    attempt(f"make a group in {root}", lambda: os.mkdir(f"{root}/own"))
for path in ("/sys/kernel/uevent_helper", "/sys/power/state", "/sys/module/kernel/parameters/crash_kexec_post_notifiers", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/kernel/profiling"):
    attempt(f"write {path}", written, path)
for path in ("/sys/kernel/debug", "/sys/kernel/tracing", "/sys/firmware", "/sys/fs/bpf", "/sys/kernel/security"):
    attempt(f"list {path}", os.listdir, path, harmless=lambda answer: answer == [])
""",
    ),
    # A bind mount could make the inputs writable or put them among the outputs. open_by_handle_at reads any
    # file of a file system by its inode, past all mounts.
    _kernel_attack(
        "mount",
        "mount, unmount, pivot_root, chroot, move mounts, open handles",
        """
attempt("mount tmpfs", lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0 or (_ for _ in ()).throw(OSError(ctypes.get_errno(), "mount")))
attempt("mount proc", syscall, "mount", ctypes.c_char_p(b"proc"), ctypes.c_char_p(b"/tmp"), ctypes.c_char_p(b"proc"), 0, 0)
attempt("bind", syscall, "mount", ctypes.c_char_p(b"/data/inputs"), ctypes.c_char_p(b"/data/outputs"), 0, 4096, 0)
attempt("remount inputs", syscall, "mount", 0, ctypes.c_char_p(b"/data/inputs"), 0, 32, 0)
attempt("unmount", syscall, "umount2", ctypes.c_char_p(b"/data/inputs"), 2)
attempt("pivot_root", syscall, "pivot_root", ctypes.c_char_p(b"/tmp"), ctypes.c_char_p(b"/tmp"))
attempt("chroot", os.chroot, "/tmp")
attempt("open_tree", syscall, "open_tree", -100, ctypes.c_char_p(b"/"), 1)
attempt("fsopen", syscall, "fsopen", ctypes.c_char_p(b"tmpfs"), 0)
attempt("mount_setattr", syscall, "mount_setattr", -100, ctypes.c_char_p(b"/"), 0, 0, 0)
attempt("open_by_handle_at", syscall, "open_by_handle_at", -100, ctypes.c_char_p(b"\\x08\\0\\0\\0\\1\\0\\0\\0\\2\\0\\0\\0\\0\\0\\0\\0"), 0)
""",
    ),
    # In a user namespace of one's own a process has every capability, and with it much more of the kernel to
    # attack.
    _kernel_attack(
        "namespaces",
        "unshare and enter namespaces, with and without a user namespace",
        """
flags = {"mount": 0x20000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000, "pid": 0x20000000, "net": 0x40000000, "cgroup": 0x2000000, "time": 0x80}
for name, flag in flags.items():
    attempt(f"unshare {name}", syscall, "unshare", flag)
    attempt(f"unshare user and {name}", syscall, "unshare", flag | 0x10000000)
for kind in ("mnt", "net", "pid", "user"):
    def enter():
        handle = os.open(f"/proc/1/ns/{kind}", os.O_RDONLY)
        return syscall("setns", handle, 0)
    attempt(f"setns {kind}", enter)
def clone():
    child = syscall("clone", 0x10000000 | 17, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "a process in a user namespace"
attempt("clone user", clone)
""",
    ),
    # Calls that the runtime's default seccomp profile refuses or that need a capability. A number that the
    # machine does not have fails too, so both architectures are tested with the names they know.
    _kernel_attack(
        "calls",
        "the kernel's sharp tools: bpf, perf, userfaultfd, io_uring, keys, modules, kexec, swap, quotas, accounting",
        """
calls = (("bpf", 5, 0, 0), ("perf_event_open", 0, 0, -1, -1, 0), ("userfaultfd", 0), ("userfaultfd", 1), ("io_uring_setup", 8, 0), ("add_key", 0, 0, 0, 0, 0), ("request_key", 0, 0, 0, 0),
    ("keyctl", 0, 0, 1), ("keyctl", 1, 0), ("init_module", 0, 0, 0), ("finit_module", 0, 0, 0), ("delete_module", 0, 0), ("kexec_load", 0, 0, 0, 0), ("kexec_file_load", 0, 0, 0, 0, 0),
    ("reboot", 0xfee1dead, 672274793, 0), ("swapon", 0, 0), ("swapoff", 0), ("acct", 0), ("quotactl", 0x800002 << 8, 0, 0, 0), ("syslog", 3, 0, 0), ("iopl", 3), ("ioperm", 0x378, 1, 1),
    ("sethostname", ctypes.c_char_p(b"x"), 1), ("setdomainname", ctypes.c_char_p(b"x"), 1), ("vhangup",), ("fanotify_init", 0, 0), ("lookup_dcookie", 0, 0, 0), ("move_pages", 1, 1, 0, 0, 0, 0),
    ("migrate_pages", 1, 1, 0, 0), ("ptrace", 16, 1, 0, 0), ("pidfd_getfd", 0, 0, 0), ("personality", 0x0040008),
    ("kcmp", os.getpid(), 1, 0, 0, 0))
for name, *arguments in calls:
    attempt(name, syscall, name, *arguments)
""",
    ),
    # Key rings belong to a user, not to a container: all algorithms run as the same one.
    _kernel_attack(
        "keyrings",
        "read keys that other containers of this user keep in the kernel",
        """
for ring in (-1, -2, -3, -4, -5):
    buffer = ctypes.create_string_buffer(512)
    attempt(f"describe {ring}", lambda: (syscall("keyctl", 6, ring, buffer, 512), buffer.value))
    attempt(f"read {ring}", lambda: (syscall("keyctl", 11, ring, buffer, 512), buffer.raw[:64]))
""",
    ),
    # There is one clock for the machine: grants, permissions and leases would expire or live on.
    _kernel_attack(
        "clock",
        "set the clock: date, adjtime, hardware clock",
        """
now = struct.pack("qq", int(time.time()) - 86400 * 365, 0)
attempt("settimeofday", syscall, "settimeofday", ctypes.c_char_p(now), 0)
attempt("clock_settime", lambda: time.clock_settime(time.CLOCK_REALTIME, time.time() - 86400 * 365))
attempt("adjtimex", syscall, "adjtimex", ctypes.create_string_buffer(struct.pack("<Iqq", 0x2, 10**8, 0), 256))
attempt("rtc", os.open, "/dev/rtc0", os.O_RDWR)
try:
    os.utime(OUTPUTS, (0, 0))
except OSError as problem:
    print(problem)
""",
    ),
    # A node made with mknod is the device itself, whatever the folder it lies in.
    _kernel_attack(
        "devices",
        "make and open devices: disks, memory, loop, fuse, kvm, consoles",
        """
for name, kind, major, minor in (("sda", stat.S_IFBLK, 8, 0), ("loop0", stat.S_IFBLK, 7, 0), ("mem", stat.S_IFCHR, 1, 1), ("kmsg", stat.S_IFCHR, 1, 11), ("null", stat.S_IFCHR, 1, 3)):
    attempt(f"mknod {name}", lambda: os.mknod(OUTPUTS / name, kind | 0o666, os.makedev(major, minor)))
    attempt(f"mknod /tmp/{name}", lambda: os.mknod(f"/tmp/{name}", kind | 0o666, os.makedev(major, minor)))
for name in ("sda", "vda", "nvme0n1", "loop0", "loop-control", "mem", "kmem", "kmsg", "port", "fuse", "kvm", "net/tun", "mapper/control", "console", "tty0", "dri/card0", "vfio/vfio"):
    attempt(f"open {name}", os.open, f"/dev/{name}", os.O_RDONLY)
extra = set(os.listdir("/dev")) - {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue", "fd", "stdin", "stdout", "stderr", "core", "termination-log", "console"}
if extra:
    breach(f"devices: {sorted(extra)}")
""",
    ),
    # no_new_privs takes the effect from set-uid programs. The shell with the bit lies on the job's disk, so
    # the mount's own options are tried as well.
    _kernel_attack(
        "privileges",
        "become root: set-uid programs, setuid(0), capabilities on files, new privileges",
        """
import shutil
fields = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
for name in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"):
    if int(fields[name], 16):
        breach(f"{name} {fields[name]}")
if fields["NoNewPrivs"] != "1" or fields["Seccomp"] != "2" or os.getuid() == 0:
    breach(f"{fields['NoNewPrivs']} {fields['Seccomp']} {os.getuid()}")
for name in ("setuid", "setgid", "seteuid"):
    attempt(name, getattr(os, name), 0)
attempt("setgroups", os.setgroups, [0])
shutil.copy("/bin/sh", OUTPUTS / "sh")
os.chmod(OUTPUTS / "sh", 0o6755)
attempt("set-uid shell", lambda: subprocess.run([OUTPUTS / "sh", "-c", "id -u"], capture_output=True, timeout=5, check=True).stdout.strip(), harmless=lambda answer: answer != b"0")
attempt("file capability", lambda: os.setxattr(OUTPUTS / "sh", "security.capability", b"\\1\\0\\0\\2\\xff\\xff\\xff\\xff" + bytes(12)))
attempt("give away", os.chown, OUTPUTS / "sh", 0, 0)
for folder in ("/usr/bin", "/bin", "/usr/sbin"):
    for found in pathlib.Path(folder).iterdir():
        try:
            facts = found.stat()
        except OSError:
            continue
        if facts.st_mode & 0o6000 and facts.st_uid == 0:
            try:
                answer = subprocess.run([found, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=2)
                print(found, answer.returncode)
            except (OSError, subprocess.SubprocessError) as problem:
                print(found, problem)
os.remove(OUTPUTS / "sh")
""",
    ),
)
