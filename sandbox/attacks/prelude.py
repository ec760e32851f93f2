"""The program text in front of each attack's own: functions to try something and to report a success.

It runs inside the algorithm's container, with the Python of the image and nothing else. System calls are made
by number, because Python and libc wrap few of the dangerous ones; the numbers differ between the two
architectures. ``attempt`` counts a success as a breach, so a script lists what must fail.
"""

TEXT = '''
import ctypes, errno, json, os, pathlib, signal, socket, stat, struct, subprocess, sys, time

GIVEN = json.load(open("/data/inputs/algoCustomData.json"))
TOKEN = ("c2d-attack:" + GIVEN["attack"]).encode()
TARGETS = GIVEN["targets"]
OUTPUTS = pathlib.Path("/data/outputs")
breaches = []

def breach(what):
    breaches.append(what)
    print("BREACH:", what, flush=True)

def attempt(what, action, *arguments, harmless=lambda answer: False):
    """It must fail; an answer that is `harmless` is no success."""
    try:
        answer = action(*arguments)
    except (OSError, EOFError, ValueError, subprocess.SubprocessError) as problem:
        print("closed:", what, repr(problem)[:120])
        return None
    if harmless(answer):
        print("harmless:", what, repr(answer)[:120])
        return answer
    breach(f"{what}: {answer!r:.200}")
    return answer

libc = ctypes.CDLL(None, use_errno=True)

NUMBERS = {"x86_64": {
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425, "add_key": 248,
    "request_key": 249, "keyctl": 250, "init_module": 175, "finit_module": 313, "delete_module": 176,
    "kexec_load": 246, "kexec_file_load": 320, "reboot": 169, "swapon": 167, "swapoff": 168,
    "acct": 163, "quotactl": 179, "syslog": 103, "iopl": 172, "ioperm": 173, "sethostname": 170,
    "setdomainname": 171, "vhangup": 153, "fanotify_init": 300, "lookup_dcookie": 212,
    "move_pages": 279, "migrate_pages": 256, "ptrace": 101, "process_vm_readv": 310,
    "pidfd_getfd": 438, "modify_ldt": 154, "personality": 135, "kcmp": 312,
    "landlock_create_ruleset": 444, "seccomp": 317, "memfd_secret": 447, "setrlimit": 160,
    "unshare": 272, "setns": 308, "clone": 56, "mount": 165, "umount2": 166, "pivot_root": 155,
    "open_tree": 428, "fsopen": 430, "mount_setattr": 442, "open_by_handle_at": 304,
    "settimeofday": 164, "adjtimex": 159,
}, "aarch64": {
    "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "io_uring_setup": 425, "add_key": 217,
    "request_key": 218, "keyctl": 219, "init_module": 105, "finit_module": 273, "delete_module": 106,
    "kexec_load": 104, "kexec_file_load": 294, "reboot": 142, "swapon": 224, "swapoff": 225,
    "acct": 89, "quotactl": 60, "syslog": 116, "sethostname": 161, "setdomainname": 162, "vhangup": 58,
    "fanotify_init": 262, "lookup_dcookie": 18, "move_pages": 239, "migrate_pages": 238, "ptrace": 117,
    "process_vm_readv": 270, "pidfd_getfd": 438, "personality": 92, "kcmp": 272,
    "landlock_create_ruleset": 444, "seccomp": 277, "memfd_secret": 447, "setrlimit": 164,
    "unshare": 97, "setns": 268, "clone": 220, "mount": 40, "umount2": 39, "pivot_root": 41,
    "open_tree": 428, "fsopen": 430, "mount_setattr": 442, "open_by_handle_at": 265,
    "settimeofday": 170, "adjtimex": 171,
}}[os.uname().machine]

def syscall(name, *arguments):
    """Raises OSError; so it does for a call that this machine does not have."""
    number = NUMBERS.get(name)
    if number is None:
        raise OSError(errno.ENOSYS, name)
    arguments = [ctypes.c_void_p(a) if isinstance(a, int) else a for a in arguments]
    answer = libc.syscall(ctypes.c_long(number), *arguments)
    if answer == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer

def hidden(path, mode="rb", size=64):
    with open(path, mode, buffering=0) as file:
        return file.read(size)

def written(path, text=b"1"):
    with open(path, "wb", buffering=0) as file:
        return file.write(text)

def dial(target, kind=socket.SOCK_STREAM, timeout=0.5, expects=True):
    host, _, port = target.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as s:
        s.settimeout(timeout)
        s.connect(socket.getaddrinfo(host, int(port), family, flags=socket.AI_NUMERICHOST)[0][4])
        s.send(TOKEN)
        return s.recv(64) if kind == socket.SOCK_DGRAM and expects else "connected"

def many(action, arguments):
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(action, arguments))

def settle():
    print(len(breaches), "breaches", flush=True)
    sys.exit(99 if breaches else 0)
'''
