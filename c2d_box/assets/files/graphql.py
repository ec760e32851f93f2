"""Type ``graphql``: one query posted to an endpoint, user data as its variables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from c2d_box.assets.files.file_object import (
    HEADERS,
    STRING,
    FileObject,
    FileObjectError,
    SourceRequest,
    UserData,
    demanded_text,
    headers_entry,
    is_http_url,
    parse_headers,
)
from c2d_box.assets.files.url import without_userinfo

_NO_ENDPOINT = "missing graphql endpoint"
"""The wire text for a missing or unusable endpoint."""


@dataclass(frozen=True)
class GraphqlFile(FileObject):
    """The answer of a GraphQL endpoint to one query."""

    type: ClassVar[str] = "graphql"
    properties: ClassVar[Mapping[str, Any]] = {"url": STRING, "query": STRING, "headers": HEADERS}
    names_itself: ClassVar[bool] = True

    url: str = field(repr=False)
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Parse the endpoint and the query. The query is not read: the endpoint says what is wrong with
        it."""
        url = demanded_text(value, "url", _NO_ENDPOINT)
        query = demanded_text(value, "query", "missing graphql query")
        if not is_http_url(url):
            raise FileObjectError(_NO_ENDPOINT)
        return cls(url, query, parse_headers(value))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON; headers are left out where there are none."""
        return {"type": "graphql", "url": self.url, "query": self.query, **headers_entry(self.headers)}

    def source_request(self, userdata: UserData) -> SourceRequest:
        """Return the POST of the query. User data becomes variables, never text of the query: it could
        change what is asked."""
        url, headers = without_userinfo(self.url, self.headers)
        document: dict[str, Any] = {"query": self.query}
        if userdata:
            document["variables"] = dict(userdata)
        body = json.dumps(document, separators=(",", ":")).encode()
        # The publisher's headers last: they may set another content type.
        return SourceRequest("POST", url, {"Content-Type": "application/json", **headers}, body)
