"""The one-command loop on the real cluster: run, edit, run again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from sandbox.box import Box

Cli = Callable[..., subprocess.CompletedProcess[str]]
PROGRAM = """import json, os, pathlib
did = json.loads(os.environ["DIDS"])[0]
rows = pathlib.Path(os.environ["INPUTS"], did, "0").read_text().splitlines()[1:]
pathlib.Path(os.environ["OUTPUTS"], "n.json").write_text(json.dumps({"n": len(rows), "version": 1}))
"""


def test_a_script_runs_in_one_command_and_after_an_edit_with_the_same(
    box: Box, cli: Cli, tmp_path: Path
) -> None:
    script, data = tmp_path / "count.py", tmp_path / "rows.csv"
    script.write_text(PROGRAM)
    data.write_text("a\n1\n2\n")
    words = ("--json", "run", str(script), "--data", str(data), "--to", str(tmp_path / "out"))

    refused = cli(*words, check=False)
    assert refused.returncode == 5 and "C2D-RUN-NOT-PERMITTED" in refused.stderr

    first = json.loads(cli("--yes", *words).stdout)
    assert len(first["permitted"]) == 1
    assert json.loads(Path(first["folder"], "n.json").read_text()) == {"n": 2, "version": 1}

    unchanged = json.loads(cli(*words).stdout)
    assert unchanged["published"] == [] and unchanged["permitted"] == []

    script.write_text(PROGRAM.replace('"version": 1', '"version": 2'))
    data.write_text("a\n1\n2\n3\n")
    stale = cli(*words, check=False)
    assert "+" in stale.stderr and '\\"version\\": 2' in stale.stderr
    again = json.loads(cli("--yes", *words).stdout)
    assert (again["datasets"], again["algorithm"]) == (first["datasets"], first["algorithm"])
    assert json.loads(Path(again["folder"], "n.json").read_text()) == {"n": 3, "version": 2}


def test_after_a_reset_a_run_computes_on_the_data_it_names(box: Box, cli: Cli, tmp_path: Path) -> None:
    """DIDs come again, for whatever is published next: here for other data of the same account."""
    script, one, two = tmp_path / "count.py", tmp_path / "one.csv", tmp_path / "two.csv"
    script.write_text(PROGRAM)
    one.write_text("a\n1\n")
    two.write_text("a\n1\n2\n3\n4\n5\n")
    words = ("--json", "--yes", "run", str(script), "--data", str(one), "--to", str(tmp_path / "out"))
    cli("reset", "--assets", "--yes")
    first = json.loads(cli(*words).stdout)
    cli("reset", "--assets", "--yes")
    other = json.loads(cli("--json", "publish", "dataset", str(two)).stdout)
    assert other["did"] == first["datasets"][0], "the case needs a DID that came again"
    again = json.loads(cli(*words).stdout)
    assert again["datasets"][0] != other["did"]
    assert json.loads(Path(again["folder"], "n.json").read_text())["n"] == 1
    cli("verify", str(again["job"]["jobId"]))
