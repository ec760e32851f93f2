"""Settings of the result store: the publishing pod writes to it, operator-service reads from it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Store(BaseModel):
    """Common settings. ``require_encryption`` is for stores that others can read, as an IPFS node
    with peers."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    require_encryption: bool = Field(default=False, alias="requireEncryption")


class IpfsStore(_Store):
    """An IPFS node. ``api`` is the RPC's root, written to with a bearer token; ``gateway`` is read from."""

    kind: Literal["ipfs"] = "ipfs"
    api: str
    gateway: str


class S3Store(_Store):
    """An S3 store with path-style addressing; access key and secret key are files of the secrets folder."""

    kind: Literal["s3"] = "s3"
    endpoint: str
    bucket: str
    # Part of each request's signature, so it has to be the one that the store expects.
    region: str = "us-east-1"
