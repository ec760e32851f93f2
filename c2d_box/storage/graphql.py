"""Type ``graphql``: one query posted to an endpoint, user data as its variables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from c2d_box.assets.files import GraphqlFile
from c2d_box.storage.http1 import HttpRequest
from c2d_box.storage.url import without_userinfo


def request(file: GraphqlFile, userdata: Mapping[str, Any] | None) -> HttpRequest:
    url, headers = without_userinfo(file.url, file.headers)
    document: dict[str, Any] = {"query": file.query}
    if userdata:
        document["variables"] = dict(userdata)
    body = json.dumps(document, separators=(",", ":")).encode()
    return HttpRequest("POST", url, {"Content-Type": "application/json", **headers}, body)
