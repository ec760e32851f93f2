"""Editing and ending what is published.

Both are transactions of the acting publisher, so they are confirmed with what is signed and what cannot be
had back.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from c2d_box.errors import UsageError
from tui.actions.action import UserAction
from tui.dialogs.form import FormDialog, FormField, Values

if TYPE_CHECKING:
    from tui.backend.port import Ddo
    from tui.runtime.app_port import AppPort


def find_asset(app: AppPort, did: str) -> Ddo | None:
    """Return the asset's DDO from the last answer of the feed, or None."""
    return next((ddo for ddo in app.feeds.assets.reading.value or () if ddo["id"] == did), None)


def edit_asset(app: AppPort, did: str) -> None:
    """Open a form with the asset's current name and description. An emptied field keeps its old value."""
    ddo = find_asset(app, did)
    if ddo is None:
        return
    now = {key: str(ddo["metadata"].get(key) or "") for key in ("name", "description")}
    fields = (
        FormField("name", "Name", now["name"]),
        FormField("description", "Description", now["description"]),
    )

    def changed(values: Values) -> dict[str, str]:
        # Only what differs is published: every edit is a transaction.
        return {key: values[key] for key in now if values[key] and values[key] != now[key]}

    def preview(values: Values) -> str:
        lines = ["what changes in the DDO:", ""]
        for key, value in changed(values).items():
            # The form of a diff, old above new, as the publisher signs a change.
            lines += [f"- metadata.{key}: {now[key]}", f"+ metadata.{key}: {value}"]
        return "\n".join([*lines, "", "DID, price, orders and permissions stay."])

    def action(values: Values) -> UserAction:
        new, who, source = changed(values), app.publisher, app.source
        if not new:
            raise UsageError("C2D-EDIT-NOTHING", "nothing is changed", "esc leaves it as it is")
        # Quoted for a shell, as the command may be pasted.
        words = " ".join(f"--{key} {shlex.quote(value)}" for key, value in new.items())
        return UserAction(
            title=f"Change {now['name']}?",
            command=app.command_line(f"edit {did} {words}"),
            verb=lambda _ask: source.edit_asset(who, did, new.get("name"), new.get("description")),
            effects=(f"account {who} signs a new version of the DDO, on the chain",),
            proceed="Sign and change",
            pokes=("assets", "permissions"),
        )

    app.fill_form(FormDialog(f"Edit {now['name']}", fields, preview, action))


def end_asset(app: AppPort, did: str) -> None:
    """Confirm, then end the asset's life on the chain: the NFT's state changes, nothing is deleted."""
    who, source, name = app.publisher, app.source, app.feeds.asset_names.get(did, did)
    app.perform_action(
        UserAction(
            title=f"End {name}?",
            command=app.command_line(f"end {did}"),
            verb=lambda _ask: source.end_asset(who, did),
            effects=(f"account {who} signs the asset's end of life, on the chain",),
            losses=(
                "nobody can order it any more, and no job can use it",
                "its file stays where it is; running jobs go on",
            ),
            proceed="End it",
            pokes=("assets", "permissions"),
        )
    )
