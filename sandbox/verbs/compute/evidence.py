"""``verify`` and ``explain``: checks a finished job's evidence, and says how the job ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2d_box.errors import C2DError, UsageError
from c2d_box.strict_json import WRAPPED, parse_json
from sandbox.box import Box
from sandbox.install.images import find_image
from sandbox.verbs.sdk_connections import open_consumer

if TYPE_CHECKING:
    from c2d_box.client.evidence.verification import JobVerification


def verify_evidence(
    box: Box, who: str, job_id: str, record: Path | None = None, code: Path | None = None
) -> JobVerification:
    """Compare the job's evidence with its sources. ``record``: a copy of it kept elsewhere, ``code``: the
    file that a raw algorithm should have been.

    The SDK asks chain, Provider and cache; the box adds the image, as only its node knows it.
    """
    from c2d_box.client.evidence import verification

    with open_consumer(box, who) as party:
        found = verification.fetch_evidence(party, job_id) if record is None else _read_record(record)
        checked = verification.verify_job(party, job_id, found, code.read_bytes() if code else None)
    # The first check is of the record's own hashes and signature: where it fails, its facts mean nothing.
    if not checked.checks[0].ok:
        return checked
    image = _check_image(box, found)
    return verification.JobVerification(job_id, (*checked.checks, image))


def explain_job(box: Box, who: str, job_id: str) -> str:
    """Return two sentences: how the job ended and what to do about it."""
    with open_consumer(box, who) as party:
        return party.explain(job_id)


def _check_image(box: Box, record: Mapping[str, Any]) -> Any:
    """Return whether the image that ran is still the one of that name on this node."""
    from c2d_box.client.evidence.verification import EvidenceCheck
    from c2d_box.workflow import evidence

    reference = str(evidence.evidence_facts(record, "run").get("image"))
    try:
        known = find_image(box, reference).checksum
    except C2DError:
        # An image may have been removed since; that is no contradiction, so the answer is "unknown".
        return EvidenceCheck("image on the node", None, f"{reference} is not on the node any more", "node")
    return EvidenceCheck("image on the node", reference.endswith(known), known, "node")


def _read_record(path: Path) -> dict[str, Any]:
    """Return the record in a file. A file that is no JSON object counts as an empty record, which then fails
    its checks.
    """
    try:
        found = parse_json(path.read_bytes(), WRAPPED)
    except (OSError, ValueError) as problem:
        raise UsageError(
            "C2D-EVIDENCE-UNREADABLE", f"{path} cannot be read as a record: {problem}", "name another"
        ) from problem
    return found if isinstance(found, dict) else {}
