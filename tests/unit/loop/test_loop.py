"""The loop's parts that need no box: what it remembers, the template, the dry run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from c2d_box.errors import Failed, UsageError
from sandbox.loop.creating import new_algorithm
from sandbox.loop.memory import Known, Memory, digest
from sandbox.loop.trying import dry_run
from sandbox.progress import run


def test_a_new_algorithm_has_run_once_on_its_sample(tmp_path: Path) -> None:
    created = run(new_algorithm("count", tmp_path), lambda _event: None)
    (written,) = created.tried.outputs
    assert json.loads(written.read_text()) == {"rows": 4, "means": {"age": 48.5, "systolic": 132.5}}


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", ".hidden"])
def test_a_new_algorithm_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        run(new_algorithm(name, tmp_path), lambda _event: None)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "count").mkdir()
    with pytest.raises(UsageError, match="C2D-NEW-EXISTS"):
        run(new_algorithm("count", tmp_path), lambda _event: None)


def _script(folder: Path, text: str) -> Path:
    script = folder / "script.py"
    script.write_text(text)
    return script


@pytest.mark.parametrize(
    ("text", "code"),
    [("raise SystemExit(3)", "C2D-TRY-FAILED"), ("print('no output')", "C2D-TRY-SILENT")],
)
def test_a_dry_run_says_why_it_came_to_nothing(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "data.csv").write_text("a\n1\n")
    with pytest.raises(Failed, match=code):
        run(dry_run(_script(tmp_path, text), [tmp_path / "data.csv"], tmp_path / "out"), lambda _event: None)
    assert not (tmp_path / "out").exists()


def test_a_dry_run_hands_over_nothing_of_the_users_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "x")
    text = (
        "import json, os, pathlib; "
        "pathlib.Path(os.environ['OUTPUTS'], 'e.json').write_text(json.dumps(dict(os.environ)))"
    )
    (tmp_path / "data.csv").write_text("a\n1\n")
    tried = run(
        dry_run(_script(tmp_path, text), [tmp_path / "data.csv"], tmp_path / "out"), lambda _event: None
    )
    seen = json.loads(tried.outputs[0].read_text())
    assert "MY_SECRET" not in seen and len(json.loads(seen["DIDS"])) == 1


def test_the_memory_finds_an_asset_by_path_and_account(tmp_path: Path) -> None:
    script = _script(tmp_path, "one\n")
    memory = Memory(tmp_path / "loop")
    known = Known("did:op:" + "a" * 64, digest(script), "how")
    memory.put(script, "consumer", known)
    assert Memory(tmp_path / "loop").get(script, "consumer") == known
    assert memory.get(script, "consumer2") is None
    assert memory.changes(script, known) == []
    script.write_text("two\n")
    assert memory.changes(script, known)[-2:] == ["-one", "+two"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"consumer /x": {"odd": 1}}'])
def test_a_broken_memory_costs_only_new_assets(tmp_path: Path, text: str) -> None:
    (tmp_path / "assets.json").write_text(text)
    assert Memory(tmp_path).get(Path("/x"), "consumer") is None
