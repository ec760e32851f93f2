"""The bundle as drivers use it: opened on first use, because looking at a box needs none of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2d_box.errors import StateProblem

if TYPE_CHECKING:
    from sandbox.bundle import Bundle


class WholeBundle:
    """All usual parts, of which a native cluster is made. Raises ``StateProblem`` where one is missing."""

    @property
    def kubernetes_version(self) -> str:
        return self._open_bundle().kubernetes_version

    def binary(self, name: str) -> Path:
        return self._open_bundle().binary(name)

    def image(self, name: str) -> Any:
        return self._open_bundle().image(name)

    def _open_bundle(self) -> Bundle:
        from sandbox.bundle import Bundle

        return Bundle.open_cached()


class BundleParts:
    """Gives single programs of the bundle: where Docker carries the cluster the other parts need not be
    there.
    """

    def binary(self, name: str) -> Path:
        """Return one program of the bundle; raise ``StateProblem`` where it was not built."""
        from sandbox.bundle import Bundle

        return Bundle.open_cached([name]).binary(name)

    def node_image(self) -> Any:
        """Return the bundle's node image; None where there is none: kind then pulls its own."""
        from sandbox.bundle import Bundle

        try:
            return Bundle.open_cached(["node-image"]).node_image
        # Not built: no error for this driver.
        except StateProblem:
            return None
