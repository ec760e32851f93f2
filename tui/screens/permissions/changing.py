"""Changes of a dataset's trust: single algorithms, and the switches that trust more than one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from c2d_box.errors import UsageError
from sandbox.verbs.publishing.trust import WARNINGS, TrustChange, TrustRules, rules_of
from tui.actions.action import UserAction
from tui.dialogs.form import FormDialog, FormField, Values

if TYPE_CHECKING:
    from sandbox.verbs.publishing.permissions import PermissionCell
    from tui.runtime.app_port import AppPort

ANSWERS = ("no", "yes")
# Field names are those of :class:`TrustRules` and :class:`TrustChange`; ``getattr`` below relies on it.
FLAGS = {
    "raw": "Raw code, published by nobody",
    "network": "Network access for algorithms",
    "all_published": "Everything that anybody publishes",
}
LISTS = {"publishers": "Publishers (accounts)", "markets": "Marketplaces (addresses)"}


def permit_action(app: AppPort, cell: PermissionCell, names: dict[str, str]) -> UserAction:
    """Return the action that permits a denied pair or revokes an allowed one."""
    who, source = app.publisher, app.source
    dataset = names.get(cell.dataset, cell.dataset)
    algorithm = names.get(cell.algorithm, cell.algorithm)
    # One key toggles: the dialog names the direction, so a stale matrix cannot mislead.
    verb = "revoke" if cell.allowed else "permit"
    sign = "-" if cell.allowed else "+"
    change = source.revoke_algorithm if cell.allowed else source.permit_algorithm
    return UserAction(
        title=f"{verb.capitalize()} {algorithm} on {dataset}?",
        command=app.command_line(f"{verb} {cell.dataset} {cell.algorithm}"),
        verb=lambda _ask: change(who, cell.dataset, cell.algorithm),
        effects=(
            f"account {who} signs a new version of the dataset's DDO, on the chain:",
            f"{sign} publisherTrustedAlgorithms: {algorithm}, with the checksums it has now",
        ),
        losses=("nobody can start this algorithm on this dataset; jobs under way go on",)
        if cell.allowed
        else (),
        proceed=verb.capitalize(),
        pokes=("permissions", "assets"),
    )


def trust_form(app: AppPort, dataset: str, name: str) -> FormDialog[UserAction] | None:
    """Return the form with the trust switches of one dataset; None while its DDO is not known."""
    ddo = next((ddo for ddo in app.feeds.assets.reading.value or () if ddo["id"] == dataset), None)
    if ddo is None:
        return None
    rules = rules_of(ddo)
    fields = [
        *(FormField(key, label, ANSWERS[getattr(rules, key)], ANSWERS) for key, label in FLAGS.items()),
        *(
            FormField(key, label, " ".join(getattr(rules, key)), placeholder="0x… 0x…, empty for none")
            for key, label in LISTS.items()
        ),
    ]
    return FormDialog(
        f"Whom does {name} trust?",
        tuple(fields),
        lambda values: _trust_meaning(rules, values),
        _trust_action(app, dataset, name, rules),
    )


def _wanted_trust(rules: TrustRules, values: Values) -> TrustChange:
    """Return only the rules that differ from the current ones. Raises ``C2D-USAGE`` for a text that is no
    address.

    A rule that is not mentioned stays as it is on the chain, even if somebody has changed it since the form
    was opened.
    """
    flags = {key: values[key] == "yes" for key in FLAGS}
    # Addresses are pasted from anywhere: commas, blanks and line ends all separate them.
    lists = {key: tuple(values[key].replace(",", " ").split()) for key in LISTS}
    for key, addresses in lists.items():
        for address in addresses:
            if not (address.startswith("0x") and len(address) == 42):
                raise UsageError("C2D-USAGE", f"{address} is no address ({LISTS[key]})", "0x and 40 digits")
    changed = {key: value for key, value in {**flags, **lists}.items() if value != getattr(rules, key)}
    return TrustChange(**changed)  # type: ignore[arg-type]


def _trust_meaning(rules: TrustRules, values: Values) -> str:
    """Return the diff of the DDO and, in plain words, what it allows: the whole result, not only the
    change.
    """
    try:
        wanted = _wanted_trust(rules, values)
    except UsageError as problem:
        return f"✗ {problem.message}"
    lines = ["what changes in the DDO:", ""]
    for key in (*FLAGS, *LISTS):
        new = getattr(wanted, key)
        if new is not None:
            lines += [f"- {key}: {_value_text(getattr(rules, key))}", f"+ {key}: {_value_text(new)}"]
    if wanted.is_empty:
        lines.append("nothing")
    warnings = [text for key, text in WARNINGS.items() if _is_open(rules, wanted, key)]
    lines += ["", "what this dataset then allows:", ""]
    lines += [f"! {text}" for text in warnings] or ["only the algorithms that were permitted one by one"]
    # An easy mistake: a dataset with a list of algorithms stays closed to all others, whatever this switch
    # says.
    if rules.algorithms and _is_open(rules, wanted, "all_published"):
        lines += ["", "lists that are not empty restrict: as long as one is, this switch has no effect"]
    return "\n".join(lines)


def _is_open(rules: TrustRules, wanted: TrustChange, key: str) -> bool:
    """Return whether the rule is open after the change: the new value, or the current one where none is
    wanted.
    """
    new = getattr(wanted, key)
    return bool(getattr(rules, key) if new is None else new)


def _value_text(value: object) -> str:
    """Return a value as the DDO's JSON writes it."""
    if isinstance(value, tuple):
        return ", ".join(value) or "[]"
    return str(value).lower()


def _trust_action(app: AppPort, dataset: str, name: str, rules: TrustRules) -> Callable[[Values], UserAction]:
    """Return the function that makes the action of the form's values. Only what the change opens is listed as
    a loss.
    """

    def action(values: Values) -> UserAction:
        wanted, who = _wanted_trust(rules, values), app.publisher
        if wanted.is_empty:
            raise UsageError("C2D-TRUST-NOTHING", "nothing is changed", "esc leaves it as it is")
        return UserAction(
            title=f"Change whom {name} trusts?",
            command=app.command_line(f"trust {dataset} {_command_words(wanted)}"),
            verb=lambda _ask: app.source.change_trust(who, dataset, wanted),
            effects=(f"account {who} signs a new version of the dataset's DDO, on the chain",),
            losses=tuple(text for key, text in WARNINGS.items() if getattr(wanted, key)),
            proceed="Sign and change",
            pokes=("permissions", "assets"),
        )

    return action


def _command_words(wanted: TrustChange) -> str:
    """Return the options of ``c2d-box trust``; an emptied list is the word ``none``, as an option needs a
    value.
    """
    words = []
    for key, option in (("publishers", "--publisher"), ("markets", "--market")):
        addresses = getattr(wanted, key)
        if addresses is not None:
            words += [f"{option} {address}" for address in addresses or ("none",)]
    for key, (yes, no) in {
        "all_published": ("--all-published", "--not-all-published"),
        "raw": ("--raw", "--no-raw"),
        "network": ("--network", "--no-network"),
    }.items():
        if getattr(wanted, key) is not None:
            words.append(yes if getattr(wanted, key) else no)
    return " ".join(words)
