"""Type ``arweave``: a transaction's data through the operator's gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self
from urllib.parse import quote

from c2d_box.assets.files.file_object import (
    HEADERS,
    STRING,
    FileObject,
    SourceRequest,
    UserData,
    demanded_text,
    headers_entry,
    parse_headers,
)


@dataclass(frozen=True)
class ArweaveFile(FileObject):
    """A file on Arweave, named by its transaction."""

    type: ClassVar[str] = "arweave"
    properties: ClassVar[Mapping[str, Any]] = {"transactionId": STRING, "headers": HEADERS}
    required_key: ClassVar[str] = "transactionId"
    gateway: ClassVar[str] = "Arweave"

    transaction_id: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        text = demanded_text(value, "transactionId", "malformed service files, missing transactionId.")
        return cls(text, parse_headers(value))

    def to_dict(self) -> dict[str, Any]:
        return {"type": "arweave", "transactionId": self.transaction_id, **headers_entry(self.headers)}

    def source_request(self, userdata: UserData) -> SourceRequest:
        # Quoted whole, slashes too: an id must not lead to another path of the gateway.
        return SourceRequest("GET", quote(self.transaction_id, safe=""), self.headers)
