"""The catalogue of findings is the code's: every id is in it and in the docs, and can be provoked."""

from __future__ import annotations

import ast
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sandbox.doctor
from sandbox.clusters.native.host import probes
from sandbox.doctor import bundle, catalogue, guest, machine, native, ports
from sandbox.doctor.finding import Finding
from sandbox.settings import ExistingClusterSettings

KNOWN = {known.id for known in catalogue.KNOWN}
ELSEWHERE = {
    *("C2D-DOC-CHECK", "C2D-DOC-KIND", "C2D-DOC-WSL", "C2D-DOC-DOCKER", "C2D-DOC-K3D"),
    *(f"C2D-DOC-DOCKER-{name}" for name in ("CGROUP", "LEFTOVERS", "MEMORY", "OLD", "PERMISSION")),
    *("C2D-DOC-DOCKER-DISK", "C2D-DOC-DOCKER-DESKTOP", "C2D-DOC-SEALED-KEY"),
}
"""Provoked in test_docker, test_examination and test_sealedkeys; where kind is found is never wrong."""


def in_code() -> set[str]:
    """Ids that stand in the doctor's modules, and those made from the native driver's probes."""
    found = set()
    for module in Path(sandbox.doctor.__file__).parent.glob("*.py"):
        if module.name == "catalogue.py":
            continue
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Constant) and str(node.value).startswith("C2D-DOC-"):
                found.add(str(node.value))
    found.discard("C2D-DOC-")
    return found | {f"C2D-DOC-{n.id.upper().replace('.', '-')}" for n in probes.findings(Path("/"))}


def test_the_catalogue_has_every_id_and_no_other() -> None:
    assert in_code() == KNOWN


def test_the_page_in_the_docs_is_the_catalogue() -> None:
    page = Path(__file__).parents[3] / "docs" / "doctor.md"
    assert page.read_text() == catalogue.docs_page()


def _nothing(*_: Any, **__: Any) -> Any:
    return None


def _blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without kernel features and programs."""
    monkeypatch.setattr(platform, "system", lambda: "Plan9")
    monkeypatch.setattr(probes, "_built_in", lambda module: False)
    monkeypatch.setattr(probes, "_module_exists", lambda module: False)
    monkeypatch.setattr(shutil, "which", _nothing)
    monkeypatch.setattr(probes, "LEAST_FREE", 1 << 60)
    real = Path.read_text
    empty = ("/proc/filesystems", "/proc/self/mounts", "/proc/sys/user/max_user_namespaces")

    def read(self: Path, *rest: Any, **more: Any) -> str:
        return ("0" if "max_user" in str(self) else "") if str(self) in empty else real(self, *rest, **more)

    monkeypatch.setattr(Path, "read_text", read)
    exists = Path.exists

    def there(self: Path, **more: Any) -> bool:
        gone = str(self).startswith(("/proc/self/ns/", "/sys/module/"))
        return False if gone else exists(self, **more)

    monkeypatch.setattr(Path, "exists", there)


def test_every_need_of_the_native_cluster_can_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _blind(monkeypatch)
    found = native.check_needs(tmp_path)
    assert [finding.id for finding in found if finding.level == "ok"] == []
    assert all(finding.fix for finding in found)


def _no_bundle(folder: Path, patch: pytest.MonkeyPatch) -> Any:
    patch.setenv("C2D_BOX_CACHE", str(folder / "empty"))
    return bundle.check_bundle()


def _full(folder: Path, patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))
    return machine.check_cache_disk(folder)


def _other_system(folder: Path, patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(machine, "_os_release", lambda: {"ID": "arch"})
    return machine.check_distribution()


def _little_memory(folder: Path, patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(machine, "_meminfo", dict)
    return machine.check_memory()


def _nobody(folder: Path, patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(os, "geteuid", lambda: 1000)
    patch.setattr(shutil, "which", _nothing)
    return machine.check_root()


def _no_packages(folder: Path, patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(shutil, "which", _nothing)
    return bundle.check_packages()


def _long_home(folder: Path, patch: pytest.MonkeyPatch) -> Any:
    return native.check_home_path(Path("/" + "x" * 100))


def _leftovers(folder: Path, patch: pytest.MonkeyPatch) -> Any:
    (folder / "cluster").mkdir()
    (folder / "cluster" / "state.json").write_text("{}")
    patch.setattr(native, "holders", lambda layout: [])
    return native.check_leftovers(folder, "c2d")


def _taken_port(folder: Path, patch: pytest.MonkeyPatch) -> Any:
    patch.setattr(ports, "is_free", lambda port: False)
    return ports.check_ports([("chain", 1)])


def _no_cluster(folder: Path, patch: pytest.MonkeyPatch) -> Any:
    return guest.check_existing(ExistingClusterSettings(kubeconfig=str(folder / "none")))


def _no_registry(folder: Path, patch: pytest.MonkeyPatch) -> Any:
    return guest.check_existing(
        ExistingClusterSettings(kubeconfig=str(folder / "none"), registry="127.0.0.1:1")
    )[1]


PROVOKED: dict[str, Callable[[Path, pytest.MonkeyPatch], Any]] = {
    "C2D-DOC-BUNDLE": _no_bundle,
    "C2D-DOC-CACHE-DISK": _full,
    "C2D-DOC-DISTRIBUTION": _other_system,
    "C2D-DOC-EXISTING": _no_cluster,
    "C2D-DOC-EXISTING-REGISTRY": _no_registry,
    "C2D-DOC-HOME": _long_home,
    "C2D-DOC-LEFTOVERS": _leftovers,
    "C2D-DOC-MEMORY": _little_memory,
    "C2D-DOC-PACKAGES": _no_packages,
    "C2D-DOC-PORT": _taken_port,
    "C2D-DOC-ROOT": _nobody,
}


@pytest.mark.parametrize("id", sorted(PROVOKED))
def test_each_finding_can_be_provoked(id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = PROVOKED[id](tmp_path, monkeypatch)
    finding: Finding = found[0] if isinstance(found, list) else found
    assert finding.id == id and finding.level != "ok" and finding.fix


def test_no_id_is_left_without_a_test() -> None:
    needs = {f"C2D-DOC-{need.id.upper().replace('.', '-')}" for need in probes.findings(Path("/"))}
    assert set(PROVOKED) | needs | ELSEWHERE == KNOWN
