"""The choice of what happens to a job's results: stored as they are, encrypted for the consumer, or published
as an asset.
"""

from __future__ import annotations

from sandbox.verbs.output import Output
from tui.dialogs.form import Field, FormDialog, Values
from tui.widgets.text import safe

HOLDERS, EVERYBODY = "whom I give a datatoken", "whoever asks, free"


def worded(output: Output) -> str:
    """Describe the choice to the user who is about to start the job."""
    if output.encrypt:
        return "results: encrypted, only you can read them"
    if output.publish:
        readers = "free for whoever asks" if output.free else "for whom you give a datatoken"
        return f"results: an asset “{safe(output.publish)}” of yours, {readers}"
    return "results: as they are; C2D hands them to you alone, the store's operator can read them"


def asset_form(known: Output) -> FormDialog[Output]:
    """Return the form for the asset's name and readers; without a name no asset is made."""
    fields = (
        Field("name", "Name of the asset", known.publish, placeholder="empty: results become no asset"),
        Field("readers", "Who may have it", EVERYBODY if known.free else HOLDERS, (HOLDERS, EVERYBODY)),
    )
    return FormDialog("Make an asset of the results", fields, _preview, _meant)


def _meant(values: Values) -> Output:
    name = values["name"].strip()
    return Output(publish=name, free=bool(name) and values["readers"] == EVERYBODY)


def _preview(values: Values) -> str:
    meant = _meant(values)
    if not meant.publish:
        return f"{worded(meant)}\n\nWith a name they become an asset of yours."
    return (
        f"{worded(meant)}\n\n"
        "The box publishes it on the chain when the job is done, and hands it over to you.\n\n"
        "The publisher of every dataset must have allowed it; where one has not, starting is refused "
        "before anything is paid."
    )
