"""Imports OCI archives into the node's containerd and lists its images."""

from __future__ import annotations

import subprocess
from pathlib import Path

from c2d_box.errors import Failed
from sandbox.clusters.archive_names import PINNED, listed, read_archive, unpinned
from sandbox.clusters.native.configuration import CONTAINERD_SOCKET
from sandbox.clusters.port import ClusterImage


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
        return listed(self._run("images", "list").splitlines())

    def load(self, archive: Path) -> str:
        """Import the archive unless an image of this name and digest is there; return the digest."""
        image = read_archive(archive)
        present = {item.reference: item.digest for item in self.list()}
        if present.get(image.reference) != image.digest:
            self._run("images", "import", "--local", str(archive))  # 2-4 times faster than without
        if present.get(image.by_digest) != image.digest:
            self._run("images", "tag", "--force", image.reference, image.by_digest)
        self.pin()
        return image.digest

    def pin(self) -> None:
        """Keep every image that is there (the kubelet must not remove it), also those of a box that an older
        version made.
        """
        for reference in unpinned(self._run("images", "list").splitlines()):
            self._run("images", "label", reference, PINNED)
