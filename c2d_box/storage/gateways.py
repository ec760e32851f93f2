"""Builds addresses below the operator's gateways, of which a publisher chooses the path only."""

from __future__ import annotations

from c2d_box.assets.files import FileObject
from c2d_box.storage.errors import FileUnusable


def gateway_url(file: FileObject, gateway: str | None, path: str) -> str:
    """Return the URL of ``path`` below the operator's gateway. Raise FileUnusable without a gateway, or
    where the path would leave it."""
    if not gateway:
        raise FileUnusable(f"this Provider has no {file.gateway} gateway")
    # Gateways resolve dots in paths: ``../admin`` would be another service on the operator's host.
    if ".." in path.split("/"):
        raise FileUnusable(f"the {file.gateway} path is not valid")
    # The gateway's own path is kept: operators run gateways below a prefix.
    return f"{gateway.rstrip('/')}/{path}"
