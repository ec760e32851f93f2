"""The loop's parts that need no box: what it remembers, the template, the dry run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from c2d_box.errors import Failed, UsageError
from sandbox.loop.creating import new_algorithm
from sandbox.loop.trying import dry_run
from sandbox.progress import run_verb
from sandbox.run_memory import LARGEST_SCRIPT, Known, LoopMemory, digest


def test_a_new_algorithm_has_run_once_on_its_sample(tmp_path: Path) -> None:
    created = run_verb(new_algorithm("count", tmp_path), lambda _event: None)
    (written,) = created.tried.outputs
    assert json.loads(written.read_text()) == {"rows": 4, "means": {"age": 48.5, "systolic": 132.5}}


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", ".hidden"])
def test_a_new_algorithm_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        run_verb(new_algorithm(name, tmp_path), lambda _event: None)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "count").mkdir()
    with pytest.raises(UsageError, match="C2D-NEW-EXISTS"):
        run_verb(new_algorithm("count", tmp_path), lambda _event: None)


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
        run_verb(
            dry_run(_script(tmp_path, text), [tmp_path / "data.csv"], tmp_path / "out"), lambda _event: None
        )
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
    tried = run_verb(
        dry_run(_script(tmp_path, text), [tmp_path / "data.csv"], tmp_path / "out"), lambda _event: None
    )
    seen = json.loads(tried.outputs[0].read_text())
    assert "MY_SECRET" not in seen and len(json.loads(seen["DIDS"])) == 1


HOSTILE_OUTPUTS = {
    "link": "os.symlink('/etc/hostname', out / 'last.ckpt')",
    "too many": "[(out / f'{n}.txt').write_text('x') for n in range(2100)]",
    "zstandard": "(out / 'a.zst').write_bytes(bytes.fromhex('28b52ffd2003190000616263'))",
    "link alone": "(out / 'kept').unlink(); os.symlink('/etc', out / 'folder')",
}


@pytest.mark.parametrize("name", HOSTILE_OUTPUTS)
def test_a_dry_run_warns_of_what_a_job_would_refuse(tmp_path: Path, name: str) -> None:
    """The rehearsal took what the judge refuses, and the user paid a whole run to find out."""
    text = (
        "import os, pathlib; out = pathlib.Path(os.environ['OUTPUTS'])\n"
        f"(out / 'kept').write_text('x')\n{HOSTILE_OUTPUTS[name]}\n"
    )
    (tmp_path / "data.csv").write_text("a\n1\n")
    told: list[str] = []
    tried = run_verb(
        dry_run(_script(tmp_path, text), [tmp_path / "data.csv"], tmp_path / "out"),
        lambda event: told.append(event.text),
    )
    assert tried.refused_count >= 1 and tried.refused
    assert any("a job would refuse all outputs" in line for line in told)
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


@pytest.mark.parametrize("name", ["caf\u00e9.txt", "cafe\u0301.txt", "\u6570\u636e.csv"])
def test_a_dry_run_has_nothing_against_a_name_in_any_script(tmp_path: Path, name: str) -> None:
    text = f"import os, pathlib; pathlib.Path(os.environ['OUTPUTS'], {name!r}).write_text('x')"
    (tmp_path / "data.csv").write_text("a\n1\n")
    tried = run_verb(
        dry_run(_script(tmp_path, text), [tmp_path / "data.csv"], tmp_path / "out"), lambda _event: None
    )
    assert (tried.refused, len(tried.outputs)) == ((), 1)


def test_a_dry_run_leaves_nothing_in_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like in the pod the working directory is a scratch folder that can be written."""
    monkeypatch.chdir(tmp_path)
    text = (
        "import os, pathlib; pathlib.Path('checkpoints').mkdir()\n"
        "pathlib.Path(os.environ['OUTPUTS'], 'a').write_text('x')"
    )
    (tmp_path / "data.csv").write_text("a\n1\n")
    told: list[str] = []
    run_verb(
        dry_run(_script(tmp_path, text), [Path("data.csv")], tmp_path / "out"),
        lambda event: told.append(event.text),
    )
    assert not (tmp_path / "checkpoints").exists()
    assert any("this machine's packages" in line for line in told)


def test_the_memory_finds_an_asset_by_path_and_account(tmp_path: Path) -> None:
    script = _script(tmp_path, "one\n")
    memory = LoopMemory(tmp_path / "loop")
    known = Known("did:op:" + "a" * 64, digest(script), "how", "mark")
    memory.put_script(script, "consumer", known)
    assert LoopMemory(tmp_path / "loop").get(script, "consumer") == known
    assert memory.get(script, "consumer2") is None
    assert memory.diff_script(script, known) == []
    script.write_text("two\n")
    assert memory.diff_script(script, known)[-2:] == ["-one", "+two"]
    memory.forget_all()
    assert memory.get(script, "consumer") is None and memory.diff_script(script, known) == []


def test_of_data_and_of_large_scripts_no_copy_is_kept(tmp_path: Path) -> None:
    memory, data = LoopMemory(tmp_path / "loop"), _script(tmp_path, "a secret\n")
    memory.put(data, "publisher", Known("did:op:" + "a" * 64, digest(data)))
    large = tmp_path / "large.py"
    large.write_bytes(b"#" * (LARGEST_SCRIPT + 1))
    known = Known("did:op:" + "b" * 64, digest(large))
    memory.put_script(large, "consumer", known)
    assert [path.name for path in (tmp_path / "loop").iterdir()] == ["assets.json"]
    assert memory.diff_script(large, known) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"consumer /x": {"odd": 1}}'])
def test_a_broken_memory_costs_only_new_assets(tmp_path: Path, text: str) -> None:
    (tmp_path / "assets.json").write_text(text)
    assert LoopMemory(tmp_path).get(Path("/x"), "consumer") is None
