"""The common part of all drivers' records: how a record is stored, and the names derived from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from c2d_box.errors import StateProblem
from sandbox.clusters.port import JobIsolation

FORMAT = 1
"""Version of the files. Change it where an older program would misread a new record: it then refuses."""
NOT_ISOLATED = "JOBS ARE NOT ISOLATED IN THIS BOX: it exists for tests that must see themselves fail."
"""Warning at ``up`` and in ``status`` of a box with isolation off."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Options of a native or kind cluster that a user or a test chose."""

    egress: bool = False
    """Let service pods leave the machine. Job pods never can."""
    isolation_off: bool = False
    """Give job classes the ordinary pod network. For tests that must see themselves fail, never for users."""


class DriverRecord(Protocol):
    """The fields that every driver's record has: a dataclass with at least these.

    Records outlive the program that wrote them, so each field of a driver's own needs a default or a new
    ``FORMAT``.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def isolation(self) -> JobIsolation: ...

    @property
    def ports(self) -> dict[int, int]: ...


def runtime_classes(name: str) -> dict[str, str]:
    """Return the RuntimeClasses of a box by the stage of a job that they are for.

    The box's name is part of theirs: RuntimeClasses have no namespace, and handlers are one table of the
    node.
    """
    return {
        "algorithm": f"{name}-unrouted",
        "configuration": f"{name}-staging",
        "publishing": f"{name}-publishing",
    }


def not_running_error() -> StateProblem:
    """Return the error of verbs that need a running box."""
    return StateProblem("C2D-NOT-RUNNING", "The box is not running.", "Start it with `c2d-box up`.")


def require_record(record: T | None, home: Path) -> T:
    """Return the record; raise ``C2D-NO-CLUSTER`` where nothing was ever made in ``home``."""
    if record is None:
        raise StateProblem(
            "C2D-NO-CLUSTER", f"There is no cluster in {home}.", "Create it with `c2d-box up`."
        )
    return record


def record_text(record: DriverRecord) -> str:
    """Return the record as JSON text, which :func:`load_record` reads."""
    value = asdict(record) | {
        "format": FORMAT,
        "isolation": record.isolation.as_dict(),
        # JSON has only strings for keys.
        "ports": {str(host): node for host, node in record.ports.items()},
    }
    return json.dumps(value, indent=1)


def load_record(path: Path, make: Callable[[dict[str, Any]], T]) -> T | None:
    """Return what ``make`` builds of the record at ``path``; None where there is none.

    A record that cannot be read raises ``C2D-CLUSTER-RECORD``; None would let ``up`` make a second cluster
    beside the first.
    """
    try:
        value = json.loads(path.read_text())
        # Taken out: it is the file's, not one of the record's fields.
        if value.pop("format") != FORMAT:
            raise ValueError("another format")
        value["isolation"] = JobIsolation.from_dict(value["isolation"])
        value["ports"] = {int(host): int(node) for host, node in value["ports"].items()}
        return make(value)
    # Before the others: no file means no cluster, and is no damage.
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as cause:
        raise StateProblem(
            "C2D-CLUSTER-RECORD",
            f"The cluster's record {path} cannot be read.",
            "It was written by another version or damaged: forget the box with `c2d-box reset`.",
        ) from cause
