"""docs/survival.md: which part was killed in which phase of a job, and how the job ended. Written by
test_survival.py only; what earlier runs saw stays until it is seen anew.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.harness import process_kills

DOCS = Path(__file__).parents[2] / "docs"
SEEN, PAGE = DOCS / "survival.json", DOCS / "survival.md"
PHASES = {
    "queued": None,
    "preparing": "admitted",
    "staging": "created",
    "running": "staged",
    "publishing": "ended",
    "cleaning": "finished",
}
"""Each phase, with the stage's moment at which the blow falls (none: as soon as the job exists)."""
_INTRODUCTION = """# What was killed, and how the job ended

Written by `pytest tests/cluster/test_survival.py --full --write-docs`; do not edit. In each cell one part
of a running box is killed with SIGKILL at the beginning of that phase of a real job (ordered, with inputs
through the Provider, results in the store). The cell says how the job ended and how long it took from its
start until nothing was left of it. 70 is success; 75: the algorithm's own container was killed, which is
told apart from a failure of ours; 81: it could not be known whether the algorithm had started, and it is
never started twice. In every cell the algorithm ran once at most, each result is listed once, and no pod,
volume, secret or lease of the job is left. "–": the part does not exist in that phase.

"""


@dataclass(frozen=True)
class Cell:
    """``struck``: how many processes were killed."""

    part: str
    phase: str
    code: int
    struck: int
    reason: str
    seconds: float


def add(cell: Cell) -> None:
    """Keep this cell and write the page anew."""
    seen = json.loads(SEEN.read_text()) if SEEN.exists() else {}
    seen[f"{cell.part} {cell.phase}"] = asdict(cell)
    SEEN.write_text(json.dumps(seen, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(_INTRODUCTION + _table({key: Cell(**value) for key, value in seen.items()}))


def _table(seen: dict[str, Cell]) -> str:
    lines = [f"| killed | {' | '.join(PHASES)} |", f"|---|{'---|' * len(PHASES)}"]
    for part in process_kills.PARTS:
        cells = [_cell(seen.get(f"{part} {phase}")) for phase in PHASES]
        lines.append(f"| {part} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "not run"
    return f"{cell.code} ({cell.seconds:.0f} s)" if cell.struck else "–"
