"""Makes layers of Debian packages, verified by Debian's own signatures."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2d_box.errors import Failed
from sandbox.bundle.parts.recipe import RECIPES, SOURCE_DATE_EPOCH, BuildContext, Recipe

SUITE = "bookworm"
"""Debian 12. Its packages move on within the suite, so two builds on different days may have different
versions; the manifest lists the ones a layer has.
"""
# Documentation and translations stay out, but for copyright files: licences ask for them.
_UNPACK = [
    '--aptopt=Acquire::Retries "4"',
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "info", "locale", "lintian", "bug")),
]


@dataclass(frozen=True, kw_only=True)
class RootFilesystem(Recipe):
    """The recipe of a whole root file system as one layer: ``layer.tar``."""

    packages: tuple[str, ...]
    """Names of Debian packages, besides those that every Debian system has."""
    prepare: str = ""
    """Script in ``recipes/rootfs`` that is run with the root's path before packages are configured."""
    debian: tuple[str, ...] = ("debian-rootfs",)

    def input_files(self) -> Iterator[tuple[str, Path]]:
        for name in filter(None, (self.prepare, "finish.sh")):
            yield name, RECIPES / "rootfs" / name

    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        target = bench.out / "layer.tar"
        bench.commands.run_command(
            [
                *(
                    "mmdebstrap",
                    "--variant=essential",
                    # No device nodes: they need root to unpack, and a container gets its /dev from the
                    # runtime.
                    "--skip=output/mknod",
                    *_UNPACK,
                    *self.customize_hooks(),
                ),
                *(
                    f"--architectures={bench.architecture}",
                    f"--include={','.join(self.packages)}",
                    SUITE,
                    target,
                ),
            ],
            # mmdebstrap sets no time stamp later than this, so unchanged packages give unchanged bytes.
            env={"SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH), "LC_ALL": "C.UTF-8"},
        )
        return {"suite": SUITE, "packages": _installed_packages(target)}

    def customize_hooks(self) -> list[str]:
        """Return the hooks as text, not as paths: in a user namespace the script's folder may not be
        readable.
        """
        scripts = RECIPES / "rootfs"
        hooks = [f"--customize-hook={(scripts / 'finish.sh').read_text('utf-8')}"]
        if self.prepare:
            # An essential hook runs before the chosen packages are configured, a customize hook after them.
            hooks.insert(0, f"--essential-hook={(scripts / self.prepare).read_text('utf-8')}")
        return hooks


@dataclass(frozen=True, kw_only=True)
class DebianFile(Recipe):
    """The recipe of one file out of one package, for images that need nothing else of Debian."""

    package: str
    """Name of the Debian package that has the file."""
    paths: tuple[str, ...]
    """Paths that the file may have inside the package; the first that exists is taken."""
    debian: tuple[str, ...] = ("debian-rootfs",)

    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        archive = bench.scratch / "package.tar"
        bench.commands.run_command(
            [
                *("mmdebstrap", "--variant=extract", "--skip=output/mknod", *_UNPACK),
                *(f"--architectures={bench.architecture}", f"--include={self.package}", SUITE, archive),
            ],
            env={"SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH)},
        )
        with tarfile.open(archive) as contents:
            names = set(contents.getnames())
            # The path depends on the release: Debian moved programs from /bin to /usr/bin.
            for path in self.paths:
                if path in names and (stream := contents.extractfile(path)):
                    target = bench.out / self.name
                    target.write_bytes(stream.read())
                    target.chmod(0o755)
                    return {"suite": SUITE}
        raise Failed(
            "C2D-BUNDLE-BUILD",
            f"The Debian package {self.package} has none of {', '.join(self.paths)}.",
            "Report this with the name of your Debian mirror.",
        )


def _installed_packages(layer: Path) -> dict[str, str]:
    """Return the package versions in a root file system, so that the bundle can list what it is made of."""
    with tarfile.open(layer) as contents:
        stream = contents.extractfile("./var/lib/dpkg/status")
        if stream is None:
            return {}
        text = stream.read().decode("utf-8", "replace")
    found: dict[str, str] = {}
    name = ""
    # dpkg's status file: one paragraph per package, in which the name comes before the version.
    for line in text.splitlines():
        if line.startswith("Package: "):
            name = line[9:]
        elif line.startswith("Version: "):
            found[name] = line[9:]
    return found
