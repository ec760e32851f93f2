"""docs/verification.yaml is the one table of claims, of the commands that prove them, and of figures.

The page docs/verification.md is made from it. Benches write their own figures into it with ``--record``, so
that a figure is never copied by hand from a terminal.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).parents[1] / "docs"
TABLE, PAGE = DOCS / "verification.yaml", DOCS / "verification.md"
RECORD_HELP = "write the figure into docs/verification.yaml, and the page anew"
Sections = list[dict[str, Any]]

_TABLE_HEAD = """# Claims, the commands that prove them, and the figures seen last. verification.md is
# made of it by `pytest tests/unit/test_verification_page.py --write-docs`, which also brings this file into
# its form. `before` and `after` are texts around a section's table. Of a claim: `run` are commands, `how` is
# a remark about them, `seen` the figure, which `python -m tests.bench.NAME --record` overwrites together with
# `date`, and `note` stays beside the figure.
"""
_PAGE_HEAD = """# Verification

Written by `pytest tests/unit/test_verification_page.py --write-docs` from
[verification.yaml](verification.yaml); do not edit.

Every claim, the one command that proves it, and the figure last seen. Figures were taken on a machine with
two cores, 24 GiB and no accelerator; where other work ran at the same time it says so. `make verify` runs
every test in full; `make test` samples the large sweeps by the commit.

`pytest` below is `.venv/bin/python -m pytest`.
"""


def read_table(path: Path = TABLE) -> Sections:
    sections = yaml.safe_load(path.read_text())
    assert isinstance(sections, list)
    return sections


def format_table(sections: Sections) -> str:
    """Write the table in its only form, so that a recorded figure changes no other line."""
    dumped = [yaml.safe_dump([each], sort_keys=False, allow_unicode=True, width=110) for each in sections]
    return "\n".join([_TABLE_HEAD, *dumped])


def render_page(sections: Sections) -> str:
    return "\n".join([_PAGE_HEAD, *map(_render_section, sections)])


def record_figure(bench: str, figure: str, table: Path = TABLE, page: Path = PAGE) -> None:
    """Write what ``python -m tests.bench.BENCH`` has measured beside the one claim that it proves."""
    sections = read_table(table)
    command = f"python -m tests.bench.{bench}"
    [claim] = [
        claim
        for section in sections
        for claim in section["claims"]
        if any(run.partition(" --")[0] == command for run in claim["run"])
    ]
    note = claim.pop("note", None)
    claim["seen"] = f"{figure} (load {os.getloadavg()[0]:.0f})"
    claim["date"] = time.strftime("%Y-%m-%d")
    if note:
        claim["note"] = note
    table.write_text(format_table(sections))
    page.write_text(render_page(sections))


def _render_section(section: dict[str, Any]) -> str:
    has_figures = any("seen" in claim for claim in section["claims"])
    columns = ["claim", "command", *(["last seen"] if has_figures else [])]
    rows = [_cells(claim)[: len(columns)] for claim in section["claims"]]
    lines = [f"| {' | '.join(row)} |" for row in [columns, *rows]]
    lines.insert(1, f"|{'---|' * len(columns)}")
    texts = [f"## {section['title']}", section.get("before", ""), "\n".join(lines), section.get("after", "")]
    return "\n\n".join(text.strip() for text in texts if text) + "\n"


def _cells(claim: dict[str, Any]) -> list[str]:
    commands = ", ".join(f"`{command}`" for command in claim["run"])
    seen = f"{claim['seen']}, {claim['date']}" if "date" in claim else claim.get("seen", "")
    return [
        claim["claim"],
        "; ".join(filter(None, [commands, claim.get("how")])),
        "; ".join(filter(None, [seen, claim.get("note")])),
    ]
