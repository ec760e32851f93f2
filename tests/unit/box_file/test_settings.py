"""A box file is the settings of a box, and ``up`` says what it changes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from c2d_box.errors import StateProblem
from sandbox.box import Box, open_box
from sandbox.box_file.changes import demand_possible, setting_changes
from sandbox.box_file.reading import parse_box_file
from sandbox.box_file.settings_mapping import declared_box, file_from_settings, settings_from_file
from sandbox.home import BoxHome
from sandbox.settings import BoxPorts, BoxSettings, ChainChoice, ExistingClusterSettings

LAB = ExistingClusterSettings(kubeconfig="/k", context="lab", registry="lab:5000", pull_secret="a/b")


def declared(text: str, before: BoxSettings | None = None, folder: Path = Path("/boxes")) -> BoxSettings:
    return settings_from_file(parse_box_file(text, folder / "b.yaml"), folder, before or BoxSettings())


@pytest.mark.parametrize(
    "settings",
    [
        BoxSettings(),
        BoxSettings(name="two", ports=BoxPorts().with_offset(100), barge_keys=True),
        BoxSettings(ports=BoxPorts(s3=1, chain=2), trust_empty_lists="all", result_store="s3"),
        BoxSettings(cluster="existing", existing=LAB, unproven_jobs=True),
        BoxSettings(chain=ChainChoice("rpc", "http://10.0.0.1:8545", None, 137)),
        BoxSettings(
            origins=("http://a", "chrome-extension://abc"),
            limits={"log_bytes": 5},
            values={"cache": {"span": 3}},
        ),
    ],
)
def test_settings_survive_the_file(settings: BoxSettings, tmp_path: Path) -> None:
    file = file_from_settings(settings)
    assert (
        settings_from_file(file, tmp_path, replace(BoxSettings(), name=settings.name, chain=settings.chain))
        == settings
    )
    Box(BoxHome(tmp_path), settings).save_settings(settings)
    assert open_box(tmp_path).settings == settings


def test_a_file_is_complete_so_that_a_line_taken_out_is_undone() -> None:
    before = BoxSettings(result_store="s3", trust_empty_lists="all", ports=BoxPorts(s3=1))
    assert declared("", before) == BoxSettings()


def test_auto_keeps_the_cluster_that_the_box_has() -> None:
    before = BoxSettings(cluster="existing", existing=LAB, unproven_jobs=True)
    assert declared("cluster: auto\n", before) == before
    assert declared("cluster: kind\n", before) == BoxSettings(cluster="kind")


def test_paths_are_seen_from_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "addresses.json").write_text("{}")
    text = (
        "cluster: existing\nexisting: {kubeconfig: k}\n"
        "chain: {rpc: 'http://10.0.0.1:1', address_file: addresses.json}\n"
    )
    settings = declared(text, folder=tmp_path)
    assert settings.existing.kubeconfig == str(tmp_path / "k")
    assert settings.chain.address_file == str(tmp_path / "addresses.json")


def test_a_box_without_a_file_is_as_it_was(tmp_path: Path) -> None:
    box = Box(BoxHome(tmp_path), BoxSettings(result_store="s3"))
    assert declared_box(box) is box
    (tmp_path / "c2d-box.yaml").write_text("trust: {empty_lists: all}\n")
    assert declared_box(box).settings == BoxSettings(trust_empty_lists="all")
    other = tmp_path / "other.yaml"
    other.write_text("result_store: s3\n")
    assert declared_box(box, other).settings == BoxSettings(result_store="s3")


def test_changes_are_said_by_the_keys_of_the_file() -> None:
    after = BoxSettings(
        ports=BoxPorts(s3=19000),
        trust_empty_lists="all",
        origins=("http://a",),
        limits={"log_bytes": 5},
        values={"cache": {"span": 3}},
    )
    said = [change.describe_change(is_running=True) for change in setting_changes(BoxSettings(), after)]
    assert said == [
        "ports.s3: 9000 → 19000 (restarts provider)",
        "origins: none → http://a (restarts chain)",
        "trust.empty_lists: none → all (restarts provider)",
        "limits.log_bytes: 10485760 → 5 (restarts operator-engine)",
        "values.cache.span: none → 3 (restarts services that these values concern)",
    ]
    (back,) = setting_changes(BoxSettings(values={"a": 1}), BoxSettings())
    assert back.describe_change(is_running=False) == "values.a: 1 → none"


def test_a_choice_with_which_an_up_failed_can_be_replaced() -> None:
    failed = BoxSettings(cluster="existing", existing=replace(LAB, pull_secret="regcred"))
    (change,) = setting_changes(failed, BoxSettings(cluster="existing", existing=LAB))
    assert (change.key, change.before, change.after) == ("existing.pull_secret", "regcred", "a/b")


def test_the_well_known_keys_cannot_be_taken_back() -> None:
    with pytest.raises(StateProblem, match="C2D-BOX-KEYS-KEPT"):
        demand_possible(BoxSettings(barge_keys=True), BoxSettings())
    demand_possible(BoxSettings(), BoxSettings(barge_keys=True))
