"""Type ``s3``: an object of S3 or anything that speaks it. ``c2d_box.storage.s3`` signs its request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from c2d_box.assets.files.file_object import (
    STRING,
    FileObject,
    FileObjectError,
    UserData,
    demanded_text,
    is_http_url,
)

_KEYS = ("endpoint", "region", "bucket", "objectKey", "accessKeyId", "secretAccessKey")
"""Keys of ``s3Access`` in the order of the fields; all of them are demanded."""


@dataclass(frozen=True)
class S3File(FileObject):
    """An object in S3 or anything that speaks it; read with the publisher's own key."""

    type: ClassVar[str] = "s3"
    properties: ClassVar[Mapping[str, Any]] = {
        "s3Access": {"type": "object", "properties": dict.fromkeys(_KEYS, STRING)}
    }
    names_itself: ClassVar[bool] = True

    endpoint: str = field(repr=False)
    region: str = field(repr=False)
    bucket: str = field(repr=False)
    object_key: str = field(repr=False)
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Parse ``s3Access``. Every part is demanded: a request without one of them could not be signed."""
        access = value.get("s3Access")
        if not isinstance(access, dict):
            raise FileObjectError("malformed s3 file, missing s3Access.")
        parts = [demanded_text(access, key, f"malformed s3 file, missing {key}.") for key in _KEYS]
        # The endpoint is the publisher's choice, just as a URL is.
        if not is_http_url(access["endpoint"]):
            raise FileObjectError("malformed s3 file, the endpoint is no http URL.")
        # The parts are in the order of ``_KEYS``, which is that of the fields.
        return cls(*parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON, the secret key included: it is only ever sealed for the Provider."""
        parts = (
            self.endpoint,
            self.region,
            self.bucket,
            self.object_key,
            self.access_key_id,
            self.secret_access_key,
        )
        return {"type": "s3", "s3Access": dict(zip(_KEYS, parts, strict=True))}

    def file_name(self) -> str:
        """Return the last part of the object's key: its owner chose it, and it gives no address away."""
        return self.object_key.rstrip("/").rsplit("/", 1)[-1]

    def sends_more_than_get(self, userdata: UserData) -> bool:
        """Return True: each request carries a signature by the publisher's key."""
        return True
