"""A bundle that travels as one file: what arrives is what was sent; anything else is refused untouched."""

from __future__ import annotations

import functools
import hashlib
import json
import random
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c2d_box.errors import C2DError
from sandbox.bundle.build import build_bundle
from sandbox.bundle.cache import BundleCache
from sandbox.bundle.parts import catalogue
from sandbox.bundle.parts.recipe import BuildContext, Recipe
from sandbox.bundle.transfer import export, load
from sandbox.bundle.transfer.serve import _parse_range, file_server
from sandbox.progress import run_verb

NOBODY = lambda event: None  # noqa: E731


@dataclass(frozen=True, kw_only=True)
class Written(Recipe):
    """A part that is a text, a program and a link."""

    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        (bench.out / "data").write_bytes(self.name.encode() * 5000)
        (bench.out / "program").write_text("#!/bin/sh\n")
        (bench.out / "program").chmod(0o755)
        (bench.out / "link").symlink_to("program")
        return {"about": self.name}


def part(name: str, version: str = "1", needs: tuple[str, ...] = ()) -> Written:
    return Written(name=name, version=version, seconds=1, mib=1, needs=needs)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the catalogue by a few small parts; the layer is no product."""

    def replaced(*programs: Recipe, layers: tuple[Recipe, ...] = ()) -> None:
        monkeypatch.setattr("sandbox.bundle.parts.programs.PROGRAMS", programs)
        monkeypatch.setattr(catalogue, "IMAGES", ())
        monkeypatch.setattr(catalogue, "OPTIONAL", ())
        monkeypatch.setattr(catalogue, "CATALOGUE", {p.name: p for p in (*layers, *programs)})

    return replaced


@pytest.fixture
def bundle(tmp_path: Path, use: Callable[..., None]) -> Path:
    """A bundle file of two products, one made from a layer."""
    use(part("one", needs=("layer",)), part("two"), layers=(part("layer"),))
    cache = BundleCache(tmp_path / "here")
    run_verb(build_bundle(cache=cache), NOBODY)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "some-1-py3-none-any.whl").write_bytes(b"not opened here")
    run_verb(export.save_bundle(tmp_path / "box.bundle", wheels=wheels, cache=cache), NOBODY)
    return tmp_path / "box.bundle"


def loaded(source: str | Path, cache: BundleCache) -> load.LoadedBundle:
    return run_verb(load.load_bundle(str(source), cache=cache), NOBODY)


def refusal(source: str | Path, cache: BundleCache) -> str:
    with pytest.raises(C2DError) as problem:
        loaded(source, cache)
    assert problem.value.next_step
    assert not (cache.root / "parts").exists(), "something changed"
    return problem.value.code


def test_products_arrive_whole_and_nothing_is_built_again(bundle: Path, tmp_path: Path) -> None:
    there = BundleCache(tmp_path / "there")
    report = loaded(bundle, there)
    assert report.parts == ("one", "two")
    assert not list((there.root / "work").glob("arriving*"))
    events: list[str] = []
    run_verb(
        build_bundle(cache=there), lambda event: events.append(f"{event.step} {event.state} {event.text}")
    )
    assert events[0].startswith("bundle started 0 of")
    entry = there.latest_part("one")
    assert entry is not None and not list(entry.find_damage(thorough=True))
    assert entry.file_path("program").stat().st_mode & 0o111
    assert entry.file_path("link").is_symlink()


def test_what_is_there_is_not_brought_again(bundle: Path, tmp_path: Path) -> None:
    there = BundleCache(tmp_path / "there")
    loaded(bundle, there)
    again = loaded(bundle, there)
    assert (again.parts, again.already, again.bytes) == ((), ("one", "two"), 0)


def test_an_interrupted_load_goes_on(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, brought = BundleCache(tmp_path / "there"), []
    bring = load._bring

    def until_two(archive: Any, name: str, record: Any, target: Path, source: str) -> None:
        if "parts/two" in name:
            raise KeyboardInterrupt
        bring(archive, name, record, target, source)

    monkeypatch.setattr(load, "_bring", until_two)
    with pytest.raises(KeyboardInterrupt):
        loaded(bundle, there)
    assert not (there.root / "parts").exists()
    monkeypatch.setattr(load, "_bring", bring)
    opened = zipfile.ZipFile.open

    def noted(self: zipfile.ZipFile, name: Any, *rest: Any, **more: Any) -> Any:
        brought.append(str(name))
        return opened(self, name, *rest, **more)

    monkeypatch.setattr(zipfile.ZipFile, "open", noted)
    assert loaded(bundle, there).parts == ("one", "two")
    assert [name for name in brought if name.startswith("parts/one")] == []


def test_truncated(bundle: Path, tmp_path: Path) -> None:
    whole = bundle.read_bytes()
    for keep in (0, 10, len(whole) // 2, len(whole) - 1):
        bundle.write_bytes(whole[:keep])
        assert refusal(bundle, BundleCache(tmp_path / "there")) in (
            "C2D-BUNDLE-FILE",
            "C2D-BUNDLE-FILE-DAMAGED",
        )


def test_no_bundle_at_all(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("hello", "world")
    (tmp_path / "text").write_text("hello")
    for name, code in (
        ("other.zip", "C2D-BUNDLE-FILE"),
        ("text", "C2D-BUNDLE-FILE"),
        ("no", "C2D-NO-SUCH-FILE"),
    ):
        assert refusal(tmp_path / name, BundleCache(tmp_path / "there")) == code


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_no_flipped_byte_comes_in(bundle: Path, tmp_path: Path, seed: int) -> None:
    """Whatever byte is flipped: refused with a code and nothing changed, or the parts are what was sent."""
    size = bundle.stat().st_size
    chosen = random.Random(seed)
    refused_or_sound(bundle, tmp_path, chosen.choice([chosen.randrange(size), -chosen.randrange(1, 1400)]))


def test_no_change_to_how_a_part_is_packed_comes_in(bundle: Path, tmp_path: Path) -> None:
    """Flags and method of every entry: Python's reader finds it encrypted, or packed in another way."""
    sent = bundle.read_bytes()
    entry = sent.find(b"PK\x01\x02")
    while entry != -1:
        for at, flip in ((8, 0x01), (8, 0x20), (10, 0x04), (10, 0x06), (10, 0x20)):
            refused_or_sound(bundle, tmp_path, entry + at, flip)
        entry = sent.find(b"PK\x01\x02", entry + 1)


def refused_or_sound(bundle: Path, tmp_path: Path, at: int, flip: int = 0x20) -> None:
    sent = bytearray(bundle.read_bytes())
    sent[at] ^= flip
    damaged, there = tmp_path / "flipped.bundle", BundleCache(tmp_path / "flipped")
    damaged.write_bytes(sent)
    shutil.rmtree(there.root, ignore_errors=True)
    try:
        loaded(damaged, there)
    except C2DError as problem:
        assert problem.code.startswith("C2D-BUNDLE-FILE")
        assert not (there.root / "parts").exists()
    else:
        for name in ("one", "two"):
            entry = there.latest_part(name)
            assert entry is not None and not list(entry.find_damage(thorough=True))
            assert entry.file_path("data").read_bytes() == name.encode() * 5000


def rewritten(bundle: Path, **changes: Any) -> Path:
    """The same file with another manifest, sealed anew: what another c2d-box would have written."""
    target = bundle.with_name("rewritten.bundle")
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == export.MANIFEST:
                data = text = json.dumps({**json.loads(data), **changes}).encode()
            if name == export.SEAL:
                data = hashlib.sha256(text).hexdigest().encode()
            new.writestr(name, data)
    return target


def test_another_architecture_is_refused_by_name(bundle: Path, tmp_path: Path) -> None:
    there = BundleCache(tmp_path / "there")
    assert refusal(rewritten(bundle, architecture="riscv64"), there) == "C2D-BUNDLE-FILE-ARCHITECTURE"
    done = subprocess.run(
        [sys.executable, rewritten(bundle, architecture="riscv64"), "--into", tmp_path / "program"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "riscv64" in done.stderr and not (tmp_path / "program").exists()


def test_an_older_file_is_refused(bundle: Path, tmp_path: Path, use: Callable[..., None]) -> None:
    use(part("one", version="2", needs=("layer",)), part("two"), layers=(part("layer"),))
    assert refusal(bundle, BundleCache(tmp_path / "there")) == "C2D-BUNDLE-FILE-VERSION"


def test_a_file_of_a_newer_format_is_refused(bundle: Path, tmp_path: Path) -> None:
    assert refusal(rewritten(bundle, format=2), BundleCache(tmp_path / "there")) == "C2D-BUNDLE-FILE-NEWER"


def test_no_name_in_a_manifest_leads_out_of_the_cache(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        parts = json.loads(archive.read(export.MANIFEST))["parts"]
    parts[0]["files"][0]["path"] = "../../../outside"
    assert (
        refusal(rewritten(bundle, parts=parts), BundleCache(tmp_path / "there")) == "C2D-BUNDLE-FILE-DAMAGED"
    )
    parts[0]["part"] = "../../outside"
    assert (
        refusal(rewritten(bundle, parts=parts), BundleCache(tmp_path / "there")) == "C2D-BUNDLE-FILE-VERSION"
    )


@pytest.mark.parametrize(
    "records",
    [
        [{"path": "l", "link": "/etc"}],
        [{"path": "l", "link": "../../outside"}],
        [{"path": "a/l", "link": "../.."}],
        [{"path": "l", "link": "a/../../outside"}],
        [{"path": "l", "link": "."}, {"path": "l/inner", "link": "program"}],
        [{"path": "../l", "link": "program"}],
        [{"path": "a/../data/l", "link": "program"}],
        [{"path": "manifest.json", "link": "program"}],
    ],
    ids=str,
)
def test_no_link_in_a_manifest_leads_out_of_its_part(
    bundle: Path, tmp_path: Path, records: list[dict[str, str]]
) -> None:
    """A file of a stranger: what follows the link, or lies behind it, would be elsewhere on this machine."""
    with zipfile.ZipFile(bundle) as archive:
        parts = json.loads(archive.read(export.MANIFEST))["parts"]
    parts[0]["files"] += records
    assert (
        refusal(rewritten(bundle, parts=parts), BundleCache(tmp_path / "there")) == "C2D-BUNDLE-FILE-DAMAGED"
    )


def test_a_link_through_a_link_does_not_reach_another_folder(bundle: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    with zipfile.ZipFile(bundle) as archive:
        parts = json.loads(archive.read(export.MANIFEST))["parts"]
    parts[0]["files"] += [{"path": "l", "link": str(outside)}, {"path": "l/kept", "link": "program"}]
    with pytest.raises(C2DError):
        loaded(rewritten(bundle, parts=parts), BundleCache(tmp_path / "there"))
    assert (outside / "kept").read_text() == "kept"


def test_links_within_a_part_are_made(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        parts = json.loads(archive.read(export.MANIFEST))["parts"]
    parts[0]["files"] += [{"path": "a/up", "link": "../program"}, {"path": "a/twice", "link": "up"}]
    there = BundleCache(tmp_path / "there")
    loaded(rewritten(bundle, parts=parts), there)
    entry = there.latest_part("one")
    assert entry is not None and entry.file_path("a/twice").read_text() == "#!/bin/sh\n"


def test_diff_names_what_would_come(bundle: Path, tmp_path: Path) -> None:
    states = {
        found.name: found.state
        for found in load.compare_bundles(str(bundle), cache=BundleCache(tmp_path / "there"))
    }
    assert states == {"one": "only there", "two": "only there"}
    states = {
        found.name: found.state
        for found in load.compare_bundles(str(bundle), cache=BundleCache(tmp_path / "here"))
    }
    assert states == {"one": "same", "two": "same"}


@pytest.fixture
def url(bundle: Path) -> Iterator[str]:
    with file_server(bundle, "127.0.0.1:0") as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/box.bundle"
        running.shutdown()
        thread.join()


def test_a_served_file_arrives_over_the_network(url: str, tmp_path: Path) -> None:
    assert loaded(url, BundleCache(tmp_path / "there")).parts == ("one", "two")


@pytest.mark.parametrize(
    ("status", "body"), [(503, b"busy"), (200, b"x" * (5 << 20)), (206, b"x" * (5 << 20))]
)
def test_an_answer_that_is_no_part_of_the_file_is_not_taken_for_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes
) -> None:
    """A server that stops to serve parts, after the first answer."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers["range"] == "bytes=0-0":
            return httpx.Response(206, content=b"P", headers={"Content-Range": f"bytes 0-0/{4 << 20}"})
        return httpx.Response(status, content=body)

    client = functools.partial(httpx.Client, transport=httpx.MockTransport(answer))
    monkeypatch.setattr(httpx, "Client", client)
    assert refusal("http://box.test/box.bundle", BundleCache(tmp_path / "there")) == "C2D-BUNDLE-URL"


@pytest.mark.parametrize("text", ["bytes=²-", "bytes=0-²", "bytes=-5", "pages=0-1", ""])
def test_what_is_no_range_of_a_file_is_none(text: str) -> None:
    assert _parse_range(text, 10) is None


def test_an_address_where_nobody_serves(tmp_path: Path) -> None:
    assert refusal("http://127.0.0.1:9/box.bundle", BundleCache(tmp_path / "there")) == "C2D-NO-NETWORK"


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, "[]", "{}", '{"format": "1"}', '{"format": NaN}', '{"format": 1, "parts": [[]]}'],
    ids=lambda text: str(text)[:20],
)
def test_a_manifest_of_another_form_is_a_damaged_file(bundle: Path, tmp_path: Path, text: str) -> None:
    """A seal proves nothing: whoever writes another manifest writes its seal, too."""
    target = tmp_path / "hostile.bundle"
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            changed = {export.MANIFEST: text, export.SEAL: hashlib.sha256(text.encode()).hexdigest()}
            new.writestr(name, changed.get(name) or old.read(name))
    with pytest.raises(C2DError) as problem:
        loaded(target, BundleCache(tmp_path / "nowhere"))
    assert problem.value.code == "C2D-BUNDLE-FILE-DAMAGED"
