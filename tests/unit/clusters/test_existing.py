"""A cluster of somebody else: which one, what is refused, what is pushed, which doors are held open."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml

from c2d_box.errors import C2DError
from c2d_box.kubernetes.kubeconfig import from_kubeconfig
from c2d_box.kubernetes.sync_client import KubeApi
from c2d_box.workflow import names
from sandbox.box import Box, open_box
from sandbox.bundle.oci import image_archives
from sandbox.clusters.archive_names import read_archive
from sandbox.clusters.existing import access, belongings, driver, wellknown
from sandbox.clusters.existing.doors import PortForward, PortForwards
from sandbox.clusters.existing.introduction import ask_consent
from sandbox.clusters.existing.record import ExistingRecord
from sandbox.clusters.existing.registry import ImageRegistry
from sandbox.defaults import SERVICE_ENDPOINTS
from sandbox.home import BoxHome
from sandbox.install.chart_values import ServiceAddresses
from sandbox.keys import BARGE_KEYS, open_keys
from sandbox.progress import run_verb
from sandbox.settings import BoxSettings, ExistingClusterSettings
from sandbox.testchain.accounts import derive_accounts
from tests.harness.image_registry import USER, run_registry

AUTHORITY = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"


def written(folder: Path, **changes: object) -> Path:
    (folder / "ca.crt").write_text(AUTHORITY)
    cluster: dict[str, object] = {"server": "https://lab:6443", "certificate-authority": "ca.crt"}
    document = {
        "current-context": "lab",
        "contexts": [
            {"name": "lab", "context": {"cluster": "lab", "user": "me", "namespace": "mine"}},
            {"name": "other", "context": {"cluster": "nowhere", "user": "me"}},
        ],
        "clusters": [{"name": "lab", "cluster": {**cluster, **changes}}],
        "users": [{"name": "me", "user": {"token": "abc"}}],
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(document))
    return path


def test_one_context_is_taken_along_with_its_certificates(tmp_path: Path) -> None:
    taken = json.loads(access.extract_kubeconfig(str(written(tmp_path)), ""))
    assert [entry["name"] for entry in taken["contexts"]] == ["lab"]
    assert (
        base64.b64decode(taken["clusters"][0]["cluster"]["certificate-authority-data"]).decode() == AUTHORITY
    )
    assert taken["users"][0]["user"] == {"token": "abc"}


def test_where_kubectl_looks_is_where_we_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none{os.pathsep}{written(tmp_path)}")
    assert access.current_context(access.extract_kubeconfig("", "")) == "lab"
    assert access.server_url(access.extract_kubeconfig("", "lab")) == "https://lab:6443"


@pytest.mark.parametrize(
    ("context", "changes", "code"),
    [
        ("missing", {}, "C2D-EXISTING-CONTEXT"),
        ("other", {}, "C2D-EXISTING-KUBECONFIG"),
        ("lab", {"insecure-skip-tls-verify": True}, "C2D-EXISTING-INSECURE"),
        ("lab", {"server": "http://lab:8080"}, "C2D-EXISTING-INSECURE"),
    ],
)
def test_a_context_that_will_not_do(
    tmp_path: Path, context: str, changes: dict[str, object], code: str
) -> None:
    with pytest.raises(C2DError) as problem:
        access.extract_kubeconfig(str(written(tmp_path, **changes)), context)
    assert problem.value.code == code and problem.value.next_step


def test_a_token_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    """Tokens of service accounts are renewed there, hourly."""
    source, own = written(tmp_path), tmp_path / "own"
    document = yaml.safe_load(source.read_text())
    document["clusters"][0]["cluster"].pop("certificate-authority")
    document["users"][0]["user"] = {"tokenFile": "token"}
    source.write_text(yaml.safe_dump(document))
    with pytest.raises(C2DError) as problem:
        access.extract_kubeconfig(str(source), "")
    assert problem.value.code == "C2D-EXISTING-KUBECONFIG", "a file that is missing is told at once"
    (tmp_path / "token").write_text("first")
    own.mkdir()
    (own / "kubeconfig").write_text(access.extract_kubeconfig(str(source), ""))
    connection = from_kubeconfig(own / "kubeconfig")
    for token in ("first", "second"):
        (tmp_path / "token").write_text(f"{token}\n")
        request = connection.authorize_request(httpx.Request("GET", connection.server))
        assert request.headers["Authorization"] == f"Bearer {token}"
    (tmp_path / "token").unlink()
    with pytest.raises(C2DError) as problem:
        connection.authorize_request(httpx.Request("GET", connection.server))
    assert problem.value.code == "C2D-EXISTING-KUBECONFIG"


# -- service addresses -------------------------------------------------------------------------------------


def api_server(answer: Callable[[httpx.Request], httpx.Response]) -> KubeApi:
    return KubeApi(httpx.Client(base_url="https://lab", transport=httpx.MockTransport(answer)))


@pytest.mark.parametrize("offset", [offset for offset, _ in SERVICE_ENDPOINTS.values()])
def test_no_fixed_address_is_taken_already(offset: int) -> None:
    taken = str(ipaddress.ip_address("10.96.0.0") + offset)

    def answer(request: httpx.Request) -> httpx.Response:
        spec = {"cidrs": ["10.96.0.0/16"]} if "servicecidrs" in request.url.path else {"clusterIP": taken}
        return httpx.Response(200, json={"items": [{"spec": spec}]})

    part = driver._free_part(api_server(answer))
    assert part == "10.96.0.64/26"
    assert taken not in ServiceAddresses.within_range(part).by_name.values()


@pytest.mark.parametrize("refuses", [True, False])
def test_asking_for_the_service_range_leaves_nothing_behind(refuses: bool) -> None:
    kept: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404)
        if request.url.params.get("dryRun") != "All":
            kept.append(request.url.path)
        message = "provided IP is not in the valid range. The range of valid IPs is 10.43.0.0/16"
        return httpx.Response(422, json={"message": message}) if refuses else httpx.Response(200, json={})

    if refuses:
        assert driver._service_range(api_server(answer)) == "10.43.0.0/16"
    else:
        with pytest.raises(C2DError) as problem:
            driver._service_range(api_server(answer))
        assert problem.value.code == "C2D-EXISTING-RANGE"
    assert kept == []


# -- what everybody knows ----------------------------------------------------------------------------------


def test_keys_of_our_own_making_are_taken(tmp_path: Path) -> None:
    wellknown.refuse_public_keys(open_keys(tmp_path))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("provider-key", BARGE_KEYS["provider-key"]),
        ("cache-key", BARGE_KEYS["cache-key"].upper().replace("0X", "0x")),
        ("register-key", "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
        ("environment-key-ocean-compute", "0x" + derive_accounts(wellknown.MNEMONICS[0], 3)[2].key.hex()),
        ("admin-password", "admin"),
        ("postgres-password", "correct horse battery staple"),
        ("s3-secret-key", "short"),
    ],
)
def test_what_everybody_knows_is_refused_before_anything_is_asked(
    tmp_path: Path, name: str, value: str
) -> None:
    open_keys(tmp_path / "keys")
    (tmp_path / "keys" / name).write_text(value)
    with pytest.raises(C2DError) as problem:
        run_verb(
            ask_consent(ExistingClusterSettings(), open_keys(tmp_path / "keys"), False, True, None),
            lambda event: None,
        )
    assert problem.value.code == "C2D-WELL-KNOWN-SECRET"
    assert name in problem.value.message and value not in problem.value.message.replace(name, "")


@pytest.mark.parametrize("unproven", [False, True])
def test_what_would_be_added_is_said_and_asked(tmp_path: Path, unproven: bool) -> None:
    chosen = ExistingClusterSettings(str(written(tmp_path)), "lab", "registry.lab:5000/c2d")
    said: list[str] = []
    asked: list[str] = []

    def never(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(C2DError) as problem:
        run_verb(
            ask_consent(chosen, open_keys(tmp_path / "keys"), unproven, False, never),
            lambda event: said.append(event.text),
        )
    assert problem.value.code == "C2D-EXISTING-CONSENT" and problem.value.exit_status == 5
    assert "https://lab:6443" in asked[0]
    assert all(any(name in line for line in said) for _, name in belongings.SCOPED)
    assert any("JOBS WILL RUN" in line for line in said) is unproven
    run_verb(ask_consent(chosen, open_keys(tmp_path / "keys"), unproven, True, None), lambda event: None)


# -- the registry ------------------------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "layer").write_bytes(b"\0" * 10240)
    target = tmp_path / "image.tar"
    image_archives.write_image(
        target,
        name="c2d.local/tool:latest",
        architecture="amd64",
        layers=[image_archives.Blob.of_file(image_archives.LAYER, tmp_path / "layer")],
        settings=image_archives.ImageSettings(user="1"),
        created="2020-01-01T00:00:00Z",
    )
    return target


def test_a_pushed_image_has_the_digest_of_its_archive(archive: Path) -> None:
    image = read_archive(archive)
    with run_registry() as shelf:
        there = ImageRegistry(f"127.0.0.1:{shelf.port}/lab/c2d")
        there.require_access()
        assert there.push_image(archive, image) == f"127.0.0.1:{shelf.port}/lab/c2d/tool:latest"
        assert {f"lab/c2d/tool:{image.digest}", "lab/c2d/tool:latest"} == set(shelf.manifests)
        received = shelf.received
        there.push_image(archive, image)
        assert shelf.received == received, "what is there is not sent again"


def test_credentials_of_docker_login_are_used(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with run_registry(token="t0ken") as shelf:
        place = f"127.0.0.1:{shelf.port}"
        with pytest.raises(C2DError) as problem:
            ImageRegistry(place).require_access()
        assert problem.value.code == "C2D-EXISTING-REGISTRY-REFUSED"
        (tmp_path / ".docker").mkdir()
        auths = {"auths": {place: {"auth": base64.b64encode(b"me:secret").decode()}}}
        (tmp_path / ".docker" / "config.json").write_text(json.dumps(auths))
        ImageRegistry(place).push_image(archive, read_archive(archive))
        assert shelf.manifests


@pytest.mark.parametrize("answer", [b"[" * 200_000, b"<html>", b"[]", b'{"token": NaN}'])
def test_a_registry_that_gives_no_token_refuses(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = USER.removeprefix("Basic ")
    monkeypatch.setattr("sandbox.clusters.existing.registry.login_entry", lambda host: entry)
    with run_registry(token="t0ken") as shelf:
        shelf.token_answer = answer
        with pytest.raises(C2DError) as problem:
            ImageRegistry(f"127.0.0.1:{shelf.port}").require_access()
    assert problem.value.code == "C2D-EXISTING-REGISTRY-REFUSED"


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("", "C2D-EXISTING-REGISTRY"),
        ("ftp://lab", "C2D-EXISTING-REGISTRY"),
        ("lab/../..", "C2D-EXISTING-REGISTRY"),
        ("127.0.0.1:1", "C2D-EXISTING-REGISTRY-SILENT"),
    ],
)
def test_a_registry_that_will_not_do(place: str, code: str) -> None:
    with pytest.raises(C2DError) as problem:
        ImageRegistry(place).require_access()
    assert problem.value.code == code and problem.value.next_step


def test_without_tls_only_where_that_is_said_or_this_machine() -> None:
    assert ImageRegistry("lab:5000")._base == "https://lab:5000"
    assert ImageRegistry("http://lab:5000/x").name_prefix == "lab:5000/x"
    assert ImageRegistry("localhost:5000")._base == "http://localhost:5000"


# -- doors -------------------------------------------------------------------------------------------------


def kubectl(folder: Path) -> list[str]:
    """One that only says what it was called with, and stays."""
    program = folder / "kubectl.py"
    program.write_text(
        "import sys, time, pathlib\n"
        f"pathlib.Path({str(folder)!r}, sys.argv[-1].replace(':', '-')).write_text(' '.join(sys.argv[1:]))\n"
        "time.sleep(600)\n"
    )
    return [sys.executable, str(program)]


def until(question: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not question():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_doors_are_held_open_until_closed_and_come_back_after_a_kill(tmp_path: Path) -> None:
    doors, called = PortForwards(tmp_path), kubectl(tmp_path)
    wanted = [PortForward(18030, "provider", 8030), PortForward(18545, "chain", 8545)]
    try:
        doors.open_forwards(called, "https://lab:6443", "c2d", wanted)
        until(lambda: (tmp_path / "18030-8030").exists() and (tmp_path / "18545-8545").exists())
        said = (tmp_path / "18030-8030").read_text()
        assert said == "--namespace c2d port-forward --address 127.0.0.1 service/provider 18030:8030"
        holder = doors.lock_file.read_text()
        doors.open_forwards(called, "https://lab:6443", "c2d", wanted)
        assert doors.lock_file.read_text() == holder, "nothing changed, nothing was started again"
        os.kill(int(holder), signal.SIGKILL)
        until(lambda: not doors.are_open())
        doors.open_forwards(called, "https://lab:6443", "c2d", wanted)
        assert doors.are_open() and doors.lock_file.read_text() != holder
    finally:
        doors.close_forwards()
    assert not doors.are_open()
    doors.close_forwards()


# -- what is remembered ------------------------------------------------------------------------------------


def test_the_record_and_the_choice_are_read_as_written(tmp_path: Path) -> None:
    record = ExistingRecord(
        "lab",
        "https://lab:6443",
        "lab",
        "10.96.0.0/26",
        "10.96.0.10",
        "r/c2d",
        ports={8030: 30030},
        images={"r/c2d/x:latest": "sha256:1"},
        replicas={"provider": 1},
    )
    record.save_record(tmp_path / "cluster.json")
    assert ExistingRecord.load_from(tmp_path / "cluster.json") == record
    settings = BoxSettings(
        cluster="existing", existing=ExistingClusterSettings("/k", "lab", "r/c2d"), unproven_jobs=True
    )
    box = Box(BoxHome(tmp_path), BoxSettings()).save_settings(settings)
    assert open_box(box.home.path).settings == settings
    assert box.cluster.registry == "r/c2d" and box.cluster.runtime_classes == {}


# -- what is taken away --------------------------------------------------------------------------------------


class Lab:
    """An API server with the box's things. Where nobody of the box lives, finalizers hold jobs and claims."""

    CLAIM = "/api/v1/namespaces/c2d/persistentvolumeclaims/chain"
    DEPLOYMENT = "/apis/apps/v1/namespaces/c2d/deployments/chain"

    def __init__(self, engine: bool) -> None:
        self.engine = engine
        self.asked: list[str] = []
        self.things = {f"{path}/{name}" for path, name in belongings.SCOPED}
        self.things |= {
            f"{belongings.WORKFLOWS}/job",
            f"{belongings.VOLUMES}/pvc-1",
            "/api/v1/namespaces/lab",
        }
        self.things |= {self.CLAIM, self.DEPLOYMENT}
        self.held = {f"{belongings.WORKFLOWS}/job", self.CLAIM}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "GET":
            return self._get(path)
        if request.method == "PATCH":
            kept = [] if path == self.CLAIM else ["theirs"]
            assert json.loads(request.content) == {"metadata": {"finalizers": kept}}
            self.held.discard(path)
            self.things.discard(path)
        elif path in self.things:
            self.asked.append(path)
            if self.engine or path not in self.held:
                self.things.discard(path)
        return httpx.Response(200, json={})

    def _get(self, path: str) -> httpx.Response:
        if path in self.things:
            return httpx.Response(200, json={"metadata": {"name": path.rpartition("/")[2]}})
        listed = [
            {
                "metadata": {"name": item.rpartition("/")[2], "finalizers": ["theirs", names.FINALIZER]},
                "spec": {"claimRef": {"namespace": "c2d-jobs"}},
            }
            for item in sorted(self.things)
            if item.rpartition("/")[0] == path
        ]
        return httpx.Response(200, json={"items": listed}) if listed else httpx.Response(404)

    @property
    def kube(self) -> KubeApi:
        return KubeApi(httpx.Client(base_url="https://lab", transport=httpx.MockTransport(self)))


@pytest.mark.parametrize("engine", [True, False])
def test_everything_that_was_added_is_removed_and_nothing_else(engine: bool) -> None:
    lab = Lab(engine)
    assert run_verb(belongings.remove_objects(lab.kube, patience=0.1), lambda event: None) == []
    assert lab.things == {"/api/v1/namespaces/lab"}
    spaces = [f"/api/v1/namespaces/{name}" for name in ("c2d", "c2d-jobs", "c2d-system")]
    order = [
        lab.asked.index(path) for path in (f"{belongings.WORKFLOWS}/job", Lab.DEPLOYMENT, Lab.CLAIM, *spaces)
    ]
    assert order == sorted(order), "jobs end while the engine lives, volumes while the provisioner may erase"


def test_a_cluster_with_things_of_these_names_is_refused() -> None:
    with pytest.raises(C2DError) as problem:
        belongings.require_room(Lab(True).kube)
    assert problem.value.code == "C2D-EXISTING-OCCUPIED"
    empty = Lab(True)
    empty.things = {"/api/v1/namespaces/lab"}
    belongings.require_room(empty.kube)
