"""Images in the node's containerd: import from OCI archives, listing."""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2d_box.errors import Failed, UsageError
from sandbox.clusters.native.configuration import CONTAINERD_SOCKET
from sandbox.clusters.port import ClusterImage

NAME = "io.containerd.image.name"
SHORT_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    reference: str
    digest: str

    @property
    def by_digest(self) -> str:
        """``name@sha256:…`` for ``name:tag``."""
        head, _, last = self.reference.rpartition("/")
        return f"{head}/{last.partition(':')[0]}@{self.digest}" if head else f"{last}@{self.digest}"


def read_archive(archive: Path) -> ArchivedImage:
    """Name and manifest digest of the one image in an OCI archive."""
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("index.json")
            if member is None:
                raise KeyError("index.json")
            manifests: list[dict[str, Any]] = json.load(member)["manifests"]
    except FileNotFoundError as cause:
        raise UsageError("C2D-NO-SUCH-FILE", f"There is no file {archive}.", "Check the path.") from cause
    except (KeyError, ValueError, tarfile.TarError) as cause:
        raise _unusable(archive, "it is not an OCI image archive") from cause
    if len(manifests) != 1:
        raise _unusable(archive, f"it holds {len(manifests)} images, not one")
    notes = manifests[0].get("annotations", {})
    reference = notes.get(NAME) or notes.get(SHORT_NAME)
    if not reference or "/" not in reference:
        raise _unusable(archive, f"its index names no image (annotation {NAME})")
    return ArchivedImage(reference, manifests[0]["digest"])


def _unusable(archive: Path, why: str) -> UsageError:
    return UsageError(
        "C2D-IMAGE-ARCHIVE",
        f"{archive} cannot be imported: {why}.",
        "Save the image as an OCI archive of one image with its full name, e.g. example.org/name:tag.",
    )


class NodeImages:
    """The images of namespace ``k8s.io``, through containerd's own client program."""

    def __init__(self, ctr: str) -> None:
        self._ctr = [ctr, "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io"]

    def _run(self, *arguments: str) -> str:
        answer = subprocess.run([*self._ctr, *arguments], capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise Failed(
                "C2D-IMAGE-IMPORT",
                f"containerd refused: {answer.stderr.strip()[-500:]}",
                "Check free space, then look at `c2d-box logs containerd`.",
            )
        return answer.stdout

    def list(self) -> list[ClusterImage]:
        found = []
        for line in self._run("images", "list").splitlines()[1:]:
            fields = line.split()
            found.append(ClusterImage(fields[0], fields[2], _bytes(fields[3], fields[4])))
        return found

    def load(self, archive: Path) -> str:
        """Import unless an image of this name and digest is there; answers the digest."""
        image = read_archive(archive)
        present = {item.reference: item.digest for item in self.list()}
        if present.get(image.reference) != image.digest:
            self._run("images", "import", "--local", str(archive))  # 2-4 times faster than without
        if present.get(image.by_digest) != image.digest:
            self._run("images", "tag", "--force", image.reference, image.by_digest)
        return image.digest


def _bytes(number: str, unit: str) -> int:
    scale = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    try:
        return int(float(number) * scale.get(unit, 1))
    except ValueError:
        return 0
