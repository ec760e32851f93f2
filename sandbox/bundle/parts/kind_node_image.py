"""Assembles kind's node image from the bundle, for machines that cannot pull kind's own.

One image serves as every control-plane component: kubeadm's static pods name their programs, and one binary
acts as all of them. These images lie unpacked in the node's containerd, so that no cluster waits for an
import. ``docker load`` of older engines knows no OCI layout, so the archive carries both descriptions of its
layers.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2d_box.errors import EnvironmentProblem, Failed
from sandbox.bundle.cache import CachedPart
from sandbox.bundle.oci import deterministic_tar, image_archives
from sandbox.bundle.parts.debian_layers import RootFilesystem
from sandbox.bundle.parts.image_recipes import CREATED, REGISTRY
from sandbox.bundle.parts.recipe import RECIPES, BuildContext, Recipe, files_below

FILES = RECIPES / "node" / "files"
STOP_SIGNAL = "SIGRTMIN+3"
"""The signal on which systemd ends."""
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd")
"""Programs of the control plane; kubeadm asks for an image of each, and one image serves as all."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Search path inside the node and in the control plane's images."""
CONTAINERD_PATIENCE = 20.0
"""Seconds for the separate containerd to answer."""


@dataclass(frozen=True, kw_only=True)
class MachineRoot(RootFilesystem):
    """The recipe of a root file system with an init system, without what a container does not use."""

    complete: str
    """Script in ``recipes/node`` run with the root's path after packages are configured."""

    def input_files(self) -> Iterator[tuple[str, Path]]:
        yield from super().input_files()
        yield self.complete, RECIPES / "node" / self.complete

    def customize_hooks(self) -> list[str]:
        script = (RECIPES / "node" / self.complete).read_text("utf-8")
        return [*super().customize_hooks(), f"--customize-hook={script}"]


@dataclass(frozen=True, slots=True)
class NodeSettings(image_archives.ImageSettings):
    """Settings of a container whose init ends on a stop signal of its own."""

    def as_config(self) -> dict[str, Any]:
        # Not super(): with slots the decorator makes a new class, and super() without arguments breaks.
        return {**image_archives.ImageSettings.as_config(self), "StopSignal": STOP_SIGNAL}


@dataclass(frozen=True, kw_only=True)
class NodeImage(Recipe):
    """The recipe of ``image.tar``, the image that ``kind create cluster --image`` runs."""

    kubernetes: str
    """Version with the leading v, which kind reads from the image's ``/kind/version``."""
    debian: tuple[str, ...] = ()

    @property
    def image_reference(self) -> str:
        """Return the name for ``kind create cluster --image``; the tag is the version of Kubernetes."""
        return f"{REGISTRY}/node:{self.kubernetes}"

    def input_files(self) -> Iterator[tuple[str, Path]]:
        yield from files_below(FILES, "node/")

    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        if os.geteuid() != 0:
            raise EnvironmentProblem(
                "C2D-BUNDLE-ROOT",
                "Assembling a node image unpacks images as containerd does, which only root may.",
                "Run `sudo c2d-box bundle build --node-image`, or let kind pull its own node image.",
            )
        files = bench.scratch / "files.tar"
        deterministic_tar.write_layer(files, [*_node_files(self.kubernetes), *_node_programs(bench)])
        # The preloaded images come last: they depend on the programs of the layers below.
        layers = [
            _layer_blob(bench.needs["machine-root"]),
            image_archives.Blob.of_file(image_archives.LAYER, files),
            image_archives.Blob.of_file(image_archives.LAYER, _preload_images(bench, self.kubernetes)),
        ]
        # systemd looks at the variable `container` to learn that it runs in a container.
        settings = NodeSettings(
            user="0",
            # kind passes no command: the entrypoint prepares the node and starts init in its place.
            entrypoint=("/usr/local/bin/entrypoint", "/sbin/init"),
            env=(("PATH", PATH), ("container", "docker")),
        )
        target = bench.out / "image.tar"
        digest = image_archives.write_image(
            target,
            name=self.image_reference,
            architecture=bench.architecture,
            layers=layers,
            settings=settings,
            created=CREATED,
        )
        return {
            "reference": self.image_reference,
            "digest": digest,
            "id": _describe_for_docker(target, self.image_reference),
        }


def _layer_blob(entry: CachedPart) -> image_archives.Blob:
    """Return the layer of a finished part, with the hash that its manifest records."""
    path = entry.file_path("layer.tar")
    return image_archives.Blob(
        image_archives.LAYER, entry.file_sha256("layer.tar"), path.stat().st_size, path=path
    )


def _node_files(kubernetes: str) -> list[deterministic_tar.TarNode]:
    """Return the files of ``recipes/node/files``, the version that kind reads, and the enabled units."""
    units = "etc/systemd/system"
    return [
        *deterministic_tar.nodes_below(FILES, ""),
        # kind reads this file to know which configuration of kubeadm to write.
        deterministic_tar.TarNode("kind/version", text=f"{kubernetes}\n".encode()),
        *(
            deterministic_tar.TarNode(
                f"{units}/multi-user.target.wants/{unit}.service", link=f"/{units}/{unit}.service"
            )
            for unit in ("containerd", "kubelet")
        ),
    ]


def _node_programs(bench: BuildContext) -> list[deterministic_tar.TarNode]:
    """Return the programs of the node as files and links of the image. The bridge plugin is not among them:
    an algorithm's pod has no link at all on kind (docs/adr/0005).
    """

    def program(path: str, part: str, file: str) -> deterministic_tar.TarNode:
        return deterministic_tar.TarNode(path, file=bench.needs[part].file_path(file), mode=0o755)

    return [
        deterministic_tar.TarNode(
            "usr/local/bin/entrypoint", file=FILES / "usr/local/bin/entrypoint", mode=0o755
        ),
        program("usr/local/bin/kube", "kube", "kube"),
        *(
            deterministic_tar.TarNode(f"usr/bin/{name}", link="/usr/local/bin/kube")
            for name in ("kubelet", "kubeadm", "kubectl")
        ),
        *(
            program(f"usr/local/bin/{name}", "containerd", name)
            for name in ("containerd", "containerd-shim-runc-v2", "ctr")
        ),
        program("usr/local/sbin/runc", "runc", "runc"),
        *(
            program(f"opt/cni/bin/{name}", "cni", f"cni/{name}")
            for name in ("host-local", "loopback", "portmap", "ptp")
        ),
    ]


def _describe_for_docker(archive: Path, reference: str) -> str:
    """Add the description that ``docker load`` reads; return the image's id (its configuration's hash)."""
    with tarfile.open(archive) as tar:
        index = json.load(_member_stream(tar, "index.json"))
        manifest = json.load(_member_stream(tar, _blob_path(index["manifests"][0])))
    # The layout of `docker save`; Config and Layers may name the blobs of the OCI layout.
    document = [
        {
            "Config": _blob_path(manifest["config"]),
            "RepoTags": [reference],
            "Layers": [_blob_path(layer) for layer in manifest["layers"]],
        }
    ]
    data = json.dumps(document).encode()
    header = tarfile.TarInfo("manifest.json")
    header.size, header.mode = len(data), 0o644
    # Appended, so that none of the blobs has to be written again.
    with tarfile.open(archive, "a", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(header, io.BytesIO(data))
    return str(manifest["config"]["digest"])


def _member_stream(tar: tarfile.TarFile, name: str) -> Any:
    """Return a member's content as a stream; the archives read here were just written by this process."""
    stream = tar.extractfile(name)
    assert stream is not None
    return stream


def _blob_path(descriptor: dict[str, Any]) -> str:
    """Return the archive member that holds a descriptor's blob."""
    return f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"


# -- the control plane's images, unpacked ------------------------------------------------------------------


def _preload_images(bench: BuildContext, kubernetes: str) -> Path:
    """Return a layer with containerd's own folder, in which the images kubeadm asks for are unpacked. A node
    that had to import them would take that time at each start of a cluster.
    """
    root, names = bench.scratch / "containerd", _kubeadm_images(bench, kubernetes)
    # containerd unpacks by itself what it imports: its database and its snapshots then fit together, which no
    # tar written by hand could promise.
    with _run_containerd(bench, root) as ctr:
        for kind, references in names.items():
            archive = _write_image(bench, kind, references[0])
            # The compressed originals are dropped: the unpacked snapshots are all that a node runs.
            ctr("import", "--local", "--discard-unpacked-layers", str(archive))
            for reference in references[1:]:
                # The other names are tags of the same image and take no room.
                ctr("tag", references[0], reference)
    target = bench.scratch / "preloaded.tar"
    bench.commands.run_command(
        [
            # GNU tar, because containerd's folders have extended attributes and numeric owners.
            *("tar", "--create", "--file", target, "--directory", root, "--xattrs", "--numeric-owner"),
            *("--sort=name", "--transform", "s,^\\.,var/lib/containerd,", "."),
        ]
    )
    return target


def _kubeadm_images(bench: BuildContext, kubernetes: str) -> dict[str, list[str]]:
    """Return the names ``kubeadm init`` will look for, by the image of ours that is used under them."""
    kubeadm = bench.needs["kube"].file_path("kubeadm")
    # kubeadm itself is asked: a list kept by hand would miss what the next version adds.
    listed = subprocess.run(
        [kubeadm, "config", "images", "list", "--kubernetes-version", kubernetes],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    found: dict[str, list[str]] = {"control-plane": [], "coredns": [], "pause": []}
    for reference in listed:
        program = reference.rpartition("/")[2].partition(":")[0]
        found["control-plane" if program in COMPONENTS else program].append(reference)
    return found


def _write_image(bench: BuildContext, kind: str, reference: str) -> Path:
    """Write one of the control plane's images under ``reference``; return its archive."""
    layers: list[image_archives.Blob] = []
    nodes: list[deterministic_tar.TarNode] = []
    entrypoint: tuple[str, ...] = ()
    if kind == "control-plane":
        # kube-proxy runs iptables and conntrack, so the shared image has their root file system.
        layers.append(_layer_blob(bench.needs["proxy-root"]))
        nodes.append(
            deterministic_tar.TarNode(
                "usr/local/bin/kube", file=bench.needs["kube"].file_path("kube"), mode=0o755
            )
        )
        nodes += [deterministic_tar.TarNode(f"usr/local/bin/{name}", link="kube") for name in COMPONENTS]
    else:
        # coredns and pause are static: an image with the one file is enough.
        nodes.append(deterministic_tar.TarNode(kind, file=bench.needs[kind].file_path(kind), mode=0o755))
        entrypoint = (f"/{kind}",)
    layer = bench.scratch / f"{kind}.layer"
    deterministic_tar.write_layer(layer, nodes)
    layers.append(image_archives.Blob.of_file(image_archives.LAYER, layer))
    target = bench.scratch / f"{kind}.tar"
    settings = image_archives.ImageSettings(user="0", entrypoint=entrypoint, env=(("PATH", PATH),))
    image_archives.write_image(
        target,
        name=reference,
        architecture=bench.architecture,
        layers=layers,
        settings=settings,
        created=CREATED,
    )
    return target


@contextlib.contextmanager
def _run_containerd(bench: BuildContext, root: Path) -> Iterator[Any]:
    """Run a separate containerd over ``root`` for as long as the block lasts."""
    # Short names: the path of a Unix socket ends at 107 bytes.
    state = bench.scratch / "s"
    configuration = bench.scratch / "containerd.toml"
    configuration.write_text(
        f'version = 3\nroot = "{root}"\nstate = "{state}"\n'
        'disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.grpc.v1.cri", '
        '"io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri", '
        '"io.containerd.snapshotter.v1.native", "io.containerd.snapshotter.v1.blockfile", '
        '"io.containerd.snapshotter.v1.erofs"]\n'
        f'[grpc]\n  address = "{state}/c.sock"\n[ttrpc]\n  address = "{state}/t.sock"\n'
    )
    programs = bench.needs["containerd"]
    with bench.commands.log.open("ab") as log:
        daemon = subprocess.Popen(
            [programs.file_path("containerd"), "--config", configuration], stdout=log, stderr=log
        )
    command: list[str | Path] = [
        programs.file_path("ctr"),
        "--address",
        f"{state}/c.sock",
        "--namespace",
        # The namespace that the kubelet's images are in; images of another one are invisible to it.
        "k8s.io",
    ]
    try:
        _await_containerd(lambda: _command_succeeds([*command, "version"]), daemon)
        yield lambda *words: bench.commands.run_command([*command, "images", *words])
    finally:
        # It must have ended before its folder is packed: the database is complete on disk only then.
        daemon.terminate()
        daemon.wait()


def _command_succeeds(command: list[str | Path]) -> bool:
    """Return whether a command ends with 0; what it prints is dropped."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _await_containerd(question: Any, daemon: subprocess.Popen[bytes]) -> None:
    """Wait until ``question`` returns True; raise where the daemon ends or takes too long."""
    end = time.monotonic() + CONTAINERD_PATIENCE
    while not question():
        if daemon.poll() is not None or time.monotonic() > end:
            raise Failed(
                "C2D-BUNDLE-BUILD",
                "containerd did not start for the node image.",
                "Its words are in the log of the part node-image: `c2d-box bundle list` names the folder.",
            )
        time.sleep(0.1)
