"""Computes from job and grants what the input stage has to put where: Ocean's tree below ``/data``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from c2d_box.limits import carries_code
from c2d_box.workflow import names

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z")
"""Names of folders that are names and nothing else. A DID is the publisher's text, and ``..`` or a slash
would lead out of the inputs."""

Kind = Literal["dataset", "algorithm"]
"""The two kinds of assets that a job is given."""


class NotLaidOut(Exception):
    """The job cannot be staged as it is described; ``status`` is 31 or 32."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class GrantedFile:
    """One granted file; ``index`` is None for a DDO."""

    kind: Kind
    did: str
    index: int | None
    token: str
    target: Path

    @property
    def failure_status(self) -> int:
        """The job's state if this fetch fails."""
        # Ocean's clients know two states of failed staging, one for data and one for the algorithm.
        return 31 if self.kind == "dataset" else 32

    @property
    def title(self) -> str:
        """The name of the file in logs and reasons, which never holds its address."""
        what = "DDO" if self.index is None else f"file {self.index}"
        return f"{self.kind} {self.did or '(raw)'}, {what}"


@dataclass(frozen=True, slots=True)
class CarriedFile:
    """A file whose content the job itself carries."""

    target: Path
    content: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class VolumeLayout:
    """Everything that the input stage has to fetch and to write."""

    folders: tuple[Path, ...]
    writes: tuple[CarriedFile, ...]
    fetches: tuple[GrantedFile, ...]


def lay_out(job: dict[str, Any], grants: dict[str, Any], data: Path) -> VolumeLayout:
    """Compute the layout; raise NotLaidOut where job and grants do not agree or a name is no name."""
    inputs = grants.get("inputs") or []
    # Grants and WorkFlow come in two objects. Were they of two jobs, an algorithm would get data that nobody
    # has paid for in this job.
    expected = [entry["id"] for entry in job.get("inputs") or []]
    if [entry.get("did") for entry in inputs] != expected:
        raise NotLaidOut(31, "The grants do not belong to the datasets of this job.")
    folders = [data / names.INPUTS / _folder_name(entry["did"]) for entry in inputs]
    fetches = [fetch for entry in inputs for fetch in _dataset_files(entry, data)]
    algorithm = job.get("algorithm") or {}
    writes = [_custom_data(algorithm, data)]
    target = data / names.TRANSFORMATIONS
    # Code that the job carries itself needs no fetch; Provider and pods have one rule for when it does.
    code = algorithm.get("rawcode") or ""
    granted = grants.get("algorithm") or {}
    if carries_code(code):
        writes.append(CarriedFile(target / "algorithm", code.encode(), executable=True))
    elif not granted.get("files"):
        raise NotLaidOut(32, "There is neither code nor a file of the algorithm.")
    else:
        fetches += _algorithm_files(granted, target)
    fetches += _ddo_file("algorithm", granted, data)
    # A folder once, too: two entries of one dataset share it.
    return VolumeLayout(tuple(dict.fromkeys(folders)), tuple(writes), tuple(_without_repeats(fetches)))


def _dataset_files(entry: dict[str, Any], data: Path) -> list[GrantedFile]:
    """Return the files of one dataset at ``inputs/<did>/<index>``, and its DDO: the original's tree."""
    did = entry["did"]
    folder = data / names.INPUTS / _folder_name(did)
    files = [
        GrantedFile("dataset", did, index, token, folder / str(index))
        for index, token in enumerate(entry.get("files") or [])
    ]
    return files + _ddo_file("dataset", entry, data)


def _algorithm_files(granted: dict[str, Any], target: Path) -> list[GrantedFile]:
    """Return the algorithm's files. The first is called ``algorithm``, which ``$ALGO`` in entrypoints stands
    for; further ones go by their index."""
    return [
        GrantedFile("algorithm", granted.get("did") or "", index, token, target / (str(index or "algorithm")))
        for index, token in enumerate(granted["files"])
    ]


def _ddo_file(kind: Kind, entry: dict[str, Any], data: Path) -> list[GrantedFile]:
    """Return the DDO of an asset at ``ddos/<did>``; nothing for raw code, which has none."""
    did, token = entry.get("did") or "", entry.get("ddo")
    return (
        [GrantedFile(kind, did, None, token, data / names.DDOS / _folder_name(did))] if did and token else []
    )


def _custom_data(algorithm: dict[str, Any], data: Path) -> CarriedFile:
    """Return the file of custom data. It is always there, an empty object where the consumer gave nothing:
    algorithms open it unasked."""
    custom = algorithm.get("custom")
    content = json.dumps({} if custom is None else custom, ensure_ascii=False)
    return CarriedFile(data / names.INPUTS / "algoCustomData.json", content.encode())


def _without_repeats(fetches: list[GrantedFile]) -> list[GrantedFile]:
    """Return each target once: the same asset twice in a job is one tree."""
    return list({fetch.target: fetch for fetch in fetches}.values())


def _folder_name(did: str) -> str:
    """Return the DID as a folder's name; raise NotLaidOut for one that is no plain name."""
    bare = names.bare_did(did)
    if not _SAFE.match(bare):
        raise NotLaidOut(31, "A dataset's DID cannot be the name of a folder.")
    return bare
