"""Verbs and the finished bundle, over a catalogue of two small parts and an image."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from c2d_box.errors import EnvironmentProblem, StateProblem
from sandbox.bundle import Bundle, build_bundle, build_dependencies, list_parts, verify_parts
from sandbox.bundle.cache import BundleCache
from sandbox.bundle.oci import archive_inspection, image_archives
from sandbox.bundle.parts import catalogue
from sandbox.bundle.parts.image_recipes import FileLayer, ImageRecipe
from sandbox.bundle.parts.recipe import BuildContext, Recipe, machine_architecture
from sandbox.progress import ProgressEvent, run_verb


@dataclass(frozen=True, kw_only=True)
class Tool(Recipe):
    """A program that is there at once."""

    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        (bench.out / self.name).write_text(f"#!/bin/sh\necho {self.version}\n")
        (bench.out / self.name).chmod(0o755)
        (bench.out / "alias").symlink_to(self.name)
        return {}


def small_catalogue(version: str = "1") -> tuple[Recipe, ImageRecipe]:
    tool = Tool(name="tool", version=version, seconds=1, mib=1, debian=("musl-gcc",))
    image = ImageRecipe(
        name="tool-image",
        version="1",
        seconds=1,
        mib=1,
        needs=("tool",),
        layers=(FileLayer(programs=(("bin/tool", "tool", "tool"),)),),
        settings=image_archives.ImageSettings(user="65532:65532", entrypoint=("/bin/tool",)),
    )
    return tool, image


def use(monkeypatch: pytest.MonkeyPatch, version: str = "1") -> None:
    tool, image = small_catalogue(version)
    monkeypatch.setattr("sandbox.bundle.parts.programs.PROGRAMS", (tool,))
    monkeypatch.setattr(catalogue, "LAYERS", ())
    monkeypatch.setattr(catalogue, "IMAGES", (image,))
    monkeypatch.setattr(catalogue, "CATALOGUE", {"tool": tool, "tool-image": image})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BundleCache:
    use(monkeypatch)
    here = build_dependencies.BuildTool("musl-tools", program="sh")
    monkeypatch.setattr(build_dependencies, "TOOLS", {"musl-gcc": (here,), "node": ()})
    return BundleCache(tmp_path / "cache")


def quiet(_: ProgressEvent) -> None:
    pass


def test_a_built_bundle_gives_its_programs_and_images(cache: BundleCache) -> None:
    events: list[ProgressEvent] = []
    built = run_verb(build_bundle(cache=cache), events.append)
    opened = Bundle.open_cached(cache=cache)
    assert opened.binary("tool") == built.binary("tool")
    assert opened.binary("alias").resolve() == opened.binary("tool")
    image = opened.image("tool")
    assert image.reference == "c2d.local/tool:latest"
    assert image.pinned_reference == f"c2d.local/tool@{image.digest}"
    read = archive_inspection.inspect_archive(image.archive, machine_architecture())
    assert (read.digest, read.name) == (image.digest, image.reference)
    assert [found.name for found in opened.images] == ["tool"]
    assert opened.kubernetes_version.startswith("v1.")
    assert (events[0].state, events[-1].state, events[-1].fraction) == ("started", "done", 1.0)
    with pytest.raises(KeyError):
        opened.binary("image.tar")


def test_the_manifest_names_architecture_versions_and_digests(cache: BundleCache) -> None:
    bundle = run_verb(build_bundle(cache=cache), quiet)
    document = json.loads((cache.root / "bundle.json").read_text())
    assert document["architecture"] == bundle.architecture
    assert document["kubernetes"] == bundle.kubernetes_version
    assert {part["name"]: part["digest"] for part in document["parts"]} == {
        "tool": None,
        "tool-image": bundle.image("tool").digest,
    }


def test_opening_nothing_says_what_is_missing_and_how_to_get_it(cache: BundleCache) -> None:
    with pytest.raises(StateProblem) as caught:
        Bundle.open_cached(cache=cache)
    assert caught.value.code == "C2D-BUNDLE-INCOMPLETE"
    assert "bundle build" in caught.value.next_step


def test_a_bundle_of_another_version_is_told_apart(
    cache: BundleCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_verb(build_bundle(cache=cache), quiet)
    use(monkeypatch, "2")
    with pytest.raises(StateProblem) as caught:
        Bundle.open_cached(cache=cache)
    assert caught.value.code == "C2D-BUNDLE-VERSION"
    assert [part.state for part in list_parts(cache=cache)] == ["outdated", "outdated"]


def test_part_of_a_bundle_can_be_opened_alone(cache: BundleCache) -> None:
    run_verb(build_bundle(["tool"], cache=cache), quiet)
    assert Bundle.open_cached(["tool"], cache).binary("tool").exists()


def test_verify_names_what_is_damaged_and_build_repairs_it(cache: BundleCache) -> None:
    bundle = run_verb(build_bundle(cache=cache), quiet)
    whole = run_verb(verify_parts(cache=cache), quiet)
    assert [part.state for part in whole] == ["ready", "ready"]
    archive = bundle.image("tool").archive
    data = bytearray(archive.read_bytes())
    data[700] ^= 1
    archive.write_bytes(data)
    with pytest.raises(StateProblem) as caught:
        run_verb(verify_parts(cache=cache), quiet)
    assert caught.value.code == "C2D-BUNDLE-DAMAGED"
    assert caught.value.details["parts"] == {"tool-image": ["image.tar: content"]}
    with pytest.raises(StateProblem, match="C2D-BUNDLE-DAMAGED"):
        Bundle.open_cached(cache=cache)
    events: list[ProgressEvent] = []
    run_verb(build_bundle(cache=cache), events.append)
    assert [event.step for event in events if event.state == "done"] == ["bundle.tool-image", "bundle"]
    run_verb(verify_parts(cache=cache), quiet)


def test_a_list_says_what_each_part_is(cache: BundleCache) -> None:
    run_verb(build_bundle(cache=cache), quiet)
    tool, image = list_parts(cache=cache)
    assert (tool.name, tool.state, tool.version) == ("tool", "ready", "1")
    assert (image.kind, image.digest) == ("image", Bundle.open_cached(cache=cache).image("tool").digest)
    assert image.size > 0 and image.seconds is not None


def test_nothing_is_installed_without_consent(cache: BundleCache, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = build_dependencies.BuildTool("musl-tools", program="not-on-this-machine")
    monkeypatch.setattr(build_dependencies, "TOOLS", {"musl-gcc": (absent,), "node": ()})
    questions: list[str] = []

    def refuse(question: str) -> bool:
        questions.append(question)
        return False

    monkeypatch.setenv("PATH", f"{with_programs(cache, 'apt-get', 'sudo')}")
    with pytest.raises(EnvironmentProblem) as caught:
        run_verb(build_bundle(cache=cache, confirm=refuse), quiet)
    assert caught.value.code == "C2D-BUNDLE-CONSENT"
    assert caught.value.details["packages"] == ["musl-tools"]
    assert "musl-tools" in questions[0]
    assert "--yes" in caught.value.next_step


def test_a_linux_without_apt_is_told_what_to_use_instead(
    cache: BundleCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = build_dependencies.BuildTool("musl-tools", program="not-on-this-machine")
    monkeypatch.setattr(build_dependencies, "TOOLS", {"musl-gcc": (absent,), "node": ()})
    monkeypatch.setenv("PATH", f"{with_programs(cache)}")
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    with pytest.raises(EnvironmentProblem) as caught:
        run_verb(build_bundle(cache=cache, yes=True), quiet)
    assert caught.value.code == "C2D-BUNDLE-TOOLS"
    assert "Start Docker" in caught.value.next_step
    assert "copy its cache folder" in caught.value.next_step


def test_packages_are_installed_after_consent(cache: BundleCache, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = with_programs(cache, "apt-get", "sudo", "env")
    record = programs / "calls"
    (programs / "apt-get").write_text(f'#!/bin/sh\necho "$@" >> {record}\n: > {programs}/musl-gcc\n')
    (programs / "env").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    (programs / "sudo").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    absent = build_dependencies.BuildTool("musl-tools", file=str(programs / "musl-gcc"))
    monkeypatch.setattr(build_dependencies, "TOOLS", {"musl-gcc": (absent,), "node": ()})
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    run_verb(build_bundle(cache=cache, yes=True), quiet)
    assert record.read_text().splitlines() == [
        "update",
        "install --yes --no-install-recommends musl-tools",
    ]


def with_programs(cache: BundleCache, *names: str) -> Path:
    """A folder of programs to be the whole PATH."""
    folder = cache.root.parent / "bin"
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder
