"""Checks what the native driver needs of a machine; each finding has its evidence and a fix.

``create`` refuses on a finding that is ``required``; ``doctor`` shows them all. Nothing here changes the
machine.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from c2d_box.errors import EnvironmentProblem
from sandbox.bundle.build_dependencies import SEARCH

LEAST_FREE = 3 << 30
"""Bytes that images, etcd and some jobs take; with less the kubelet would soon evict pods."""


@dataclass(frozen=True, slots=True)
class ProbeFinding:
    """The result of one check. ``id`` is stable; ``evidence`` says what was seen; ``fix`` is empty when all
    is well.
    """

    id: str
    holds: bool
    evidence: str
    fix: str = ""
    required: bool = True


def findings(home: Path | None = None) -> list[ProbeFinding]:
    """Check every need of the driver now and return the findings; the disk only where ``home`` is given, and
    nothing else on a system whose files the other checks cannot read.
    """
    system = _probe_system()
    if not system.holds:
        return [system]
    found = [system, *(probe() for probe in _PROBES)]
    return found if home is None else [*found, probe_disk(home)]


def require_all(home: Path | None = None) -> None:
    """Raise for the first need that does not hold."""
    for finding in findings(home):
        if finding.required and not finding.holds:
            code = "C2D-DISK-FULL" if finding.id == "disk" else "C2D-MACHINE-LACKS"
            raise EnvironmentProblem(code, finding.evidence, finding.fix, finding=finding.id)


def _probe_system() -> ProbeFinding:
    """Check for Linux. The other checks read Linux's files and are only meant for it."""
    evidence = f"{platform.system()} {platform.release()} on {platform.machine()}"
    return ProbeFinding(
        "linux", platform.system() == "Linux", evidence, "The native cluster needs Linux; use kind."
    )


def _file_system(name: str, module: str) -> Callable[[], ProbeFinding]:
    """Return a check for a file system that is in the kernel, or can be loaded when it is first mounted."""

    def probe() -> ProbeFinding:
        known = [line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines()]
        holds = name in known or _module_exists(module)
        evidence = f"the kernel {'has' if holds else 'lacks'} the file system {name}"
        return ProbeFinding(f"kernel.{name}", holds, evidence, "" if holds else f"Load it: modprobe {module}")

    return probe


def _feature_probe(name: str, module: str, why: str) -> Callable[[], ProbeFinding]:
    """Return a check for a kernel feature. It counts as there where its module can be loaded: the kernel does
    that itself on first use.
    """

    def probe() -> ProbeFinding:
        holds = _built_in(module) or Path("/sys/module", module).exists() or _module_exists(module)
        evidence = f"the kernel {'has' if holds else 'lacks'} {name} ({why})"
        return ProbeFinding(f"kernel.{name}", holds, evidence, "" if holds else f"Load it: modprobe {module}")

    return probe


def _built_in(module: str) -> bool:
    """Return whether the module is built into the kernel: from modules.builtin where it is installed, else
    from the running kernel's own configuration.
    """
    listing = Path("/lib/modules", platform.release(), "modules.builtin")
    try:
        if any(Path(line).name == f"{module}.ko" for line in listing.read_text().splitlines()):
            return True
    except OSError:
        pass
    # Names in the kernel's configuration, for machines whose /lib/modules is not installed, as in containers.
    option = {"veth": "VETH", "bridge": "BRIDGE", "nf_tables": "NF_TABLES", "loop": "BLK_DEV_LOOP"}.get(
        module
    )
    return option is not None and f"CONFIG_{option}=y" in _kernel_configuration()


def _kernel_configuration() -> set[str]:
    """Return the lines of the running kernel's configuration; empty where it keeps none."""
    import gzip

    try:
        return set(gzip.decompress(Path("/proc/config.gz").read_bytes()).decode().splitlines())
    except OSError:
        pass
    try:
        return set(Path(f"/boot/config-{platform.release()}").read_text().splitlines())
    except OSError:
        return set()


def _module_exists(module: str) -> bool:
    """Return whether the module is on the disk, compressed or not."""
    index = Path("/lib/modules", platform.release(), "modules.dep")
    try:
        return any(line.split(":")[0].split("/")[-1].startswith(f"{module}.ko") for line in index.open())
    except OSError:
        return False


def _probe_namespaces() -> ProbeFinding:
    """Check for the namespaces that the box lives in and that job pods get."""
    missing = [kind for kind in ("mnt", "net", "pid", "user") if not Path("/proc/self/ns", kind).exists()]
    evidence = f"namespaces missing: {', '.join(missing)}" if missing else "mount, network, process, user"
    return ProbeFinding(
        "kernel.namespaces", not missing, evidence, "Use a kernel with namespaces." if missing else ""
    )


def _user_namespaces() -> ProbeFinding:
    """Check that user namespaces may be made."""
    path = Path("/proc/sys/user/max_user_namespaces")
    # Job pods have user namespaces of their own (hostUsers: false). Zero is how distributions switch them
    # off.
    count = int(path.read_text()) if path.exists() else 0
    fix = "" if count else "Allow them: sysctl user.max_user_namespaces=10000"
    return ProbeFinding("kernel.user-namespaces", count > 0, f"at most {count} user namespaces", fix)


def _control_groups() -> ProbeFinding:
    """Check for control groups of either version."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    kinds = {line.split()[2] for line in mounts}
    version = "v1" if "cgroup" in kinds else "v2" if "cgroup2" in kinds else "none"
    fix = "" if version != "none" else "Mount them: mount -t cgroup2 none /sys/fs/cgroup"
    return ProbeFinding("kernel.cgroups", version != "none", f"control groups: {version}", fix)


def _program_probe(name: str, package: str) -> Callable[[], ProbeFinding]:
    """Return a check for a program, by the Debian package that has it."""

    def probe() -> ProbeFinding:
        path = shutil.which(name, path=SEARCH)
        evidence = f"{name}: {path or 'not found'}"
        return ProbeFinding(
            f"program.{name}", path is not None, evidence, "" if path else f"Install {package}."
        )

    return probe


def probe_disk(home: Path) -> ProbeFinding:
    """Check for free space where ``home`` is or will be."""
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    evidence = f"{free / 2**30:.1f} GiB free at {place}"
    fix = (
        "" if free >= LEAST_FREE else f"Free at least {LEAST_FREE >> 30} GiB there, or choose another --home."
    )
    return ProbeFinding("disk", free >= LEAST_FREE, evidence, fix)


_PROBES: tuple[Callable[[], ProbeFinding], ...] = (
    _probe_namespaces,
    _user_namespaces,
    _control_groups,
    _file_system("overlay", "overlay"),
    _feature_probe("veth", "veth", "links of pods"),
    _feature_probe("bridge", "bridge", "networks of pods"),
    _feature_probe("nf_tables", "nf_tables", "services and isolation"),
    _feature_probe("loop", "loop", "volumes with a size limit"),
    _program_probe("ip", "iproute2"),
    _program_probe("nft", "nftables"),
)
