"""Checks the upload container's report: only files that the judge let leave, stored where the job's belong.

The container handles the algorithm's bytes, so its report is not trusted: what it names is read later with
the operator's own keys. Each result must be in the judged manifest with its size and hash, and lie below the
job's prefix (S3) or in the job's one folder (IPFS).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from c2d_box.assets import results
from c2d_box.assets.crypto.ecies import OVERHEAD
from c2d_box.workflow import manifests
from c2d_box.workflow.resource import WorkFlow


class DeliveredResult(Protocol):
    """A result as the upload container reported it."""

    @property
    def filename(self) -> str: ...
    @property
    def filesize(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def encryption(self) -> str | None: ...
    @property
    def judged(self) -> str | None: ...


def delivery_problem(workflow: WorkFlow, delivered: Sequence[DeliveredResult]) -> str | None:
    """Return why ``delivered`` are not the job's results; None where they are."""
    # The evidence record is made after the verdict, by the engine itself, so the manifest does not hold it.
    judged = [entry for entry in delivered if entry.type != "evidence"]
    if len(delivered) - len(judged) > 1:
        return "there is more than one evidence record"
    # In both directions: a result left open by mistake cannot be called back.
    if any((entry.encryption is not None) != (workflow.encrypt is not None) for entry in delivered):
        return "the results are not encrypted as the job asks"
    # A job whose outputs were never judged has an empty manifest.
    expected = workflow.status.manifest or manifests.manifest_digest(())
    if manifests.manifest_digest(_as_judged(entry) for entry in judged) != expected:
        return "these are not the files that were judged"
    return _misplaced(workflow.job, delivered)


def _as_judged(entry: DeliveredResult) -> dict[str, str | int | None]:
    """Return the manifest's entry of a result; of an encrypted one with the hash of what was encrypted."""
    if entry.encryption is None:
        name, size, digest = entry.filename, entry.filesize, entry.sha256
    else:
        # Encrypting adds a fixed number of bytes and a suffix, so name and size of the
        # original follow from the result.
        name, size = entry.filename.removesuffix(manifests.SEALED), entry.filesize - OVERHEAD
        digest = entry.judged or ""
    return {"filename": name, "type": entry.type, "size": size, "sha256": digest}


def _misplaced(job: str, delivered: Sequence[DeliveredResult]) -> str | None:
    """Return what is wrong with the results' addresses; None where all lie where they belong."""
    roots = set()
    for entry in delivered:
        scheme, _, rest = entry.url.partition("://")
        root = rest.partition("/")[0]
        # One scheme and one root for all: an S3 bucket, or the CID of one IPFS folder.
        roots.add((scheme, root))
        if scheme == "s3":
            # Only below the job's own prefix: the address is later read with the operator's keys.
            path = results.object_key(entry.url, bucket=root, job=job)
        else:
            path = results.content_path(entry.url)
        plain = entry.filename.removesuffix(manifests.SEALED) if entry.encryption else entry.filename
        # The address ends with the result's own name, so two results cannot be exchanged.
        if path is None or not path.endswith(f"/{plain}"):
            return "a result does not lie where this job's results lie"
    return "the results lie in more than one place" if len(roots) > 1 else None
