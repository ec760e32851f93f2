"""A private registry: whether the nodes of somebody's cluster can pull is said, or they get a Secret."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from c2d_box.errors import C2DError, UsageError
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import Box
from sandbox.cli.commands.lifecycle import guest_settings
from sandbox.clusters.existing import driver as driver_module
from sandbox.clusters.existing import pull_secrets
from sandbox.clusters.existing.introduction import ask_consent
from sandbox.home import BoxHome
from sandbox.install import canary, chart_values
from sandbox.keys import open_keys
from sandbox.progress import run_verb
from sandbox.settings import BoxSettings, ExistingClusterSettings
from sandbox.verbs.lifecycle import up
from tests.harness.image_registry import run_registry
from tests.unit.clusters.test_existing import written

LOGIN = base64.b64encode(b"me:secret").decode()
CONTENT = base64.b64encode(json.dumps({"auths": {"lab:5000": {"auth": LOGIN}}}).encode()).decode()
THEIRS = "/api/v1/namespaces/default/secrets/regcred"
NODE = {"status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.9"}]}}
DNS = {"spec": {"clusterIP": "10.96.0.10"}}


class Lab:
    """An API server that keeps what is applied and answers what a box asks at its first visit."""

    def __init__(self, **things: dict[str, Any]) -> None:
        self.things: dict[str, dict[str, Any]] = dict(things)
        self.lists: dict[str, list[dict[str, Any]]] = {
            "/api/v1/nodes": [NODE],
            "/api/v1/namespaces/kube-system/services": [DNS],
            "/apis/networking.k8s.io/v1/servicecidrs": [{"spec": {"cidrs": ["10.96.0.0/24"]}}],
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "PATCH":
            self.things[path] = json.loads(request.content)
        if path in self.lists:
            return httpx.Response(200, json={"items": self.lists[path]})
        found = self.things.get(path)
        return httpx.Response(200, json=found) if found else httpx.Response(404)

    @property
    def kube(self) -> KubeApi:
        return KubeApi(httpx.Client(base_url="https://lab", transport=httpx.MockTransport(self)))

    def secrets(self) -> dict[str, str]:
        """Content of our Secret by namespace."""
        found = {path.split("/")[4]: body for path, body in self.things.items() if path.endswith(f"/{NAME}")}
        assert {body["type"] for body in found.values()} <= {"kubernetes.io/dockerconfigjson"}
        return {space: body["data"][".dockerconfigjson"] for space, body in found.items()}


NAME = pull_secrets.NAME
BY_NAME = ExistingClusterSettings(context="lab", registry="lab:5000/c2d", pull_secret="default/regcred")
BY_LOGIN = ExistingClusterSettings(context="lab", registry="lab:5000/c2d", pull_by_login=True)


def theirs(**changes: Any) -> dict[str, Any]:
    return {"type": pull_secrets.KIND, "data": {".dockerconfigjson": CONTENT}, **changes}


def log_in(home: Path, monkeypatch: pytest.MonkeyPatch, **auths: Any) -> None:
    monkeypatch.setenv("HOME", str(home))
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": auths}))


def test_a_secret_that_is_there_is_copied_as_it_is() -> None:
    lab = Lab(**{THEIRS: theirs()})
    assert pull_secrets.find_pull_secret(lab.kube, BY_NAME) == CONTENT
    assert pull_secrets.find_pull_secret(lab.kube, replace(BY_NAME, pull_secret="")) == ""


def test_of_the_login_one_registry_is_taken_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(tmp_path, monkeypatch, **{"lab:5000": {"auth": LOGIN}, "other.example": {"auth": "b3RoZXI6eA=="}})
    made = json.loads(base64.b64decode(pull_secrets.find_pull_secret(Lab().kube, BY_LOGIN)))
    assert made == {"auths": {"lab:5000": {"auth": LOGIN}}}


@pytest.mark.parametrize(
    ("chosen", "there", "code"),
    [
        (BY_NAME, {}, "C2D-EXISTING-PULL-SECRET"),
        (BY_NAME, {THEIRS: theirs(type="Opaque")}, "C2D-EXISTING-PULL-SECRET"),
        (BY_NAME, {THEIRS: theirs(data={})}, "C2D-EXISTING-PULL-SECRET"),
        (replace(BY_NAME, pull_secret="regcred"), {THEIRS: theirs()}, "C2D-EXISTING-PULL-SECRET"),
        (replace(BY_NAME, pull_secret="a/b/c"), {THEIRS: theirs()}, "C2D-EXISTING-PULL-SECRET"),
        (BY_LOGIN, {}, "C2D-EXISTING-PULL-LOGIN"),
    ],
)
def test_what_is_not_there_is_said_with_the_next_step(
    chosen: ExistingClusterSettings,
    there: dict[str, Any],
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_in(tmp_path, monkeypatch, **{"lab:5000": {}, "other.example": {"auth": LOGIN}})
    with pytest.raises(C2DError) as problem:
        pull_secrets.find_pull_secret(Lab(**there).kube, chosen)
    assert problem.value.code == code and problem.value.next_step


def box_of(tmp_path: Path, chosen: ExistingClusterSettings) -> Box:
    """One in somebody's cluster that it has entered already."""
    box = Box(BoxHome(tmp_path), BoxSettings(cluster="existing", existing=chosen))
    box.__dict__["cluster"] = SimpleNamespace(
        service_cidr="10.96.0.0/26",
        dns_ip="10.96.0.10",
        node_ip="10.0.0.9",
        registry="lab:5000/c2d",
        runtime_classes={},
        volumes_root="/var/lib/c2d-box/volumes",
        devices="/dev",
    )
    return box


@pytest.mark.parametrize("chosen", [BY_NAME, BY_LOGIN])
def test_every_pod_of_the_release_and_of_jobs_is_told_the_secret(
    tmp_path: Path, chosen: ExistingClusterSettings
) -> None:
    """Neither was: each pod of the box ended in ImagePullBackOff, and so did every job's."""
    box, keys = box_of(tmp_path, chosen), open_keys(tmp_path / "keys")
    values = chart_values.chart_values(box, keys, dict.fromkeys(chart_values.SERVICE_IMAGES, "x"))
    assert values["imagePullSecrets"] == [{"name": NAME}]
    assert values["jobs"]["imagePullSecrets"] == [NAME]


def test_nothing_is_told_where_nothing_was_chosen(tmp_path: Path) -> None:
    keys = open_keys(tmp_path / "keys")
    for cluster in ("existing", "native"):
        box = box_of(tmp_path, replace(BY_NAME, pull_secret="") if cluster == "existing" else BY_NAME)
        chosen = replace(box.settings, cluster=cluster)
        box = Box(box.home, chosen)
        box.__dict__["cluster"] = box_of(tmp_path, BY_NAME).cluster
        values = chart_values.chart_values(box, keys, dict.fromkeys(chart_values.SERVICE_IMAGES, "x"))
        assert (values["imagePullSecrets"], values["jobs"]["imagePullSecrets"]) == ([], [])


@pytest.mark.parametrize(("classes", "binding"), [({}, None), ({"algorithm": "c2d-unrouted"}, "Immediate")])
def test_only_a_cluster_of_ours_binds_jobs_volumes_at_once(
    tmp_path: Path, classes: dict[str, str], binding: str | None
) -> None:
    """On the several nodes of somebody's cluster each made every job's disk."""
    box, keys = box_of(tmp_path, BY_NAME), open_keys(tmp_path / "keys")
    cluster: Any = box.cluster
    cluster.runtime_classes = classes
    values = chart_values.chart_values(box, keys, dict.fromkeys(chart_values.SERVICE_IMAGES, "x"))
    assert values["provisioner"].get("jobBinding") == binding


class Shelved:
    """A bundle whose images are only names."""

    def image(self, name: str) -> Any:
        return SimpleNamespace(name=name, digest="sha256:" + "a" * 64, pinned=name)

    def binary(self, name: str) -> Path:
        return Path(name)


def test_each_namespace_with_pods_of_the_box_has_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, box, keys = Lab(**{THEIRS: theirs()}), box_of(tmp_path, BY_NAME), open_keys(tmp_path / "keys")
    before: list[set[str]] = []
    monkeypatch.setattr(up, "install_chart", lambda *_: before.append(set(lab.secrets())))
    bundle: Any = Shelved()
    run_verb(up._install_chart(box, lab.kube, bundle, keys), lambda event: None)
    assert before == [{"c2d"}]
    assert lab.secrets() == dict.fromkeys(("c2d", "c2d-jobs", "c2d-system"), CONTENT)
    canary.create_account(lab.kube, "c2d-canary-1")
    assert lab.secrets()["c2d-canary-1"] == CONTENT
    account = lab.things["/api/v1/namespaces/c2d-canary-1/serviceaccounts/canary"]
    assert account["imagePullSecrets"] == [{"name": NAME}]
    lab.things[THEIRS] = theirs(data={".dockerconfigjson": "bmV3"})
    run_verb(up._install_chart(box, lab.kube, bundle, keys), lambda event: None)
    assert lab.secrets()["c2d-jobs"] == "bmV3", "credentials that were changed are brought again"


def test_without_a_secret_the_canarys_account_has_none() -> None:
    lab = Lab()
    canary.create_account(lab.kube, "c2d-canary-1")
    account = lab.things["/api/v1/namespaces/c2d-canary-1/serviceaccounts/canary"]
    assert "imagePullSecrets" not in account and lab.secrets() == {}


@pytest.fixture
def enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Visit the lab for the first time; what was said, before anything is installed. The home's path is
    short: with a long user name ``tmp_path`` is longer than a home may be."""
    log_in(tmp_path, monkeypatch)
    kubeconfig = str(written(tmp_path))
    home = Path(tempfile.mkdtemp(prefix="c2d-"))

    def visit(lab: Lab, place: str, **chosen: Any) -> list[str]:
        guest_of = ExistingClusterSettings(kubeconfig, "lab", place, **chosen)
        made = driver_module.ExistingCluster(BoxHome(home), Shelved(), "lab", guest_of, {})
        monkeypatch.setattr(made, "_kube", lambda timeout=10.0: lab.kube)
        monkeypatch.setattr(made, "_answers", lambda: True)
        said: list[str] = []
        run_verb(made.create(), lambda event: said.append(event.text) if event.state == "note" else None)
        assert not [path for path in lab.things if path != THEIRS], "something was changed"
        return said

    yield visit
    shutil.rmtree(home)


@pytest.mark.parametrize("way", ["none", "secret", "login"])
def test_that_nodes_need_credentials_is_said_before_anything_is_installed(
    enter: Callable[..., list[str]], way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways: dict[str, dict[str, Any]] = {
        "none": {},
        "secret": {"pull_secret": "default/regcred"},
        "login": {"pull_by_login": True},
    }
    with run_registry(token="t0ken") as shelf:
        place = f"127.0.0.1:{shelf.port}"
        log_in(tmp_path, monkeypatch, **{place: {"auth": LOGIN}})
        said = enter(Lab(**{THEIRS: theirs()}), f"{place}/c2d", **ways[way])
    assert [("--pull-secret" in line, "--pull-by-login" in line) for line in said] == (
        [(True, True)] if way == "none" else []
    )


def test_of_a_registry_open_to_all_nothing_is_said(enter: Callable[..., list[str]]) -> None:
    with run_registry() as shelf:
        assert enter(Lab(), f"127.0.0.1:{shelf.port}/c2d") == []


def test_a_secret_that_is_missing_ends_the_first_visit(enter: Callable[..., list[str]]) -> None:
    with run_registry() as shelf, pytest.raises(C2DError) as problem:
        enter(Lab(), f"127.0.0.1:{shelf.port}/c2d", pull_secret="default/regcred")
    assert problem.value.code == "C2D-EXISTING-PULL-SECRET"


@pytest.mark.parametrize("chosen", [BY_NAME, BY_LOGIN])
def test_whose_credentials_come_into_the_cluster_is_said_in_the_question(
    tmp_path: Path, chosen: ExistingClusterSettings
) -> None:
    chosen, said = replace(chosen, kubeconfig=str(written(tmp_path))), list[str]()
    run_verb(
        ask_consent(chosen, open_keys(tmp_path / "keys"), False, True, None),
        lambda event: said.append(event.text),
    )
    (line,) = [line for line in said if "c2d, c2d-jobs and c2d-system" in line]
    assert ("default/regcred" in line) is bool(chosen.pull_secret)


def test_the_way_given_last_is_the_one_remembered() -> None:
    settings = BoxSettings(cluster="existing", existing=BY_NAME)
    settings = guest_settings(settings, {}, True, None)
    assert (settings.existing.pull_secret, settings.existing.pull_by_login) == ("", True)
    settings = guest_settings(settings, {"pull_secret": "default/other"}, None, None)
    assert (settings.existing.pull_secret, settings.existing.pull_by_login) == ("default/other", False)
    assert guest_settings(settings, {"context": "lab"}, None, None).existing.pull_secret == "default/other"
    with pytest.raises(UsageError):
        guest_settings(settings, {"pull_secret": "default/other"}, True, None)
    with pytest.raises(UsageError):
        guest_settings(replace(settings, cluster="native"), {}, True, None)
