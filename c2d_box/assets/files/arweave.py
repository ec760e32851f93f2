"""Type ``arweave``: a transaction's data through the operator's gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from c2d_box.assets.files.file_object import HEADERS, STRING, SourceRequest, UserData
from c2d_box.assets.files.gateway_file import GatewayFile


class ArweaveFile(GatewayFile):
    """A file on Arweave, named by its transaction."""

    type: ClassVar[str] = "arweave"
    properties: ClassVar[Mapping[str, Any]] = {"transactionId": STRING, "headers": HEADERS}
    required_key: ClassVar[str] = "transactionId"
    gateway: ClassVar[str] = "Arweave"
    missing_text: ClassVar[str] = "malformed service files, missing transactionId."

    def source_request(self, userdata: UserData) -> SourceRequest:
        """Return the GET below the gateway. User data is not sent: a transaction's data has no parameters."""
        # Quoted whole, slashes too: an id must not lead to another path of the gateway.
        return SourceRequest("GET", quote(self.content_name, safe=""), self.headers)
