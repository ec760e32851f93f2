"""Publishing a local file or URL through a form, with a preview of the DDO.

The form's values are texts; they become an offer in one place (``_read_offer``), for the preview, the command
line that is shown and the verb alike.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from c2d_box.errors import UsageError
from sandbox.defaults import ENTRYPOINT, IMAGE
from tui.actions.action import UserAction
from tui.dialogs.form import FormDialog, FormField, Values
from tui.widgets.text import size_text

if TYPE_CHECKING:
    from sandbox.install.images import ContainerImage
    from sandbox.verbs.publishing.assets import AssetOffer
    from tui.runtime.app_port import AppPort

# Fields of both forms. Their keys are read by the functions below and by no other module.
TITLE = FormField("title", "Name", placeholder="the file's name")
SOURCE = FormField("source", "File (ctrl+o picks) or URL", file=True, placeholder="./data.csv or https://…")


def _offer_fields(service: str) -> tuple[FormField, ...]:
    """Return the fields that datasets and algorithms share; ``service`` is the kind of access offered
    first.
    """
    return (
        FormField("description", "Description"),
        FormField("price", "Price in OCEAN", "0"),
        FormField("service", "May be bought as", service, ("compute", "access")),
    )


def dataset_form(app: AppPort) -> FormDialog[UserAction]:
    """Return the form that publishes a dataset."""
    fields = (SOURCE, TITLE, *_offer_fields("compute"))
    return FormDialog(
        "Publish a dataset",
        fields,
        lambda values: _preview_text(app, "dataset", values),
        _dataset_action(app),
    )


def algorithm_form(app: AppPort, images: Sequence[ContainerImage] | None) -> FormDialog[UserAction]:
    """Return the form that publishes an algorithm; ``images`` are those on the node, None while they are
    unknown.
    """
    # Without an answer about the node's images the default one is offered.
    known = tuple(image.image for image in images or ()) or (IMAGE,)
    fields = (
        SOURCE,
        TITLE,
        FormField("image", "Image", known[0], known),
        FormField("entrypoint", "Entrypoint", ENTRYPOINT),
        *_offer_fields("access"),
    )
    return FormDialog(
        "Publish an algorithm",
        fields,
        lambda values: _preview_text(app, "algorithm", values),
        _algorithm_action(app),
    )


def _preview_text(app: AppPort, kind: str, values: Values) -> str:
    """Return the DDO as it would be signed, and what is wrong with it. Nothing is signed, stored or uploaded
    for it.
    """
    try:
        offer = _read_offer(values, check=False)
    except UsageError as problem:
        return f"✗ {problem.message}"
    # The verb itself drafts, so that preview and published DDO cannot differ.
    drawn = app.source.draft_ddo(
        app.publisher,
        kind,
        _source_path(values),
        offer,
        values.get("image", ""),
        values.get("entrypoint", ""),
    )
    # An empty form is not full of errors yet.
    problems = drawn.problems if values["source"] else {}
    lines = [f"✗ {path}: {problem}" for path, problem in problems.items()]
    can_be = values["source"] and not problems
    lines += ["✓ it can be published" if can_be else "", _files_text(values["source"])]
    lines.append(f"an order costs {offer.price:g} OCEAN" if offer.price else "orders are free")
    if kind == "dataset" and values["service"] == "compute":
        lines.append(f"nobody may compute on it until you permit an algorithm ({app.key_of('permissions')})")
    elif kind == "dataset":
        # Access gives the file away; somebody who wanted compute only should read this before signing.
        lines.append("whoever orders it can download the file itself")
    return "\n".join([*lines, "", "the DDO that you sign:", json.dumps(drawn.document, indent=2)])


def _default_title(values: Values) -> str:
    """Return the title, by default the file's name, as the command line does."""
    return values["title"] or Path(values["source"]).name


def _files_text(source: str) -> str:
    """Describe the source in words; a text that begins with ``no`` says that it cannot be published."""
    if source.startswith(("http://", "https://", "ipfs://")):
        return "1 remote file, its place encrypted to the Provider"
    path = Path(source).expanduser()
    if not source:
        return "no file or URL yet"
    if not path.is_file():
        return "no such file yet"
    return f"1 file, {size_text(path.stat().st_size)}, put into the box's private S3"


def _read_offer(values: Values, check: bool = True) -> AssetOffer:
    """Return the offer that the form's values make. ``check`` is off for the preview, which shows incomplete
    values too.
    """
    from sandbox.verbs.publishing.assets import AssetOffer

    try:
        # Text until here, as the preview must survive what is half typed.
        price = float(values["price"] or 0)
    except ValueError:
        problem = f"{values['price']} is not a price"
        raise UsageError("C2D-USAGE", problem, "write a number, 0 is free") from None
    if check and _files_text(values["source"]).startswith("no "):
        raise UsageError(
            "C2D-PUBLISH-NO-FILE", f"there is no file {values['source'] or '…'}", "give a path or a URL"
        )
    return AssetOffer(
        _default_title(values), values["description"], price=price, services=(values["service"],)
    )


def _source_path(values: Values) -> str:
    """Return the source as the verb takes it: URLs as they are, paths with ``~`` resolved."""
    source = values["source"]
    return source if "://" in source else str(Path(source).expanduser())


def _command_words(kind: str, values: Values, offer: AssetOffer) -> str:
    """Return the words of ``c2d-box publish`` for these values, quoted for a shell."""
    words = ["publish", kind, shlex.quote(_source_path(values)), "--name", shlex.quote(offer.name)]
    words += ["--price", f"{offer.price:g}", "--type", offer.services[0]]
    if offer.description:
        words += ["--description", shlex.quote(offer.description)]
    if kind == "algorithm":
        words += ["--image", shlex.quote(values["image"]), "--entrypoint", shlex.quote(values["entrypoint"])]
    return " ".join(words)


def _publish_effects(app: AppPort, kind: str, offer: AssetOffer) -> tuple[str, ...]:
    """Return the effects that the confirmation lists: everything that is signed, and who pays what."""
    return (
        f"account {app.publisher} signs: an NFT and a datatoken for this {kind} on the chain",
        "the file's place is encrypted to the Provider",
        f"an order costs {offer.price:g} OCEAN" if offer.price else "orders are free",
    )


def _dataset_action(app: AppPort) -> Callable[[Values], UserAction]:
    """Return the function that makes the action of the form's values. The values are checked anew: the
    preview that the user saw also draws incomplete ones.
    """

    def action(values: Values) -> UserAction:
        offer, who = _read_offer(values), app.publisher
        return UserAction(
            title=f"Publish the dataset {offer.name}?",
            command=app.command_line(_command_words("dataset", values, offer)),
            verb=lambda _ask: app.source.publish_dataset(who, _source_path(values), offer),
            effects=_publish_effects(app, "dataset", offer),
            proceed="Sign and publish",
            pokes=("assets", "permissions"),
        )

    return action


def _algorithm_action(app: AppPort) -> Callable[[Values], UserAction]:
    """Return the same for an algorithm, with the image and the command that will run in it."""

    def action(values: Values) -> UserAction:
        offer, who = _read_offer(values), app.publisher
        image, entrypoint = values["image"], values["entrypoint"]
        return UserAction(
            title=f"Publish the algorithm {offer.name}?",
            command=app.command_line(_command_words("algorithm", values, offer)),
            verb=lambda _ask: app.source.publish_algorithm(
                who, _source_path(values), image, entrypoint, offer
            ),
            effects=_publish_effects(app, "algorithm", offer),
            proceed="Sign and publish",
            pokes=("assets", "permissions"),
        )

    return action
