"""Type ``result``: a job's result as an asset of its owner's, which only the engine writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self
from urllib.parse import unquote, urlsplit

from c2d_box.assets.files.file_object import MISSING_KEYS, FileObject, UserData, demanded_text


@dataclass(frozen=True)
class ResultFile(FileObject):
    """A job's result as an asset of its owner's; ``place`` is where it lies in the store of the Provider's
    operator.

    No key of the store is in it. ``proof`` is the engine's proof that this asset may show this result, see
    :mod:`c2d_box.assets.results`; it was made for one NFT and datatoken, so a copied entry opens nothing.
    """

    type: ClassVar[str] = "result"
    properties: ClassVar[Mapping[str, Any]] = {}

    job: str
    place: str = field(repr=False)
    nft: str
    datatoken: str
    proof: str = field(repr=False)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Parse an entry to which the ``nft`` and ``datatoken`` of the document around it were added."""
        keys = ("job", "place", "nft", "datatoken", "proof")
        return cls(*(demanded_text(value, key, MISSING_KEYS) for key in keys))

    def to_dict(self) -> dict[str, Any]:
        """Return the entry without ``nft`` and ``datatoken``, which stand in the document around it."""
        return {"type": "result", "job": self.job, "place": self.place, "proof": self.proof}

    def file_name(self) -> str:
        """Return the last part of the result's name."""
        return unquote(urlsplit(self.place).path).rsplit("/", 1)[-1]

    def sends_more_than_get(self, userdata: UserData) -> bool:
        """Return whether user data is sent; a result is read from the operator's own store."""
        return bool(userdata)
