"""All types of file object that a publisher may write."""

from __future__ import annotations

from c2d_box.assets.files.arweave import ArweaveFile
from c2d_box.assets.files.file_object import FileObject, FileObjectError
from c2d_box.assets.files.graphql import GraphqlFile
from c2d_box.assets.files.ipfs import IpfsFile
from c2d_box.assets.files.s3 import S3File
from c2d_box.assets.files.smartcontract import SmartContractFile
from c2d_box.assets.files.url import UrlFile

FILE_TYPES: dict[str, type[FileObject]] = {
    each.type: each for each in (UrlFile, IpfsFile, ArweaveFile, GraphqlFile, SmartContractFile, S3File)
}
"""Parsing, the Provider's checks and its OpenAPI document are made from these. A result is none of them: only
the engine writes those."""


def parse_file(value: object) -> FileObject:
    """Return the file object in ``value``. Raise FileObjectError with the Provider's exact text if it is
    unusable."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str) or not value["type"]:
        raise FileObjectError("malformed file object.")
    known = FILE_TYPES.get(value["type"])
    if known is None:
        # Cut: the type is a stranger's text and ends in an answer.
        raise FileObjectError(f"Unsupported type {value['type'][:64]}")
    return known.from_dict(value)
