"""The base of all file types, and the parsing that they share.

Everything in a file object is a secret of its publisher (URL, headers, keys), so no ``repr`` shows it. Error
texts are the Provider's wire texts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

UserData = Mapping[str, Any] | None

MISSING_KEYS = "malformed service files, missing required keys."
"""The original's text for a file object that lacks something; the Provider answers with it."""
STRING: Mapping[str, Any] = {"type": "string"}
"""Parts of JSON Schema that the types' ``properties`` share."""
HEADERS: Mapping[str, Any] = {"type": "object", "additionalProperties": STRING}


class FileObjectError(ValueError):
    """A file object no Provider can use; ``str()`` is the exact text for the wire."""


@dataclass(frozen=True)
class SourceRequest:
    """The HTTP request that reads a file. ``url`` is a path below the gateway where the type has one."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class FileObject(ABC):
    """A source of bytes. A type is a subclass; what it does not say has the safe answer.

    ``properties`` are the keys of its JSON as JSON Schema. ``required_key`` must be present where the object
    is asked about as plain parameters. ``gateway`` names the operator's gateway through which it is read, in
    words for people. ``names_itself`` says that the source's Content-Disposition may name the file: of
    content that is addressed by its hash, a gateway's name could be that hash.
    """

    type: ClassVar[str]
    properties: ClassVar[Mapping[str, Any]]
    required_key: ClassVar[str] = ""
    gateway: ClassVar[str] = ""
    names_itself: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Parse a file object; FileObjectError with the exact text for the wire if it is unusable."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the JSON that ``from_dict`` takes."""

    def source_request(self, userdata: UserData) -> SourceRequest:
        """Return the GET or POST that reads the file. Types without one have a case in ``Storage``."""
        raise NotImplementedError(f"a file of type {self.type} is not read by a plain request")

    def file_name(self) -> str:
        """Return the name in the address itself, empty where it would give the source away."""
        return ""

    def sends_more_than_get(self, userdata: UserData) -> bool:
        """Return whether reading the file sends more than a bare GET to a place of its author's choice."""
        # Asked of the request itself, so that a new type cannot forget to say so.
        request = self.source_request(None)
        return request.method != "GET" or bool(request.headers or userdata)


def demanded_text(value: Mapping[str, Any], key: str, problem: str) -> str:
    """Return the text at ``key``; FileObjectError(problem) where it is none, or empty."""
    text = value.get(key)
    if not isinstance(text, str) or not text:
        raise FileObjectError(problem)
    return text


def parse_headers(value: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers as an object; ocean.py may send an empty list or null for none."""
    headers = value.get("headers") or {}
    # A list with entries is no set of names and values.
    if not isinstance(headers, dict):
        raise FileObjectError("malformed file object.")
    # Values may be numbers in published files; anything nested is no header.
    if not all(isinstance(v, str | int | float) and _is_header(k, str(v)) for k, v in headers.items()):
        raise FileObjectError("malformed file object.")
    return {key: str(content) for key, content in headers.items()}


def headers_entry(headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the headers as a part of a file object's JSON, which has no empty ones."""
    return {"headers": dict(headers)} if headers else {}


def is_http_url(url: str) -> bool:
    """Return whether the text is an http or https URL with a host: file:, ftp: and data: would read what is
    not the publisher's."""
    try:
        # ``urlsplit`` raises ValueError for brackets that do not match, which a stranger's text may have.
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)


def _is_header(name: object, content: str) -> bool:
    """Return whether this is one header. Line breaks or NUL would end it and start another."""
    return isinstance(name, str) and bool(name) and not any(c in "\r\n\0" for c in name + content)
