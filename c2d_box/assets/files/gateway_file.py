"""The base of files that are read through the operator's gateway, by a name that holds no place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from c2d_box.assets.files.file_object import (
    MISSING_KEYS,
    FileObject,
    demanded_text,
    headers_entry,
    parse_headers,
)


@dataclass(frozen=True)
class GatewayFile(FileObject):
    """A file named by ``content_name``, which stands at ``required_key``; without it the file is refused with
    ``missing_text``."""

    missing_text: ClassVar[str] = MISSING_KEYS

    content_name: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Parse the name, which is not a path: the types that inherit quote it before it becomes a part of
        one."""
        return cls(demanded_text(value, cls.required_key, cls.missing_text), parse_headers(value))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON, with the name at the type's own key."""
        return {"type": self.type, self.required_key: self.content_name, **headers_entry(self.headers)}
