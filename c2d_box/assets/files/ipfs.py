"""Type ``ipfs``: read through the operator's gateway. Knowing a CID means being able to read it, so it
names no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from c2d_box.assets.files.file_object import HEADERS, STRING, SourceRequest, UserData
from c2d_box.assets.files.gateway_file import GatewayFile


class IpfsFile(GatewayFile):
    """A file in IPFS, named by its hash."""

    type: ClassVar[str] = "ipfs"
    properties: ClassVar[Mapping[str, Any]] = {"hash": STRING, "headers": HEADERS}
    required_key: ClassVar[str] = "hash"
    gateway: ClassVar[str] = "IPFS"

    def source_request(self, userdata: UserData) -> SourceRequest:
        """Return the GET below the gateway. The hash may have ``ipfs://`` before it and a path behind it."""
        path = self.content_name.removeprefix("ipfs://").lstrip("/")
        # The slash stays: a file inside of a folder is named by the folder's CID and its path.
        return SourceRequest("GET", f"ipfs/{quote(path, safe='/')}", self.headers)

    def file_name(self) -> str:
        """Return the name inside a folder, empty for a bare CID."""
        path = self.content_name.removeprefix("ipfs://").strip("/").partition("/")[2]
        return path.rsplit("/", 1)[-1]
