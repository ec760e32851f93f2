"""Where results are kept: the engine hands it to the publishing pod, operator-service reads from it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class IpfsStore(BaseModel):
    """``api``: the RPC's root, written to with a bearer token; ``gateway``: read from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["ipfs"] = "ipfs"
    api: str
    gateway: str


class S3Store(BaseModel):
    """Path-style addressing; access key and secret key are files of the secrets folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["s3"] = "s3"
    endpoint: str
    bucket: str
    region: str = "us-east-1"
