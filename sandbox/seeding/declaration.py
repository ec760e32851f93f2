"""Reads the list that ``c2d-box seed`` applies: accounts with their least balances, assets with their
permissions.

    accounts:
      consumer: {ocean: 500, eth: 10}
    assets:
      patients:
        type: dataset
        file: patients.csv          # beside this list; or url:
        price: 3
        permit: [mean]              # names of this list, or DIDs
      mean:
        type: algorithm
        file: mean.py
        image: algo-python

YAML or JSON. What is not understood is refused by its place; nothing is applied then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from c2d_box.errors import UsageError
from c2d_box.strict_json import JsonRefused
from c2d_box.strict_yaml import parse_yaml
from sandbox.defaults import ENTRYPOINT

EXAMPLE = "see: c2d-box seed --help"


class _StrictModel(BaseModel):
    """Base of the list's models: unknown keys are refused, values do not change."""

    # A misspelt key would be ignored otherwise, and with it a permission that was to be taken back.
    model_config = ConfigDict(extra="forbid", frozen=True)


class AccountSeed(_StrictModel):
    """The least balances of an account, in whole units."""

    eth: float = Field(0.0, ge=0)
    ocean: float = Field(0.0, ge=0)


class TrustSeed(_StrictModel):
    """A dataset's wider rules; publishers and markets are accounts of the box or addresses."""

    publishers: tuple[str, ...] = ()
    markets: tuple[str, ...] = ()
    all_published: bool = False
    raw: bool = False
    network: bool = False


class AssetSeed(_StrictModel):
    """One dataset or algorithm. ``permit`` and ``trust`` are complete: a permission that is not listed is
    taken back.
    """

    type: Literal["dataset", "algorithm"]
    file: str | None = None
    url: str | None = None
    owner: str = "publisher"
    name: str = ""
    description: str = ""
    price: float = Field(0.0, ge=0)
    services: tuple[Literal["compute", "access"], ...] = ()
    timeout: int = Field(0, ge=0)
    image: str = ""
    entrypoint: str = ENTRYPOINT
    permit: tuple[str, ...] = ()
    trust: TrustSeed = TrustSeed()

    @model_validator(mode="after")
    def _check_whole(self) -> AssetSeed:
        """Refuse combinations of fields that mean nothing."""
        # Across fields, so pydantic's own field checks cannot say it.
        if (self.file is None) == (self.url is None):
            raise ValueError("either file or url is wanted")
        if self.type == "algorithm" and not self.image:
            raise ValueError("an algorithm needs an image")
        if self.type == "algorithm" and (self.permit or self.trust != TrustSeed()):
            raise ValueError("permit and trust belong to datasets")
        return self

    @property
    def offered_services(self) -> tuple[str, ...]:
        """Return the services; a dataset is for compute and an algorithm for download, unless the list says
        more.
        """
        return self.services or (("compute",) if self.type == "dataset" else ("access",))


class Declaration(_StrictModel):
    """A whole list, with the folder that its files lie in."""

    accounts: dict[str, AccountSeed] = {}
    assets: dict[str, AssetSeed] = {}
    folder: Path = Field(Path(), exclude=True)
    """Folder of the list itself; relative files lie beside it. Not part of the document."""

    @model_validator(mode="after")
    def _check_known(self) -> Declaration:
        """Refuse a permission for a name that is no algorithm of the list."""
        for name, asset in self.assets.items():
            for algorithm in asset.permit:
                listed = self.assets.get(algorithm)
                # A misspelt name is noticed here, before anything is published.
                if not algorithm.startswith("did:") and (listed is None or listed.type != "algorithm"):
                    raise ValueError(f"{name} permits {algorithm}, which is no algorithm of this list")
        return self

    def content_source(self, asset: AssetSeed) -> str:
        """Return where an asset's content is: a path, or its URL."""
        return asset.url or str(self.folder / str(asset.file))


def read_declaration(path: Path) -> Declaration:
    """Read the list at ``path``; raise ``C2D-SEED-UNREADABLE`` or ``C2D-SEED-INVALID`` with the place."""
    try:
        # JSON is a subset of YAML, so one parser reads both.
        document = parse_yaml(path.read_bytes())
    except (OSError, JsonRefused) as cause:
        raise UsageError("C2D-SEED-UNREADABLE", f"{path} cannot be read: {cause}", EXAMPLE) from cause
    if not isinstance(document, dict):
        raise UsageError("C2D-SEED-INVALID", f"{path} is not a list of accounts and assets", EXAMPLE)
    try:
        # Given with the document, because a frozen model takes no field later. A `folder` in the list has no
        # effect.
        declared = Declaration.model_validate({**document, "folder": path.absolute().parent})
    except ValidationError as problem:
        raise UsageError("C2D-SEED-INVALID", f"{path}: {_problem_text(problem)}", EXAMPLE) from problem
    # Files are looked for now: a missing one must not be found after half of the list is published.
    for name, asset in declared.assets.items():
        if asset.file is not None and not Path(declared.content_source(asset)).is_file():
            raise UsageError(
                "C2D-SEED-NO-FILE",
                f"{path}: assets.{name}: there is no {asset.file} beside the list",
                EXAMPLE,
            )
    return declared


def _problem_text(problem: ValidationError) -> str:
    """Return pydantic's errors as one line, each with its place in the list."""
    said = []
    for error in problem.errors():
        place = ".".join(map(str, error["loc"])) or "the list"
        said.append(f"{place}: {error['msg'].removeprefix('Value error, ')}")
    return "; ".join(said)
