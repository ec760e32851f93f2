"""Checks the section ``output``: a job's wishes for its results, and the demands of its inputs' publishers.

Unknown keys are Ocean's and mean nothing here (the original threw the whole section away); a known key with
a value that cannot be is refused, since results published otherwise than asked for cannot be called back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from c2d_box.assets.crypto import ecies
from c2d_box.assets.disclosure import DisclosureRules
from c2d_box.operator_service.arguments import OperatorRefusal

_Text = Annotated[str, StringConstraints(max_length=2000)]
_Word = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class PublishSection(BaseModel):
    """An asset of the owner's on the chain. ``free``: whoever asks gets a datatoken; else the owner mints."""

    model_config = ConfigDict(extra="forbid", strict=True)

    # Everything has a default: ``publish: {}`` asks for an asset and leaves its description to us.
    name: _Word | None = None
    description: _Text | None = None
    license: _Word | None = None
    tags: Annotated[list[_Word], Field(max_length=20)] = []
    free: bool = False


class OutputSection(BaseModel):
    """The keys of ``output`` that mean something here; other keys are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)

    publish: PublishSection | None = None
    """Publish the results as an asset."""
    encrypt: Annotated[str, AfterValidator(ecies.public_key)] | None = None
    """Public key of the one who may read the results."""
    disclosure: (
        DisclosureRules | Annotated[list[DisclosureRules], Field(min_length=1, max_length=100)] | None
    ) = None
    """The publishers' rules: one for all inputs, or a list with one for each publisher."""


def read_output(given: Any, *, sealed_only: bool = False) -> dict[str, Any]:
    """Return the section for the WorkFlow; raises OperatorRefusal. ``sealed_only``:
    the store requires encryption.
    """
    try:
        # Anything that is no object counts as an empty section.
        found = OutputSection.model_validate(dict(given) if isinstance(given, Mapping) else {})
    except ValidationError as problem:
        # The place only: the value may be long, and is the caller's own.
        where = ".".join(str(part) for part in problem.errors()[0]["loc"])
        raise OperatorRefusal(400, f"The output section is not valid: {where}") from None
    if sealed_only and found.encrypt is None:
        raise OperatorRefusal(400, "Results leave this operator encrypted only: output.encrypt is missing.")
    # The asset's buyers could not open them.
    if found.encrypt is not None and found.publish is not None:
        raise OperatorRefusal(400, "Results that are encrypted for one reader cannot become an asset.")
    return found.model_dump(by_alias=True, exclude_none=True)
