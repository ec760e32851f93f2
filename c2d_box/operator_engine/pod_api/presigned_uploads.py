"""Presigned uploads to an S3 store, one per judged file: the upload container can write nothing else.

The container holds no key of the store. It gets a signature for each object below the job's own prefix, over
the very hash that the object must have, good for the minutes that SigV4 gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from c2d_box import limits
from c2d_box.operator_engine.rules.stage_reports import PodAnswer
from c2d_box.storage.s3_client import S3Endpoint
from c2d_box.storage.sigv4 import S3Credentials
from c2d_box.workflow.result_store import S3Store


class _File(BaseModel):
    """One file to upload: its path below the job's prefix, and the hash its body must have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _UploadRequest(BaseModel):
    """The upload container's list of files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: tuple[_File, ...] = Field(max_length=limits.LISTED_FILES)


class PresignedUploads:
    """Signs PUT requests below a job's own prefix with the store's keys."""

    def __init__(self, store: S3Store, keys: Mapping[str, str]) -> None:
        """``keys`` holds ``accessKey`` and ``secretKey``."""
        self._bucket = store.bucket
        credentials = S3Credentials(keys["accessKey"], keys["secretKey"], store.region)
        self._endpoint = S3Endpoint(store.endpoint, credentials)

    def sign_uploads(self, job: str, body: Mapping[str, Any]) -> dict[str, Mapping[str, str]] | PodAnswer:
        """Return for each path the headers of its PUT, or an answer that says why there are none."""
        try:
            wish = _UploadRequest.model_validate(body)
        except ValidationError as problem:
            return PodAnswer(422, f"not a list of files: {problem.error_count()} faults")
        # All or none: a container that asks for one path outside is not the one we built.
        if not all(_inside(file.path) for file in wish.files):
            return PodAnswer(422, "a path leads out of the job's prefix")
        return {file.path: self._signed(job, file) for file in wish.files}

    def _signed(self, job: str, file: _File) -> Mapping[str, str]:
        """Sign one PUT. The hash is part of the signature, so the store refuses any other body."""
        path = f"{job}/{file.path}"
        return self._endpoint.sign_request("PUT", self._bucket, path, digest=file.sha256).headers


def _inside(path: str) -> bool:
    """Return whether the path stays below the prefix. It must be in its plain form: no empty part, no dot."""
    # PurePosixPath drops "." and doubled slashes, so a path that holds them differs from its parts joined.
    parts = PurePosixPath(path).parts
    return not path.startswith("/") and ".." not in parts and "/".join(parts) == path
