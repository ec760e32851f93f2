"""Type ``url``: GET or POST with the publisher's headers; user data goes into the query, or into a POST's
JSON body."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from c2d_box.assets.files import UrlFile
from c2d_box.storage.http1 import HttpRequest


def request(file: UrlFile, userdata: Mapping[str, Any] | None) -> HttpRequest:
    url, headers = without_userinfo(file.url, file.headers)
    if file.method == "POST":
        body = json.dumps(userdata or {}, separators=(",", ":")).encode()
        return HttpRequest("POST", url, {"Content-Type": "application/json", **headers}, body)
    return HttpRequest("GET", with_query(url, userdata), headers)


def filename(file: UrlFile) -> str:
    """The last segment of the path."""
    return unquote(urlsplit(file.url).path.rstrip("/").rsplit("/", 1)[-1])


def with_query(url: str, userdata: Mapping[str, Any] | None) -> str:
    if not userdata:
        return url
    parts = urlsplit(url)
    added = urlencode({key: _as_text(value) for key, value in userdata.items()})
    return parts._replace(query=f"{parts.query}&{added}" if parts.query else added).geturl()


def without_userinfo(url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """``user:password@`` of a URL as the Authorization header that it means."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, dict(headers)
    userinfo, _, netloc = parts.netloc.rpartition("@")
    basic = b64encode(unquote(userinfo).encode()).decode()
    return parts._replace(netloc=netloc).geturl(), {"Authorization": f"Basic {basic}", **headers}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
