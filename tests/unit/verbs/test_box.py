"""What a box remembers and how it is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from c2d_box.errors import StateProblem, UsageError
from sandbox.box import Box, default_home, open_box
from sandbox.home import BoxHome
from sandbox.settings import BoxPorts, BoxSettings


def test_choices_of_the_first_up_are_remembered(tmp_path: Path) -> None:
    settings = BoxSettings(name="second", ports=BoxPorts().with_offset(100), barge_keys=True)
    Box(BoxHome(tmp_path), BoxSettings()).save_settings(settings)
    assert open_box(tmp_path).settings == settings


def test_opening_starts_and_writes_nothing(tmp_path: Path) -> None:
    box = open_box(tmp_path / "nowhere")
    assert not box.exists
    assert not (tmp_path / "nowhere").exists()


def test_another_name_is_another_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("C2D_BOX_HOME", "/data/box")
    assert default_home("c2d").path == Path("/data/box")
    assert default_home("two").path == Path("/data/box-two")


def test_a_home_of_another_name_is_refused(tmp_path: Path) -> None:
    Box(BoxHome(tmp_path), BoxSettings()).save_settings(BoxSettings(name="one"))
    with pytest.raises(StateProblem, match="C2D-BOX-OTHER-NAME"):
        open_box(tmp_path, "two")


def test_a_broken_box_file_is_a_coded_error(tmp_path: Path) -> None:
    (tmp_path / "box.json").write_text("{broken")
    with pytest.raises(StateProblem, match="C2D-BOX-FILE-BROKEN"):
        open_box(tmp_path)


def test_ports_can_be_changed_by_the_name_users_see() -> None:
    assert BoxPorts().with_port("operator-service", 32000).operator_service == 32000
    with pytest.raises(UsageError, match="C2D-USAGE-PORT"):
        BoxPorts().with_port("printer", 9100)


def test_a_foreign_chain_takes_no_port(tmp_path: Path) -> None:
    from sandbox.settings import ChainChoice

    box = Box(BoxHome(tmp_path), replace(BoxSettings(), chain=ChainChoice("rpc", "http://10.0.0.1:8545")))
    assert box.service_urls["chain"] == "http://10.0.0.1:8545"


def test_commands_for_another_box_name_it(tmp_path: Path) -> None:
    assert (
        Box(BoxHome(tmp_path), BoxSettings(name="x")).command_line("up")
        == f"c2d-box --name x --home {tmp_path} up"
    )
