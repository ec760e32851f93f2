"""Imports OCI archives into the node's containerd and lists its images."""

from __future__ import annotations

import subprocess
from pathlib import Path

from c2d_box.errors import Failed
from sandbox.clusters.archive_names import PINNED, parse_image_list, read_archive, unpinned_references
from sandbox.clusters.native.control_plane.configuration import CONTAINERD_SOCKET
from sandbox.clusters.port import ClusterImage


class NodeImages:
    """The images of namespace ``k8s.io``, through containerd's own client program.

    The kubelet looks in that namespace only. Containerd's API is gRPC; its client spares us a library for it.
    """

    def __init__(self, ctr: str) -> None:
        self._ctr = [ctr, "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io"]

    def _run_ctr(self, *arguments: str) -> str:
        answer = subprocess.run([*self._ctr, *arguments], capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise Failed(
                "C2D-IMAGE-IMPORT",
                f"containerd refused: {answer.stderr.strip()[-500:]}",
                "Check free space, then look at `c2d-box logs containerd`.",
            )
        return answer.stdout

    def list_images(self) -> list[ClusterImage]:
        """Return the images that the node has."""
        return parse_image_list(self._run_ctr("images", "list").splitlines())

    def load_archive(self, archive: Path) -> str:
        """Import the archive unless an image of this name and digest is there; return the digest."""
        image = read_archive(archive)
        present = {item.reference: item.digest for item in self.list_images()}
        if present.get(image.reference) != image.digest:
            self._run_ctr("images", "import", "--local", str(archive))  # 2-4 times faster than without
        # The import makes the name with the tag only; algorithms are named by digest, with pull policy Never.
        if present.get(image.by_digest) != image.digest:
            self._run_ctr("images", "tag", "--force", image.reference, image.by_digest)
        self.pin_images()
        return image.digest

    def pin_images(self) -> None:
        """Keep every image that is there (the kubelet must not remove it), also those of a box that an older
        version made.
        """
        for reference in unpinned_references(self._run_ctr("images", "list").splitlines()):
            self._run_ctr("images", "label", reference, PINNED)
