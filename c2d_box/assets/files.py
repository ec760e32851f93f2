"""File objects: the sources of a service's bytes, and the sealed document that hides them in a DDO.

Everything in a file object is a secret of its publisher (URL, headers, keys), so no ``repr`` shows it. Error
texts are the Provider's wire texts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit

from c2d_box.assets import ecies
from c2d_box.assets.addresses import is_address, same
from c2d_box.strict_json import parse_json

UNREADABLE = "cannot decrypt files for this service."
_MISSING_KEYS = "malformed service files, missing required keys."
_ABI_VALUES, _ABI_TYPE, _ABI_DIMENSIONS = 64, 64, 4
"""Limits of a contract's function: values with their components, characters of a type, and its brackets."""
_NO_NAME = "Invalid file name format. It was not possible to get the file name."


class FileObjectError(ValueError):
    """A file object no Provider can use; ``str()`` is the exact text for the wire."""


@dataclass(frozen=True)
class UrlFile:
    """A file behind an HTTP URL."""

    type: ClassVar[str] = "url"
    url: str = field(repr=False)
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        return {"type": "url", "url": self.url, "method": self.method, **_headers(self.headers)}


@dataclass(frozen=True)
class IpfsFile:
    """A file in IPFS, named by its hash."""

    type: ClassVar[str] = "ipfs"
    hash: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        return {"type": "ipfs", "hash": self.hash, **_headers(self.headers)}


@dataclass(frozen=True)
class ArweaveFile:
    """A file on Arweave, named by its transaction."""

    type: ClassVar[str] = "arweave"
    transaction_id: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        return {"type": "arweave", "transactionId": self.transaction_id, **_headers(self.headers)}


@dataclass(frozen=True)
class GraphqlFile:
    """The answer of a GraphQL endpoint to one query."""

    type: ClassVar[str] = "graphql"
    url: str = field(repr=False)
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        return {"type": "graphql", "url": self.url, "query": self.query, **_headers(self.headers)}


@dataclass(frozen=True)
class SmartContractFile:
    """The result of one view or pure function; user data gives its arguments by name."""

    type: ClassVar[str] = "smartcontract"
    address: str = field(repr=False)
    chain_id: int = field(repr=False)
    abi: Mapping[str, Any] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": "smartcontract",
            "address": self.address,
            "chainId": self.chain_id,
            "abi": dict(self.abi),
        }

    def arguments(self, userdata: Mapping[str, Any] | None) -> list[Any]:
        """The call's arguments in ABI order, taken from ``userdata``."""
        names = [str(i.get("name", "")) for i in self.abi.get("inputs", [])]
        if names and not userdata:
            raise FileObjectError("Missing parameters")
        missing = [name for name in names if name not in (userdata or {})]
        if missing:
            raise FileObjectError(f"Missing userparams: {','.join(missing)}")
        return [(userdata or {})[name] for name in names]


@dataclass(frozen=True)
class S3File:
    """An object in S3 or anything that speaks it; read with the publisher's own key."""

    type: ClassVar[str] = "s3"
    endpoint: str = field(repr=False)
    region: str = field(repr=False)
    bucket: str = field(repr=False)
    object_key: str = field(repr=False)
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": "s3",
            "s3Access": {
                "endpoint": self.endpoint,
                "region": self.region,
                "bucket": self.bucket,
                "objectKey": self.object_key,
                "accessKeyId": self.access_key_id,
                "secretAccessKey": self.secret_access_key,
            },
        }


@dataclass(frozen=True)
class ResultFile:
    """A job's result as an asset of its owner's; ``place`` is where it lies in the store of the Provider's
    operator.

    No key of the store is in it. ``proof`` is the engine's proof that this asset may show this result, see
    :mod:`c2d_box.assets.results`; it was made for one NFT and datatoken, so a copied entry opens nothing.
    """

    type: ClassVar[str] = "result"
    job: str
    place: str = field(repr=False)
    nft: str
    datatoken: str
    proof: str = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry without ``nft`` and ``datatoken``, which stand in the document around it."""
        return {"type": "result", "job": self.job, "place": self.place, "proof": self.proof}


FileObject = UrlFile | IpfsFile | ArweaveFile | GraphqlFile | SmartContractFile | S3File | ResultFile


def parse_file(value: object) -> FileObject:
    """The file object in ``value``; FileObjectError with the Provider's exact text if it is unusable."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str) or not value["type"]:
        raise FileObjectError("malformed file object.")
    parser = _PARSERS.get(value["type"])
    if parser is None:
        raise FileObjectError(f"Unsupported type {value['type'][:64]}")
    return parser(value)


def document(nft: str, datatoken: str, files: Sequence[FileObject]) -> bytes:
    """The plaintext of a service's ``files``: bound to its NFT and datatoken, so it serves no other asset."""
    value = {"datatokenAddress": datatoken, "nftAddress": nft, "files": [f.to_dict() for f in files]}
    return json.dumps(value, separators=(",", ":")).encode()


def seal(key: bytes | str, nft: str, datatoken: str, files: Sequence[FileObject]) -> str:
    """``files`` encrypted for the Provider's ``key``: the 0x hex text that stands in the DDO."""
    return "0x" + ecies.encrypt(key, document(nft, datatoken, files)).hex()


def unseal(
    key: bytes | str, sealed: str, *, nft: str, datatoken: str, version: str = "4.1.0"
) -> list[FileObject]:
    """The file objects of a service; FileObjectError when they are not for ``key`` or not for this asset.

    A DDO of version 4.0.0 (or none) holds a bare array that is bound to nothing.
    """
    try:
        value = parse_json(ecies.decrypt(key, bytes.fromhex(sealed.removeprefix("0x"))))
    except ValueError as error:
        raise FileObjectError(UNREADABLE) from error
    if version in ("", "4.0.0"):
        entries = value
    else:
        bound = isinstance(value, dict) and (
            same(value.get("nftAddress"), nft) and same(value.get("datatokenAddress"), datatoken)
        )
        entries = value.get("files") if bound else None
    if not isinstance(entries, list):
        raise FileObjectError(UNREADABLE)
    return [_bound_entry(entry, entries is value, nft, datatoken) for entry in entries]


def _bound_entry(entry: object, loose: bool, nft: str, datatoken: str) -> FileObject:
    """Parse a file of a document; a result is only taken from a document that is bound to its asset."""
    if loose or not isinstance(entry, dict) or entry.get("type") != ResultFile.type:
        return parse_file(entry)
    job, place, proof = (_text(entry, key, _MISSING_KEYS) for key in ("job", "place", "proof"))
    return ResultFile(job, place, nft, datatoken, proof)


def _url(value: dict[str, Any]) -> UrlFile:
    url, method = value.get("url"), value.get("method") or "GET"
    if not isinstance(url, str) or not url or not isinstance(method, str):
        raise FileObjectError(_MISSING_KEYS)
    if method.upper() not in ("GET", "POST"):
        raise FileObjectError(f"Unsafe method {method[:32].lower()}.")
    if not _is_http(url):
        raise FileObjectError(_NO_NAME)
    return UrlFile(url, method.upper(), _parse_headers(value))


def _ipfs(value: dict[str, Any]) -> IpfsFile:
    return IpfsFile(_text(value, "hash", _MISSING_KEYS), _parse_headers(value))


def _arweave(value: dict[str, Any]) -> ArweaveFile:
    text = _text(value, "transactionId", "malformed service files, missing transactionId.")
    return ArweaveFile(text, _parse_headers(value))


def _graphql(value: dict[str, Any]) -> GraphqlFile:
    url = _text(value, "url", "missing graphql endpoint")
    query = _text(value, "query", "missing graphql query")
    if not _is_http(url):
        raise FileObjectError("missing graphql endpoint")
    return GraphqlFile(url, query, _parse_headers(value))


def _smartcontract(value: dict[str, Any]) -> SmartContractFile:
    address, abi, chain_id = value.get("address"), value.get("abi"), value.get("chainId", 0)
    if not isinstance(address, str) or not is_address(address):
        raise FileObjectError("malformed smartcontract type, missing contract address")
    inputs = abi.get("inputs", []) if isinstance(abi, dict) else None
    if not isinstance(inputs, list) or not all(isinstance(i, dict) for i in inputs):
        raise FileObjectError("invalid abi")
    assert isinstance(abi, dict)
    if not _is_small(abi):
        raise FileObjectError("invalid abi")
    if abi.get("type", "function") != "function" or abi.get("stateMutability") not in ("view", "pure"):
        raise FileObjectError("only view or pure functions are allowed")
    if not isinstance(abi.get("name"), str) or not abi["name"]:
        raise FileObjectError("missing name")
    if isinstance(chain_id, bool) or not isinstance(chain_id, int):
        raise FileObjectError("malformed file object.")
    return SmartContractFile(address, chain_id, abi)


def _is_small(abi: Mapping[str, Any]) -> bool:
    """Return whether the function has few values, of types that are quickly read: a library's parser takes
    minutes for a type of a few kilobytes, in each of its dimensions."""
    count, pending = 0, [*_listed(abi, "inputs"), *_listed(abi, "outputs")]
    while pending:
        entry, count = pending.pop(), count + 1
        kind = entry.get("type", "") if isinstance(entry, dict) else None
        if not isinstance(kind, str) or count > _ABI_VALUES:
            return False
        if len(kind) > _ABI_TYPE or kind.count("[") > _ABI_DIMENSIONS:
            return False
        pending += _listed(entry, "components")
    return True


def _listed(entry: Mapping[str, Any], key: str) -> list[Any]:
    found = entry.get(key) or []
    return found if isinstance(found, list) else [None]


def _s3(value: dict[str, Any]) -> S3File:
    access = value.get("s3Access")
    keys = ("endpoint", "region", "bucket", "objectKey", "accessKeyId", "secretAccessKey")
    if not isinstance(access, dict):
        raise FileObjectError("malformed s3 file, missing s3Access.")
    for key in keys:
        _text(access, key, f"malformed s3 file, missing {key}.")
    if not _is_http(access["endpoint"]):
        raise FileObjectError("malformed s3 file, the endpoint is no http URL.")
    return S3File(*(access[key] for key in keys))


_PARSERS: dict[str, Callable[[dict[str, Any]], FileObject]] = {
    "url": _url,
    "ipfs": _ipfs,
    "arweave": _arweave,
    "graphql": _graphql,
    "smartcontract": _smartcontract,
    "s3": _s3,
}


def _text(value: Mapping[str, Any], key: str, problem: str) -> str:
    text = value.get(key)
    if not isinstance(text, str) or not text:
        raise FileObjectError(problem)
    return text


def _parse_headers(value: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers as an object; ocean.py may send an empty list or null for none."""
    headers = value.get("headers") or {}
    if not isinstance(headers, dict):
        raise FileObjectError("malformed file object.")
    if not all(isinstance(v, str | int | float) and _is_header(k, str(v)) for k, v in headers.items()):
        raise FileObjectError("malformed file object.")
    return {key: str(content) for key, content in headers.items()}


def _is_header(name: object, content: str) -> bool:
    """Return whether this is one header. Line breaks or NUL would end it and start another."""
    return isinstance(name, str) and bool(name) and not any(c in "\r\n\0" for c in name + content)


def _headers(headers: Mapping[str, str]) -> dict[str, Any]:
    return {"headers": dict(headers)} if headers else {}


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
