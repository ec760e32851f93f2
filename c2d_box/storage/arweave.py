"""Type ``arweave``: a transaction's data through the operator's gateway."""

from __future__ import annotations

from urllib.parse import quote

from c2d_box.assets.files import ArweaveFile
from c2d_box.storage.errors import Unusable
from c2d_box.storage.http1 import HttpRequest


def request(file: ArweaveFile, gateway: str | None) -> HttpRequest:
    if not gateway:
        raise Unusable("this Provider has no Arweave gateway")
    return HttpRequest("GET", f"{gateway.rstrip('/')}/{quote(file.transaction_id, safe='')}", file.headers)
