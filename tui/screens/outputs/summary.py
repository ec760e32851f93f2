"""A summary of a job's results: algorithm and inputs, their number and size, and the key that saves them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.text import Text

from tui.screens.jobs.view import JobView
from tui.widgets.text import duration_text, safe_text, short_id, size_text, utc_text

if TYPE_CHECKING:
    from c2d_box.client import JobDetails


def outputs_summary(job: JobDetails, names: Mapping[str, str]) -> Text:
    """Return the summary; ``names`` are names of assets by DID, as far as they are known."""
    view = JobView.from_job(job)
    # Sizes may be missing from the Provider's list.
    total = sum(int(entry.get("filesize") or 0) for entry in job.results)
    lines = [
        ("state", f"{view.state_mark} {view.status} {view.state_text}"),
        ("reason", view.reason),
        ("algorithm", names.get(view.algorithm) or short_id(view.algorithm)),
        *[("input", names.get(did) or short_id(did)) for did in view.inputs],
        (
            "ended",
            f"{utc_text(view.ended)} after {duration_text(view.run_seconds(view.ended))}"
            if view.ended
            else "",
        ),
        ("results", f"{len(job.results)}, {size_text(total)}"),
    ]
    drawn = Text()
    for name, value in lines:
        if value:
            drawn.append(f"{name:<11}", "dim").append(f"{safe_text(value)}\n")
    return drawn.append("\ns saves all of them; a result under the cursor is shown here", "dim")
