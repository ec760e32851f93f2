"""Lists every finding the doctor can bring: its meaning and the usual fix. ``docs/doctor.md`` is made from
it.

python -m sandbox.doctor.catalogue > docs/doctor.md
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownFinding:
    """One row of the docs. A test compares the ids with those that occur in the checks, and provokes each."""

    id: str
    means: str
    then: str
    """Usual fix; the finding on a machine may have a more exact one."""


# Sorted by id. Ids are stable, because scripts may look for them.
KNOWN: tuple[KnownFinding, ...] = (
    KnownFinding(
        "C2D-DOC-BUNDLE", "The bundle is incomplete, of another version, or damaged.", "c2d-box bundle build"
    ),
    KnownFinding(
        "C2D-DOC-CACHE-DISK", "Little room where the bundle is built.", "free some, or set C2D_BOX_CACHE"
    ),
    KnownFinding("C2D-DOC-CHECK", "A check itself broke.", "report it"),
    KnownFinding("C2D-DOC-DISK", "Little room where the box lives.", "free some, or choose another --home"),
    KnownFinding(
        "C2D-DOC-DISTRIBUTION", "Not Debian or Ubuntu: nothing can be built here.", "c2d-box bundle load FILE"
    ),
    KnownFinding("C2D-DOC-DOCKER", "No Docker engine answers.", "start Docker, or use the native cluster"),
    KnownFinding(
        "C2D-DOC-DOCKER-CGROUP",
        "Docker runs on control groups version 1.",
        "boot with version 2, or keep 1.34",
    ),
    KnownFinding(
        "C2D-DOC-DOCKER-DESKTOP",
        "Docker Desktop does not show containers the bundle's folder.",
        "share the folder, or set C2D_BOX_CACHE",
    ),
    KnownFinding("C2D-DOC-DOCKER-DISK", "Little room where Docker keeps containers.", "docker system prune"),
    KnownFinding(
        "C2D-DOC-DOCKER-LEFTOVERS", "Containers of a box whose home is gone.", "c2d-box doctor --fix"
    ),
    KnownFinding("C2D-DOC-DOCKER-MEMORY", "Docker has too little memory for a box.", "give it 3 GiB or more"),
    KnownFinding("C2D-DOC-DOCKER-OLD", "The engine is older than kind needs.", "update Docker"),
    KnownFinding(
        "C2D-DOC-DOCKER-PERMISSION", "You may not use the engine's socket.", "join the group docker"
    ),
    KnownFinding(
        "C2D-DOC-EXISTING", "The cluster named does not answer, or not us.", "kubectl get --raw /readyz"
    ),
    KnownFinding(
        "C2D-DOC-EXISTING-REGISTRY", "The registry named does not take images.", "docker login HOST"
    ),
    KnownFinding("C2D-DOC-HOME", "The home's path is too long for sockets.", "choose a shorter --home"),
    KnownFinding(
        "C2D-DOC-K3D", "k3d is here, and nobody has seen it hold jobs in.", "c2d-box selftest on it"
    ),
    KnownFinding("C2D-DOC-KERNEL-BRIDGE", "The kernel lacks bridges.", "modprobe bridge"),
    KnownFinding(
        "C2D-DOC-KERNEL-CGROUPS", "No control groups are mounted.", "mount -t cgroup2 none /sys/fs/cgroup"
    ),
    KnownFinding("C2D-DOC-KERNEL-LOOP", "The kernel lacks loop devices.", "modprobe loop"),
    KnownFinding("C2D-DOC-KERNEL-NAMESPACES", "The kernel lacks namespaces.", "use a kernel with them"),
    KnownFinding("C2D-DOC-KERNEL-NF_TABLES", "The kernel lacks nf_tables.", "modprobe nf_tables"),
    KnownFinding("C2D-DOC-KERNEL-OVERLAY", "The kernel lacks overlayfs.", "modprobe overlay"),
    KnownFinding(
        "C2D-DOC-KERNEL-USER-NAMESPACES", "User namespaces are off.", "sysctl user.max_user_namespaces=10000"
    ),
    KnownFinding("C2D-DOC-KERNEL-VETH", "The kernel lacks veth links.", "modprobe veth"),
    KnownFinding("C2D-DOC-KIND", "Where the kind command is.", "nothing: the bundle makes one"),
    KnownFinding("C2D-DOC-LEFTOVERS", "Traces of a native box that crashed.", "c2d-box down"),
    KnownFinding("C2D-DOC-LINUX", "The native cluster needs Linux.", "use kind"),
    KnownFinding("C2D-DOC-MEMORY", "Little memory is free.", "free some"),
    KnownFinding(
        "C2D-DOC-PACKAGES",
        "Debian packages that a build needs are missing.",
        "c2d-box bundle build installs them",
    ),
    KnownFinding(
        "C2D-DOC-PORT", "A port of the box is taken.", "end its holder, or c2d-box up --port-offset 100"
    ),
    KnownFinding("C2D-DOC-PROGRAM-IP", "The program ip is missing.", "install iproute2"),
    KnownFinding("C2D-DOC-PROGRAM-NFT", "The program nft is missing.", "install nftables"),
    KnownFinding("C2D-DOC-ROOT", "Neither root nor sudo.", "run as root, or install sudo"),
    KnownFinding(
        "C2D-DOC-SEALED-KEY",
        "An asset made of results on S3 by an earlier version holds the store's root key.",
        "c2d-box reset",
    ),
    KnownFinding("C2D-DOC-WSL", "The home lies on Windows' disk.", "choose a home below ~"),
)


def docs_page() -> str:
    """Return the table as a page of the docs; a test compares it with ``docs/doctor.md``."""
    lines = [
        "# What `c2d-box doctor` can say",
        "",
        "Made from `sandbox/doctor/catalogue.py`; ids are stable.",
        "",
        "| id | means | then |",
        "|---|---|---|",
        *(f"| `{known.id}` | {known.means} | {known.then} |" for known in KNOWN),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(docs_page(), end="")
