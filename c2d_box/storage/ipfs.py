"""Type ``ipfs``: read through the operator's gateway. Knowing a CID means being able to read it, so it
names no file."""

from __future__ import annotations

from urllib.parse import quote

from c2d_box.assets.files import IpfsFile
from c2d_box.storage.errors import Unusable
from c2d_box.storage.http1 import HttpRequest


def request(file: IpfsFile, gateway: str | None) -> HttpRequest:
    if not gateway:
        raise Unusable("this Provider has no IPFS gateway")
    path = file.hash.removeprefix("ipfs://").lstrip("/")
    if ".." in path.split("/"):
        raise Unusable("the IPFS path is not valid")
    return HttpRequest("GET", f"{gateway.rstrip('/')}/ipfs/{quote(path, safe='/')}", file.headers)


def filename(file: IpfsFile) -> str:
    """The name inside a folder; empty for a bare CID."""
    path = file.hash.removeprefix("ipfs://").strip("/").partition("/")[2]
    return path.rsplit("/", 1)[-1]
