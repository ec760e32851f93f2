"""The box's secrets."""

from __future__ import annotations

import stat
from pathlib import Path

from sandbox.keys import BARGE_KEYS, RECIPES, address_of, open_keys


def test_keys_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    first = open_keys(tmp_path / "keys")
    again = open_keys(tmp_path / "keys")
    assert dict(first.values) == dict(again.values)
    assert set(first.values) == set(RECIPES)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    for name in RECIPES:
        assert stat.S_IMODE((tmp_path / "keys" / name).stat().st_mode) == 0o600


def test_two_boxes_share_no_secret(tmp_path: Path) -> None:
    one, other = open_keys(tmp_path / "one"), open_keys(tmp_path / "other")
    assert not set(one.values.values()) & set(other.values.values())


def test_barge_keys_replace_the_signing_keys_only(tmp_path: Path) -> None:
    keys = open_keys(tmp_path, barge=True)
    assert keys.key_address("provider-key") == "0xe08A1dAe983BC701D05E492DB80e0144f8f4b909"
    assert keys["token-secret"] not in BARGE_KEYS.values()


def test_no_secret_shows_in_a_repr(tmp_path: Path) -> None:
    keys = open_keys(tmp_path)
    assert not any(value in repr(keys) for value in keys.values.values())


def test_addresses_are_checksummed() -> None:
    key = "0x8467415bb2ba7c91084d932276214b11a3dd9bdb2930fefa194b666dd8020b99"
    assert address_of(key) == "0x02354A1F160A3fd7ac8b02ee91F04104440B28E7"


def test_leftovers_of_an_interrupted_run_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / ".provider-key.123").write_text("half")
    assert open_keys(tmp_path)["provider-key"].startswith("0x")
