"""Where results are kept: the engine hands it to the publishing pod, operator-service reads from it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Store(BaseModel):
    """``require_encryption``: where others can read what is stored, as on an IPFS node with peers."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    require_encryption: bool = Field(default=False, alias="requireEncryption")


class IpfsStore(_Store):
    """``api``: the RPC's root, written to with a bearer token; ``gateway``: read from."""

    kind: Literal["ipfs"] = "ipfs"
    api: str
    gateway: str


class S3Store(_Store):
    """Path-style addressing; access key and secret key are files of the secrets folder."""

    kind: Literal["s3"] = "s3"
    endpoint: str
    bucket: str
    region: str = "us-east-1"
