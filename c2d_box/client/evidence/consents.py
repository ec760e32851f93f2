"""Compares what a dataset's publisher permitted with what ran: the files and container of one version.

A permission names an algorithm by its DID and, where it was given with this product, by the checksums of its
files and container. A DID alone is not a version: its owner may replace what stands behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from c2d_box.assets import checksums
from c2d_box.assets.documents.ddo import DDO
from c2d_box.assets.permissions import ANY
from c2d_box.client.rulebook import is_entry_of, trusted_entries


@dataclass(frozen=True)
class ConsentCheck:
    """One permission, compared. ``ok`` is None where the permission as it stands now does not say which
    version it is for."""

    dataset: str
    ok: bool | None
    text: str


@dataclass(frozen=True)
class ExecutedAlgorithm:
    """The algorithm of a job by its record: the digests of its files in order, and its container."""

    did: str
    files: Sequence[str]
    entrypoint: str
    image: str
    """The image's digest."""

    @classmethod
    def from_record(
        cls, did: str, run: Mapping[str, Any], staged: Sequence[Mapping[str, Any]]
    ) -> ExecutedAlgorithm:
        """Make an :class:`ExecutedAlgorithm` from the facts of a record's entries ``run`` and ``staged``."""
        # The checksum of files depends on their order, which is that of the description.
        mine = sorted(
            (file for file in staged if file.get("did") == did and file.get("index") is not None),
            key=lambda file: int(file["index"]),
        )
        digests = [str(file["sha256"]) for file in mine]
        # A record names the image as name@digest; the permission holds the digest.
        image = str(run.get("image") or "").partition("@")[2]
        return cls(did, digests, str(run.get("entrypoint") or ""), image)


def check_consent(
    record: Mapping[str, Any], service_id: str, ran: ExecutedAlgorithm, admitted: bool
) -> Iterator[ConsentCheck]:
    """Compare one dataset's permission. ``record`` is the cache's, ``admitted`` whether it is the description
    that admitted the job. Nothing is yielded where the dataset does not name the algorithm: it was permitted
    by its publisher, its market or as any, in whatever version."""
    did = str(record.get("id"))
    service = DDO.parse(dict(record)).find_service(service_id)
    rules = (service.raw.get("compute") if service else None) or {}
    # The DID stands once for each permitted version; like at the start, one that matches is enough.
    entries = [entry for entry in trusted_entries(rules) if is_entry_of(entry, ran.did)]
    if not entries:
        return
    # The same functions as at permission time, so equal content gives equal text.
    same = (checksums.files_checksum(ran.files), checksums.container_checksum(ran.entrypoint, ran.image))
    pinned = [_pinned_checksums(entry) for entry in entries]
    if ran.files and same in pinned:
        yield ConsentCheck(did, True, "it is for the files and the container that ran")
        return
    if any(entry == ANY or is_entry_of(entry, ANY) for entry in trusted_entries(rules)):
        return
    # Lists made by other tools may name the DID alone; that permits every version, which is worth a word.
    if loose := next((pair for pair in pinned if not all(pair)), None):
        named = zip(("files", "container"), loose, strict=True)
        missing = " and ".join(name for name, value in named if not value)
        yield ConsentCheck(did, None, f"it pins no checksum of {missing}: whatever has the DID may run")
        return
    if not ran.files:
        yield ConsentCheck(did, None, "the record does not list the algorithm's files")
        return
    # Not a contradiction unless this very description admitted the job: it may have been replaced since.
    text = "it is for another version than the one that ran"
    yield ConsentCheck(
        did, False if admitted else None, text if admitted else f"{text}; it was given anew since"
    )


def _pinned_checksums(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return the checksums of files and container that an entry permits; empty where it pins none."""
    files, container = entry.get("filesChecksum"), entry.get("containerSectionChecksum")
    return str(files or "").lower(), str(container or "").lower()
