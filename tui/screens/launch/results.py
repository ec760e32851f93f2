"""The choice of what happens to a job's results: stored as they are, encrypted for the consumer, or published
as an asset.
"""

from __future__ import annotations

from sandbox.verbs.compute.job_output import JobOutput
from tui.dialogs.form import FormDialog, FormField, Values
from tui.widgets.text import safe_text

HOLDERS, EVERYBODY = "whom I give a datatoken", "whoever asks, free"


def output_text(output: JobOutput) -> str:
    """Describe the choice to the user who is about to start the job. Plain words, as the three choices differ
    in who can read the results.
    """
    if output.encrypt:
        return "results: encrypted, only you can read them"
    if output.publish:
        readers = "free for whoever asks" if output.free else "for whom you give a datatoken"
        return f"results: an asset “{safe_text(output.publish)}” of yours, {readers}"
    return "results: as they are; C2D hands them to you alone, the store's operator can read them"


def asset_form(known: JobOutput) -> FormDialog[JobOutput]:
    """Return the form for the asset's name and readers; without a name no asset is made."""
    # The two readers' texts are the values as well, so the form shows what it means.
    fields = (
        FormField("name", "Name of the asset", known.publish, placeholder="empty: results become no asset"),
        FormField("readers", "Who may have it", EVERYBODY if known.free else HOLDERS, (HOLDERS, EVERYBODY)),
    )
    return FormDialog("Make an asset of the results", fields, _preview_text, _read_output)


def _read_output(values: Values) -> JobOutput:
    """Return the choice; ``free`` without a name is dropped, as :class:`JobOutput` refuses it."""
    name = values["name"].strip()
    return JobOutput(publish=name, free=bool(name) and values["readers"] == EVERYBODY)


def _preview_text(values: Values) -> str:
    meant = _read_output(values)
    if not meant.publish:
        return f"{output_text(meant)}\n\nWith a name they become an asset of yours."
    return (
        f"{output_text(meant)}\n\n"
        "The box publishes it on the chain when the job is done, and hands it over to you.\n\n"
        "The publisher of every dataset must have allowed it; where one has not, starting is refused "
        "before anything is paid."
    )
