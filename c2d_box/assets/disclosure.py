"""What a publisher demands of everything that is computed on a dataset before it may leave.

``services[].additionalInformation.c2d.disclosure`` of a DDO. A rule that cannot be understood is not a rule
that may be skipped: parsing is strict, and where several inputs have rules the strictest of each holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

_Positive = Annotated[int, Field(ge=1, le=2**53)]
_Type = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,10}$")]
_Column = Annotated[str, StringConstraints(min_length=1, max_length=100)]
COUNT_COLUMNS = ("count", "n")


class InvalidRules(Exception):
    """The section is no set of rules."""


class Rules(BaseModel):
    """None means: no such limit.

    ``types``: allowed file name extensions, each checked against the content. ``max_rows``: of any table (CSV
    lines without the header, elements of a JSON array). ``min_cell``: the smallest number of individuals that
    a published figure may stand for; tables then need one of the ``count_columns``, and nothing but tables
    may leave.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True
    )

    max_files: _Positive | None = None
    max_bytes: _Positive | None = None
    max_rows: _Positive | None = None
    min_cell: _Positive | None = None
    types: Annotated[list[_Type], Field(max_length=50)] | None = None
    count_columns: Annotated[list[_Column], Field(max_length=50)] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Without what is not limited; :func:`parse` reads it again."""
        return self.model_dump(by_alias=True, exclude_none=True)

    @property
    def counted(self) -> frozenset[str]:
        """The columns that hold numbers of individuals, in lower case."""
        return frozenset(name.lower() for name in self.count_columns or COUNT_COLUMNS)


def parse(section: object) -> Rules | None:
    """None where there is no section; raises InvalidRules."""
    if section is None:
        return None
    try:
        return Rules.model_validate(section)
    except ValidationError as problem:
        where = ".".join(str(part) for part in problem.errors()[0]["loc"])
        raise InvalidRules(f"the disclosure rule {where or 'section'} cannot be understood") from None


def strictest(rules: Iterable[Rules | None]) -> Rules | None:
    """All of them at once; None where nobody has any."""
    present = [entry for entry in rules if entry is not None]
    if not present:
        return None
    typed = [set(entry.types) for entry in present if entry.types is not None]
    columns = {name for entry in present for name in entry.count_columns or ()}
    return Rules(
        max_files=_least(entry.max_files for entry in present),
        max_bytes=_least(entry.max_bytes for entry in present),
        max_rows=_least(entry.max_rows for entry in present),
        min_cell=max((entry.min_cell for entry in present if entry.min_cell), default=None),
        types=sorted(set.intersection(*typed)) if typed else None,
        count_columns=sorted(columns) or None,
    )


def _least(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)
