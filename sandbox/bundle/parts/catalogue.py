"""Lists every part of a bundle, in the order in which builds are best started.

Estimates are for two cores and empty caches; a machine that built a part once uses its own times.
"""

from __future__ import annotations

from collections.abc import Iterable

from c2d_box.errors import UsageError
from sandbox.bundle.oci.image_archives import ImageSettings
from sandbox.bundle.parts import programs
from sandbox.bundle.parts.debian_layers import DebianFile, RootFilesystem
from sandbox.bundle.parts.go_programs import GoPrograms
from sandbox.bundle.parts.image_recipes import CodeLayer, FileLayer, ImageRecipe, PartLayer
from sandbox.bundle.parts.kind_node_image import MachineRoot, NodeImage
from sandbox.bundle.parts.recipe import Recipe
from sandbox.bundle.parts.wheel_layers import WheelLayer

SERVICE_USER = "65532:65532"
"""User and group of the services' images; the chart's pods (``charts/c2d/templates/_pods.tpl``) run as the
same.
"""
JOB_USER = "10003:10000"
"""User and group of the algorithm images: those of :data:`c2d_box.workflow.names.UID_ALGORITHM`."""
_PATH = ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
_ALGORITHM_ENV = (_PATH, ("HOME", "/tmp"), ("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8"))


# Versions of these are constants where the inputs are files: the content of a lock, or of our own modules, is
# in the key by itself.
LAYERS: tuple[Recipe, ...] = (
    RootFilesystem(
        name="base",
        version="bookworm",
        seconds=45,
        mib=400,
        packages=(
            "python3",
            "ca-certificates",
            "tzdata",
            "libstdc++6",
            "usr-is-merged",
            "e2fsprogs",
            "mount",
        ),
    ),
    WheelLayer(
        name="runtime-packages",
        version="1",
        seconds=40,
        mib=500,
        needs=("base",),
        base="base",
        lock="runtime.lock",
        inside="opt/c2d/lib",
    ),
    WheelLayer(
        # An older release of Ocean's contracts, the last with pools, beside the current one. Its folder is
        # not on the Python path: the two packages have the same name.
        name="pool-contracts",
        version="1",
        seconds=5,
        mib=20,
        needs=("base",),
        base="base",
        lock="pool-contracts.lock",
        inside="opt/c2d/pools",
    ),
    CodeLayer(
        name="runtime-code",
        version="1",
        seconds=4,
        mib=20,
        needs=("base",),
        base="base",
        inside="opt/c2d/app",
    ),
    WheelLayer(
        name="science-packages",
        version="1",
        seconds=60,
        mib=1200,
        needs=("base",),
        base="base",
        lock="algo-python.lock",
        inside="usr/local/lib/python3.11/dist-packages",
    ),
    RootFilesystem(
        name="postgres-root",
        version="bookworm",
        seconds=60,
        mib=700,
        packages=("postgresql-15", "usr-is-merged"),
        prepare="postgres.sh",
    ),
    RootFilesystem(
        name="node-root",
        version="bookworm",
        seconds=60,
        mib=600,
        packages=("nodejs", "ca-certificates", "usr-is-merged"),
    ),
    DebianFile(
        name="busybox",
        version="bookworm",
        seconds=15,
        mib=100,
        package="busybox-static",
        paths=("./usr/bin/busybox", "./bin/busybox"),
    ),
)

_APPLETS = (
    "awk base64 basename cat chmod cp cut date dd df dirname du echo env expr false find grep head hostname "
    "id kill ln ls mkdir mktemp mv nc od printf ps pwd readlink realpath rm rmdir sed seq sh sha256sum sleep "
    "sort stat sync tail tar tee test touch tr true uname uniq vi wc wget xargs"
)
# Static busybox instead of a Debian root: the images of single Go programs stay small.
_USERLAND = FileLayer(
    programs=(("bin/busybox", "busybox", "busybox"),),
    links=tuple((f"bin/{applet}", "busybox") for applet in _APPLETS.split()),
    texts=(
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\nc2d:x:65532:65532::/tmp:/bin/sh\n"),
        ("etc/group", "root:x:0:\nc2d:x:65532:\n"),
        # Services find each other by the hosts file, so it comes before DNS.
        ("etc/nsswitch.conf", "hosts: files dns\n"),
    ),
    folders=(("tmp", 0o1777), ("var/lib/c2d", 0o755), ("etc/c2d", 0o755)),
)

IMAGES: tuple[ImageRecipe, ...] = (
    ImageRecipe(
        name="pause-image",
        version="1",
        seconds=1,
        mib=1,
        needs=("pause",),
        layers=(FileLayer(programs=(("pause", "pause", "pause"),)),),
        # The user that Kubernetes' own pause image runs as.
        settings=ImageSettings(user="65535:65535", entrypoint=("/pause",), env=(_PATH,)),
    ),
    ImageRecipe(
        name="runtime-image",
        version="1",
        seconds=5,
        mib=400,
        needs=("base", "runtime-packages", "pool-contracts", programs.GATE.name, "runtime-code"),
        layers=(
            PartLayer("base"),
            PartLayer("runtime-packages"),
            PartLayer("pool-contracts"),
            FileLayer(
                programs=((f"opt/c2d/bin/{programs.GATE.name}", programs.GATE.name, programs.GATE.name),)
            ),
            # Last: an edit of our code rewrites this layer, and the ones below stay shared.
            PartLayer("runtime-code"),
        ),
        settings=ImageSettings(
            user=SERVICE_USER,
            entrypoint=("python3", "-m"),
            env=(
                *_ALGORITHM_ENV,
                ("PYTHONPATH", "/opt/c2d/app:/opt/c2d/lib"),
                ("PYTHONUNBUFFERED", "1"),
                # The layers bring their byte code, and the root file system is read-only.
                ("PYTHONDONTWRITEBYTECODE", "1"),
            ),
        ),
    ),
    ImageRecipe(
        name="postgres-image",
        version="15",
        seconds=5,
        mib=300,
        needs=("postgres-root",),
        layers=(
            PartLayer("postgres-root"),
            FileLayer(scripts=(("opt/c2d/bin/postgres-start", "postgres-start.sh"),)),
        ),
        settings=ImageSettings(
            user=SERVICE_USER,
            entrypoint=("/opt/c2d/bin/postgres-start",),
            env=(
                ("PATH", "/usr/lib/postgresql/15/bin:" + _PATH[1]),
                ("LANG", "C.UTF-8"),
                ("PGDATA", "/var/lib/c2d/postgres"),
                ("PGHOST", "/var/lib/c2d/postgres"),
                ("PGUSER", "c2d"),
                ("PGDATABASE", "c2d"),
                ("POSTGRES_USER", "c2d"),
                ("POSTGRES_DB", "c2d"),
                ("POSTGRES_PASSWORD_FILE", "/etc/c2d/secrets/postgres-password"),
            ),
        ),
    ),
    ImageRecipe(
        name="kubo-image",
        version="0.42.0",
        seconds=2,
        mib=100,
        needs=("busybox", "kubo"),
        layers=(_USERLAND, FileLayer(programs=(("usr/local/bin/ipfs", "kubo", "kubo"),))),
        settings=ImageSettings(
            user=SERVICE_USER,
            entrypoint=("ipfs",),
            command=("daemon",),
            env=(_PATH, ("HOME", "/tmp"), ("IPFS_PATH", "/var/lib/c2d/ipfs")),
        ),
    ),
    ImageRecipe(
        name="s3-image",
        version="1.8.0",
        seconds=2,
        mib=100,
        needs=("busybox", "versitygw"),
        layers=(_USERLAND, FileLayer(programs=(("usr/local/bin/versitygw", "versitygw", "versitygw"),))),
        settings=ImageSettings(user=SERVICE_USER, entrypoint=("versitygw",), env=(_PATH, ("HOME", "/tmp"))),
    ),
    ImageRecipe(
        name="algo-python-image",
        version="1",
        seconds=5,
        mib=600,
        needs=("base", "science-packages"),
        layers=(PartLayer("base"), PartLayer("science-packages")),
        settings=ImageSettings(
            user=JOB_USER,
            command=("python3",),
            # matplotlib without a display writes to a file, and keeps its cache in the one folder it may
            # write.
            env=(*_ALGORITHM_ENV, ("PYTHONUNBUFFERED", "1"), ("MPLBACKEND", "Agg"), ("MPLCONFIGDIR", "/tmp")),
        ),
    ),
    ImageRecipe(
        name="algo-node-image",
        version="1",
        seconds=3,
        mib=300,
        needs=("node-root",),
        layers=(PartLayer("node-root"),),
        settings=ImageSettings(user=JOB_USER, command=("node",), env=_ALGORITHM_ENV),
    ),
)

OPTIONAL: tuple[Recipe, ...] = (
    GoPrograms(
        name="kind",
        version="0.33.0",
        seconds=30,
        mib=200,
        programs=(("kind", "sigs.k8s.io/kind"),),
    ),
    GoPrograms(
        name="k3d",
        version="5.8.3",
        seconds=40,
        mib=300,
        programs=(("k3d", "github.com/k3d-io/k3d/v5"),),
        # The second value is the image of k3s that k3d starts when none is named.
        ldflags="-X github.com/k3d-io/k3d/v5/version.Version=v5.8.3 "
        "-X github.com/k3d-io/k3d/v5/version.K3sVersion=v1.34.4-k3s1",
    ),
    MachineRoot(
        name="machine-root",
        version="bookworm",
        seconds=60,
        mib=500,
        packages=(
            # What systemd, the kubelet and kube-proxy call on a node.
            *("systemd", "iptables", "nftables", "conntrack", "iproute2", "ethtool", "util-linux", "mount"),
            *("kmod", "procps", "e2fsprogs", "bash", "ca-certificates", "mawk", "usr-is-merged"),
        ),
        complete="complete.sh",
    ),
    RootFilesystem(
        name="proxy-root",
        version="bookworm",
        seconds=40,
        mib=300,
        packages=("iptables", "nftables", "conntrack", "kmod", "ca-certificates", "usr-is-merged"),
    ),
    NodeImage(
        name="node-image",
        version=programs.KUBERNETES,
        kubernetes=programs.KUBERNETES,
        seconds=40,
        mib=2500,
        needs=(*("machine-root", "proxy-root", "kube", "containerd", "runc", "cni", "coredns", "pause"),),
    ),
)
"""Parts made only when they are asked for, or when the chosen cluster needs them."""

CATALOGUE: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (*programs.PROGRAMS, *LAYERS, *IMAGES, *OPTIONAL)
}


def chosen_recipes(parts: Iterable[str] | None) -> list[Recipe]:
    """Return the recipes of the named parts and of everything they are made from, in the catalogue's order;
    for None all but the optional ones.
    """
    # None means the usual bundle; an optional part has to be named.
    usual = [name for name, recipe in CATALOGUE.items() if recipe not in OPTIONAL]
    wanted = {part_named(name) for name in (usual if parts is None else parts)}
    if unknown := wanted - set(CATALOGUE):
        raise UsageError(
            "C2D-BUNDLE-PART",
            f"The bundle has no part {', '.join(sorted(unknown))}.",
            f"It has: {', '.join(CATALOGUE)}.",
        )
    # Follow `needs` to the end: a part may be made from parts that are made from others.
    waiting = list(wanted)
    while waiting:
        for need in CATALOGUE[waiting.pop()].needs:
            if need not in wanted:
                wanted.add(need)
                waiting.append(need)
    return [recipe for name, recipe in CATALOGUE.items() if name in wanted]


def is_product(recipe: Recipe) -> bool:
    """Return whether a box runs this part, rather than only another part being made from it."""
    # Kind and k3d are GoPrograms among the optional parts: run on the machine, so products too.
    return recipe in (*programs.PROGRAMS, *IMAGES) or isinstance(recipe, GoPrograms | NodeImage)


def part_named(name: str) -> str:
    """Return the part that a user's name means: ``runtime`` is the image of that name, where no program is
    called so.
    """
    image = f"{name}-image"
    return image if name not in CATALOGUE and image in CATALOGUE else name


def content_keys(recipes: Iterable[Recipe], architecture: str) -> dict[str, str]:
    """Return the content address of each part; ``recipes`` must include the parts that they are made from."""
    by_name = {recipe.name: recipe for recipe in recipes}
    found: dict[str, str] = {}

    # A key contains the keys below it, so a changed input gives new keys all the way up.
    def key(name: str) -> str:
        if name not in found:
            recipe = by_name[name]
            found[name] = recipe.content_key(architecture, {need: key(need) for need in recipe.needs})
        return found[name]

    # Each key is computed once, although several images share a layer.
    return {name: key(name) for name in by_name}
