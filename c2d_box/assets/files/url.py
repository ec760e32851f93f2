"""Type ``url``: GET or POST with the publisher's headers; user data goes into the query, or into a POST's
JSON body."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self
from urllib.parse import unquote, urlencode, urlsplit

from c2d_box.assets.files.file_object import (
    HEADERS,
    MISSING_KEYS,
    STRING,
    FileObject,
    FileObjectError,
    SourceRequest,
    UserData,
    headers_entry,
    is_http_url,
    parse_headers,
)

_NO_NAME = "Invalid file name format. It was not possible to get the file name."


@dataclass(frozen=True)
class UrlFile(FileObject):
    """A file behind an HTTP URL."""

    type: ClassVar[str] = "url"
    properties: ClassVar[Mapping[str, Any]] = {
        "url": STRING,
        "method": {"enum": ["GET", "POST", "get", "post"]},
        "headers": HEADERS,
    }
    required_key: ClassVar[str] = "url"
    names_itself: ClassVar[bool] = True

    url: str = field(repr=False)
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Parse a URL with its method, in upper case from here on, and its headers."""
        url, method = value.get("url"), value.get("method") or "GET"
        if not isinstance(url, str) or not url or not isinstance(method, str):
            raise FileObjectError(MISSING_KEYS)
        # Reading a file must not change its source, as PUT or DELETE would.
        if method.upper() not in ("GET", "POST"):
            raise FileObjectError(f"Unsafe method {method[:32].lower()}.")
        if not is_http_url(url):
            raise FileObjectError(_NO_NAME)
        return cls(url, method.upper(), parse_headers(value))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON; headers are left out where there are none, as in what publishers write."""
        return {"type": "url", "url": self.url, "method": self.method, **headers_entry(self.headers)}

    def source_request(self, userdata: UserData) -> SourceRequest:
        """Return the GET or POST. User data is added to a GET's query, or is the JSON body of a POST."""
        url, headers = without_userinfo(self.url, self.headers)
        if self.method == "POST":
            # Always a JSON body, if only an empty object: the header promises one.
            body = json.dumps(userdata or {}, separators=(",", ":")).encode()
            return SourceRequest("POST", url, {"Content-Type": "application/json", **headers}, body)
        return SourceRequest("GET", _with_query(url, userdata), headers)

    def file_name(self) -> str:
        """Return the last segment of the path."""
        return unquote(urlsplit(self.url).path.rstrip("/").rsplit("/", 1)[-1])


def without_userinfo(url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the URL without ``user:password@``, and the headers with the Authorization that it means: a URL
    is shown in logs and errors where a header is not."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, dict(headers)
    userinfo, _, netloc = parts.netloc.rpartition("@")
    basic = b64encode(unquote(userinfo).encode()).decode()
    # A header of the publisher's own comes later and wins.
    return parts._replace(netloc=netloc).geturl(), {"Authorization": f"Basic {basic}", **headers}


def _with_query(url: str, userdata: UserData) -> str:
    """Return the URL with user data behind its own query."""
    if not userdata:
        return url
    parts = urlsplit(url)
    # Encoded, so that a value cannot bring in parameters of its own.
    added = urlencode({key: _as_text(value) for key, value in userdata.items()})
    return parts._replace(query=f"{parts.query}&{added}" if parts.query else added).geturl()


def _as_text(value: Any) -> str:
    """Return a value as text in a query: JSON for whatever is no text."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
