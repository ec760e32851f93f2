"""What ``up`` writes down of a box is true also where it fails on its way, and it says what it changes."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from c2d_box.errors import C2DError, Failed, StateProblem
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import Box, open_box
from sandbox.home import BoxHome
from sandbox.install.chart_values import service_secrets
from sandbox.keys import open_keys
from sandbox.progress import run_verb
from sandbox.settings import BoxPorts, BoxSettings
from sandbox.verbs.lifecycle import up


def boot(home: Path, ports: BoxPorts, monkeypatch: pytest.MonkeyPatch, *, fails: str = "") -> None:
    """``up`` with its steps left out but the one that publishes; ``fails`` before or in it."""
    box = Box(BoxHome(home), BoxSettings(ports=ports))

    def publish(_ports: dict[int, int]) -> None:
        if fails == "publish":
            raise Failed("C2D-PORT-TAKEN", "a port is taken", "use another")

    def raised(box: Box, _yes: bool, _confirm: Any) -> Any:
        yield from ()
        if fails == "chart":
            raise Failed("C2D-CHART", "the chart failed", "look")
        box.__dict__["cluster"] = SimpleNamespace(publish_ports=publish)
        up.publish_ports(box)
        return {}

    monkeypatch.setattr(up, "choose_cluster", lambda _box: SimpleNamespace(text="native", driver="native"))
    monkeypatch.setattr(up, "_raise", raised)
    run_verb(up.up(box), lambda _event: None)


@pytest.mark.parametrize("fails", ["chart", "publish"])
def test_ports_are_remembered_when_they_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    boot(tmp_path, BoxPorts(), monkeypatch)
    assert open_box(tmp_path).ports == BoxPorts()
    other = BoxPorts().with_offset(100)
    with pytest.raises(Failed):
        boot(tmp_path, other, monkeypatch, fails=fails)
    assert open_box(tmp_path).ports == BoxPorts(), "nothing listens on the others"
    boot(tmp_path, other, monkeypatch)
    assert open_box(tmp_path).ports == other


def test_a_first_boot_that_fails_remembers_what_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(BoxPorts(), chain=18545)
    with pytest.raises(Failed):
        boot(tmp_path, other, monkeypatch, fails="chart")
    assert open_box(tmp_path).settings.cluster == "native"
    assert open_box(tmp_path).ports == other


def boot_declared(home: Path, monkeypatch: pytest.MonkeyPatch, state: str = "running") -> list[str]:
    """``up`` with the file in the home, its steps left out; what it said."""
    said: list[str] = []
    monkeypatch.setattr(up, "choose_cluster", lambda _box: SimpleNamespace(text="native", driver="native"))
    monkeypatch.setattr(up, "_raise", lambda *_: iter(()))
    monkeypatch.setattr(up, "_is_running", lambda _box: state == "running")
    run_verb(up.boot_declared_box(open_box(home)), lambda event: said.append(event.text))
    return said


def test_a_change_of_the_file_is_applied_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "c2d-box.yaml"
    file.write_text("trust: {empty_lists: all}\n")
    assert boot_declared(tmp_path, monkeypatch) == ["native"], "a new box has nothing that changes"
    assert open_box(tmp_path).settings.trust_empty_lists == "all"
    file.write_text("result_store: s3\ntrust: {empty_lists: all}\n")
    said = boot_declared(tmp_path, monkeypatch, state="stopped")
    assert said == ["native", "result_store: ipfs → s3"]
    file.write_text("result_store: s3\n")
    said = boot_declared(tmp_path, monkeypatch)
    assert said == ["native", "trust.empty_lists: all → none (restarts provider)"]
    assert open_box(tmp_path).settings == BoxSettings(cluster="native", result_store="s3")


@pytest.mark.parametrize(
    ("text", "code"),
    [("barge_keys: false\n", "C2D-BOX-KEYS-KEPT"), ("trust: {empty_lists: x}\n", "C2D-BOXFILE-INVALID")],
)
def test_what_cannot_be_changed_is_refused_before_it_is_written(
    text: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = BoxSettings(cluster="native", barge_keys=True)
    Box(BoxHome(tmp_path), before).save_settings(before)
    (tmp_path / "c2d-box.yaml").write_text(text + "result_store: s3\n")
    with pytest.raises(C2DError, match=code):
        boot_declared(tmp_path, monkeypatch)
    assert open_box(tmp_path).settings == before


def test_ports_that_cannot_be_had_are_refused_while_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chart named the new ports already when the node refused them."""
    before = BoxSettings(cluster="kind")
    Box(BoxHome(tmp_path), before).save_settings(before)

    def fixed(_ports: dict[int, int]) -> None:
        raise StateProblem("C2D-PORTS-FIXED", "fixed when it was made", "reset")

    cluster = SimpleNamespace(status=lambda: SimpleNamespace(state="running"), publish_ports=fixed)
    monkeypatch.setattr(Box, "cluster", cluster)
    monkeypatch.setattr(up, "_raise", lambda *_: pytest.fail("it went on"))
    (tmp_path / "c2d-box.yaml").write_text("ports: {s3: 19000}\nresult_store: s3\nbarge_keys: true\n")
    monkeypatch.setattr(up, "choose_cluster", lambda _box: SimpleNamespace(text="kind", driver="kind"))
    with pytest.raises(StateProblem, match="C2D-PORTS-FIXED"):
        run_verb(up.boot_declared_box(open_box(tmp_path)), lambda _event: None)
    assert open_box(tmp_path).settings == before


def test_a_service_whose_keys_are_others_is_restarted(tmp_path: Path) -> None:
    """It reads them once, at its start: with new signing keys the old ones were in use until then."""
    old, new = open_keys(tmp_path), open_keys(tmp_path, barge=True)
    patched: dict[str, Any] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        if request.method == "PATCH":
            patched[request.url.path] = json.loads(request.content)
            return httpx.Response(200, json={})
        if name == "s3-secrets":
            return httpx.Response(404)
        data = {key: base64.b64encode(v.encode()).decode() for key, v in service_secrets(old)[name].items()}
        return httpx.Response(200, json={"data": data})

    kube = KubeApi(httpx.Client(transport=httpx.MockTransport(answer), base_url="https://cluster"))
    assert up._rekeyed_services(kube, old) == []
    assert up._rekeyed_services(kube, new) == ["cache", "provider"]
    up._restart_service(kube, "cache", "release")
    (path,) = patched
    assert path == "/apis/apps/v1/namespaces/c2d/deployments/cache"
