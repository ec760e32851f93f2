"""Recipes of the parts compiled from source: the programs of a native node, and the clients of any cluster.

Estimates are for two cores and empty caches; a machine that built a part once uses its own times.
"""

from __future__ import annotations

from sandbox.bundle.parts.c_programs import CProgram
from sandbox.bundle.parts.go_licenses import GoLicenses, linked_programs
from sandbox.bundle.parts.go_programs import GoPrograms
from sandbox.bundle.parts.recipe import Recipe

KUBERNETES = "v1.34.4"
KUBERNETES_PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
)
"""Names under which the one binary ``kube`` is started; it acts as the program it is called as
(docs/adr/0002).
"""
# Go import paths; a major version above 1 is part of the path.
_CONTAINERD = "github.com/containerd/containerd/v2"
_CNI = "github.com/containernetworking/plugins"

GATE = CProgram(name="gate", version="1", seconds=1, mib=1, source="c2d_box/pods/gate/gate.c")

GO_PROGRAMS = (
    GoPrograms(
        name="kube",
        version=KUBERNETES,
        seconds=400,
        mib=3500,
        programs=(("kube", "."),),
        # The components report this version, and kubeadm derives from it which images it asks for; unset,
        # they report v0.0.0.
        ldflags=f"-X k8s.io/component-base/version.gitVersion={KUBERNETES}",
        links=tuple((program, "kube") for program in KUBERNETES_PROGRAMS),
    ),
    GoPrograms(
        name="containerd",
        version="2.1.5",
        seconds=60,
        mib=600,
        programs=tuple(
            (program, f"{_CONTAINERD}/cmd/{program}")
            for program in ("containerd", "containerd-shim-runc-v2", "ctr")
        ),
        # Snapshotters of file systems that no box uses; without them containerd needs no C headers.
        tags="no_btrfs no_devmapper no_zfs no_aufs",
        ldflags=f"-X {_CONTAINERD}/version.Version=2.1.5",
    ),
    GoPrograms(
        name="runc",
        version="1.3.3",
        seconds=20,
        mib=150,
        programs=(("runc", "github.com/opencontainers/runc"),),
        # Statically linked, because it runs on any node. netgo and osusergo replace the resolver and the
        # account look-up of glibc, which do not work in a static program.
        tags="seccomp netgo osusergo",
        ldflags="-X main.version=1.3.3 -extldflags -static",
        # runc enters namespaces in C before the Go runtime starts, and libseccomp is a C library.
        cgo=True,
        debian=("cc", "seccomp"),
    ),
    GoPrograms(
        name="cni",
        version="1.9.1",
        seconds=15,
        mib=150,
        programs=tuple(
            # A folder of their own: the kubelet and containerd take a folder of plugins as a setting.
            (f"cni/{package.rpartition('/')[2]}", f"{_CNI}/plugins/{package}")
            for package in (
                "main/bridge",
                "main/loopback",
                "main/ptp",
                "ipam/host-local",
                "meta/portmap",
                "meta/firewall",
            )
        ),
        ldflags=f"-X {_CNI}/pkg/utils/buildversion.BuildVersion=v1.9.1",
    ),
    GoPrograms(name="coredns", version="1.15.0", seconds=60, mib=500, programs=(("coredns", "."),)),
    GoPrograms(
        name="versitygw",
        version="1.8.0",
        seconds=60,
        mib=500,
        programs=(("versitygw", "github.com/versity/versitygw/cmd/versitygw"),),
        ldflags="-X main.Version=v1.8.0",
    ),
    GoPrograms(
        name="helm",
        version="3.22.0",
        seconds=60,
        mib=500,
        programs=(("helm", "helm.sh/helm/v3/cmd/helm"),),
        ldflags="-X helm.sh/helm/v3/internal/version.version=v3.22.0",
    ),
    GoPrograms(
        name="kubo",
        version="0.42.0",
        seconds=180,
        mib=900,
        programs=(("kubo", "github.com/ipfs/kubo/cmd/ipfs"),),
    ),
    GoPrograms(name="forwarder", version="1", seconds=5, mib=20, programs=(("forwarder", "."),)),
)

PROGRAMS: tuple[Recipe, ...] = (
    *GO_PROGRAMS,
    GATE,
    CProgram(name="pause", version="1", seconds=1, mib=1, source="sandbox/bundle/recipes/c/pause.c"),
    # After the programs: the toolchain has their modules in its cache then.
    GoLicenses(
        name="go-licenses",
        version="1",
        seconds=10,
        mib=10,
        needs=tuple(recipe.name for recipe in GO_PROGRAMS),
        programs=linked_programs(GO_PROGRAMS),
    ),
)
