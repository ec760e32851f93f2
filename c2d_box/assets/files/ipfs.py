"""Type ``ipfs``: read through the operator's gateway. Knowing a CID means being able to read it, so it
names no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self
from urllib.parse import quote

from c2d_box.assets.files.file_object import (
    HEADERS,
    MISSING_KEYS,
    STRING,
    FileObject,
    SourceRequest,
    UserData,
    demanded_text,
    headers_entry,
    parse_headers,
)


@dataclass(frozen=True)
class IpfsFile(FileObject):
    """A file in IPFS, named by its hash."""

    type: ClassVar[str] = "ipfs"
    properties: ClassVar[Mapping[str, Any]] = {"hash": STRING, "headers": HEADERS}
    required_key: ClassVar[str] = "hash"
    gateway: ClassVar[str] = "IPFS"

    hash: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        return cls(demanded_text(value, "hash", MISSING_KEYS), parse_headers(value))

    def to_dict(self) -> dict[str, Any]:
        return {"type": "ipfs", "hash": self.hash, **headers_entry(self.headers)}

    def source_request(self, userdata: UserData) -> SourceRequest:
        """Return the GET below the gateway. The hash may have ``ipfs://`` before it and a path behind it."""
        path = self.hash.removeprefix("ipfs://").lstrip("/")
        # The slash stays: a file inside of a folder is named by the folder's CID and its path.
        return SourceRequest("GET", f"ipfs/{quote(path, safe='/')}", self.headers)

    def file_name(self) -> str:
        """Return the name inside a folder, empty for a bare CID."""
        path = self.hash.removeprefix("ipfs://").strip("/").partition("/")[2]
        return path.rsplit("/", 1)[-1]
