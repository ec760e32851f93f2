"""An entry is whole or not there, and damage is found."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.bundle.cache import BundleCache, CachedPart, PartManifest, cache_root, records_of


def never() -> None:
    raise AssertionError("nobody else holds the lock")


def published(cache: BundleCache, key: str = "k1", text: str = "one") -> CachedPart:
    with cache.lock_part("part", never), cache.open_workspace("part", key) as workspace:
        out = workspace / "out"
        (out / "cni").mkdir(parents=True)
        (out / "cni" / "bridge").write_text(text)
        (out / "cni" / "bridge").chmod(0o755)
        (out / "link").symlink_to("cni/bridge")
        manifest = PartManifest("part", "1", key, "amd64", 1.5, records_of(out), {"digest": "sha256:00"})
        return cache.publish_part(out, manifest)


def test_a_published_entry_is_found_again_with_all_it_knows(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path)
    published(cache)
    entry = cache.find_part("part", "k1")
    assert entry is not None
    assert entry.manifest.facts == {"digest": "sha256:00"}
    assert entry.manifest.seconds == 1.5
    assert [(r.path, r.executable, r.link) for r in entry.manifest.files] == [
        ("cni/bridge", True, ""),
        ("link", False, "cni/bridge"),
    ]
    assert entry.file_path("link").read_text() == "one"
    assert list(entry.find_damage(thorough=True)) == []


def test_another_key_finds_nothing(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path)
    published(cache)
    assert cache.find_part("part", "k2") is None


def test_a_folder_without_a_manifest_is_not_an_entry(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path)
    cache.part_folder("part", "k1").mkdir(parents=True)
    assert cache.find_part("part", "k1") is None
    (cache.part_folder("part", "k1") / "manifest.json").write_text('{"half": ')
    assert cache.find_part("part", "k1") is None


def test_nothing_is_left_of_a_build_that_failed(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path)
    with pytest.raises(RuntimeError), cache.open_workspace("part", "k1") as workspace:
        (workspace / "half").write_text("written")
        raise RuntimeError
    assert cache.find_part("part", "k1") is None
    assert list((tmp_path / "work").iterdir()) == []


def test_what_a_killed_build_left_is_removed_by_the_next(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path)
    killed = tmp_path / "work" / "part@k0.1"
    other = tmp_path / "work" / "part-two@k0.1"
    killed.mkdir(parents=True)
    other.mkdir()
    with cache.open_workspace("part", "k1"):
        assert not killed.exists()
        assert other.exists()


def truncate(path: Path) -> None:
    path.write_text("on")


def overwrite(path: Path) -> None:
    path.write_text("two")


def rot(path: Path) -> None:
    """Another content under the same size and time: only hashing sees it."""
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def vanish(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("harm", "cheap", "thorough"),
    [
        (truncate, ["size"], ["size"]),
        (overwrite, ["content"], ["content"]),
        (rot, [], ["content"]),
        (vanish, ["missing"], ["missing"]),
    ],
)
def test_damage_is_found(
    tmp_path: Path, harm: Callable[[Path], None], cheap: list[str], thorough: list[str]
) -> None:
    entry = published(BundleCache(tmp_path))
    harm(entry.file_path("cni/bridge"))
    assert [what for _, what in entry.find_damage()] == cheap
    assert [what for _, what in entry.find_damage(thorough=True)] == thorough


def test_a_file_that_was_only_touched_is_not_damaged(tmp_path: Path) -> None:
    entry = published(BundleCache(tmp_path))
    os.utime(entry.file_path("cni/bridge"), (0, 0))
    assert list(entry.find_damage()) == []


def test_a_marked_entry_counts_as_damaged_until_it_is_replaced(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path)
    entry = published(cache)
    entry.mark_damaged()
    assert next(entry.find_damage()) == ("manifest.json", "marked")
    assert list(published(cache).find_damage()) == []


def test_the_current_entry_and_the_one_before_are_kept(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path)
    for number, key in enumerate(["k1", "k2", "k3"]):
        entry = published(cache, key)
        stamp = time.time() - 100 + number
        os.utime(entry.folder / "manifest.json", (stamp, stamp))
    assert cache.find_part("part", "k1") is None
    assert cache.find_part("part", "k2") is not None
    latest = cache.latest_part("part")
    assert latest is not None and latest.manifest.key == "k3"


def test_the_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.delenv("C2D_BOX_CACHE", raising=False)
    assert cache_root() == Path("/xdg/c2d-box")
    monkeypatch.setenv("C2D_BOX_CACHE", "/own")
    assert cache_root() == Path("/own")
