"""The command line as scripts meet it: exit statuses, what goes to stdout and what to stderr, how fast help
is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from c2d_box.errors import EnvironmentProblem, Failed, Refused, StateProblem, UsageError
from sandbox.box import Box
from sandbox.cli.app import invoke, root
from sandbox.cli.command_table import COMMANDS
from sandbox.cli.failures import report_problem
from sandbox.cli.settings import CliSettings
from sandbox.home import BoxHome
from sandbox.settings import BoxSettings

HEAVY = (
    "web3",
    "kubernetes",
    "textual",
    "httpx",
    "rich",
    "pydantic",
    "yaml",
    "sandbox.verbs",
    "sandbox.box",
)


def test_help_imports_no_command_and_nothing_heavy() -> None:
    program = (
        "import sys; from sandbox.cli.app import invoke; status = invoke(['--help']); "
        "print(status, *sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    status, *modules = done.stderr.split()
    assert status == "0"
    assert not [name for name in modules if name.startswith("sandbox.cli.commands")]
    assert not set(HEAVY) & set(modules)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["--help"]) == 0
    said = capsys.readouterr().out
    for name in COMMANDS:
        assert f"  {name} " in said


def _every_command() -> list[str]:
    """Subcommands too; kubectl's help is kubectl's."""
    found = []
    context = click.Context(root)
    for name in sorted(COMMANDS.keys() - {"kubectl"}):
        found.append(name)
        command = root.get_command(context, name)
        if isinstance(command, click.Group):
            found += [f"{name} {inner}" for inner in sorted(command.commands)]
    return found


@pytest.mark.parametrize("name", _every_command())
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([*name.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert "Example:" in said
    assert "c2d-box" in said


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (Failed("C2D-X", "broke"), 1),
        (UsageError("C2D-X", "what?"), 2),
        (EnvironmentProblem("C2D-X", "no disk"), 3),
        (StateProblem("C2D-X", "down"), 4),
        (Refused("C2D-X", "no"), 5),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (ZeroDivisionError("surprise"), 1),
    ],
)
def test_each_kind_of_problem_has_its_exit_status(problem: BaseException, status: int) -> None:
    assert report_problem(problem, CliSettings()) == status


def test_an_error_says_code_cause_and_next_step_without_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Failed("C2D-SERVICE-NOT-READY", "cache does not start", "c2d-box logs cache", events=["a", "b"])
    problem.__cause__ = OSError("no space")
    report_problem(problem, CliSettings())
    out, err = capsys.readouterr()
    assert out == ""
    assert "C2D-SERVICE-NOT-READY" in err
    assert "no space" in err
    assert "c2d-box logs cache" in err
    assert "Traceback" not in err


def test_a_defect_of_ours_is_coded_and_hides_its_traceback_until_debug(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report_problem(ZeroDivisionError("surprise"), CliSettings())
    assert "Traceback" not in capsys.readouterr().err
    try:
        raise ZeroDivisionError("surprise")
    except ZeroDivisionError as problem:
        report_problem(problem, CliSettings(debug=True))
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "C2D-DEFECT" in shown


def test_with_json_an_error_is_one_object_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    report_problem(
        Refused("C2D-NOT-PERMITTED", "no", "c2d-box permit", reasons=["not_trusted_algo"]),
        CliSettings(json=True),
    )
    out, err = capsys.readouterr()
    assert out == ""
    error = json.loads(err)["error"]
    assert error["code"] == "C2D-NOT-PERMITTED"
    assert error["reasons"] == ["not_trusted_algo"]


@pytest.mark.parametrize("option", ["--image", "--environment"])
def test_an_option_without_meaning_is_refused(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", str(tmp_path / "a.py"), "--data", "x", "--dry", option, "no/such"]
    assert invoke(words) == 2
    assert "C2D-TRY-OPTION" in capsys.readouterr().err


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["fly"]) == 2
    assert "C2D-USAGE" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--json", "probe"], ["probe", "--json"]])
def test_global_options_may_stand_on_either_side(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox.cli.declare import command
    from sandbox.cli.settings import current

    seen: list[bool] = []

    @command("c2d-box probe", name="probe")
    def probe() -> None:
        """Look at the settings."""
        seen.append(current().json)

    get_command = type(root).get_command
    monkeypatch.setattr(
        type(root),
        "get_command",
        lambda self, ctx, name: probe if name == "probe" else get_command(self, ctx, name),
    )
    assert invoke(arguments) == 0
    assert seen == [True]


def test_reset_where_there_is_no_box_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["--home", str(tmp_path / "none"), "reset", "--all", "--yes"]) == 0
    assert "no box" in capsys.readouterr().out


def test_env_prints_what_ocean_clients_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Box(BoxHome(tmp_path), BoxSettings()).save_settings(BoxSettings())
    assert invoke(["env", "--json", "--home", str(tmp_path)]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["PROVIDER_URL"] == "http://127.0.0.1:8030"
    assert values["AQUARIUS_URL"] == "http://127.0.0.1:5000"
    assert values["ADDRESS_FILE"] == str(tmp_path / "address.json")


@pytest.mark.parametrize("kind", ["dataset", "algorithm"])
def test_the_name_of_an_asset_is_not_the_name_of_the_box(kind: str) -> None:
    from sandbox.cli.commands.assets import publish

    command = publish.commands[kind]
    spelt = [name for parameter in command.params for name in parameter.opts]
    assert len(spelt) == len(set(spelt)), "an option stands for two things"
    (name,) = [parameter for parameter in command.params if "--name" in parameter.opts]
    assert name.expose_value, "the box's own --name took it"
