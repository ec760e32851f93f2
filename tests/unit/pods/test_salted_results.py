"""Results in IPFS: exact bytes for whoever has the name, and a name that nobody can guess."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2d_box.assets.crypto import salted_blocks
from c2d_box.pods.upload import dag
from c2d_box.pods.upload.dag import CHUNK, DagBuilder
from tests.harness.car_reader import CarReader

SECRET = b"a stage's token"
SMALL = b'{"accuracy": 0.93}'


def planted(files: dict[str, bytes], secret: bytes = SECRET) -> tuple[dag.ResultTree, CarReader]:
    planter = DagBuilder({path: _again(content) for path, content in files.items()}, secret)
    tree = planter.plan_tree()
    opened = CarReader(b"".join(planter.car_stream(tree.root)))
    assert opened.root == tree.root
    return tree, opened


def _again(content: bytes) -> dag.Pieces:
    return lambda: iter([content[:7], b"", content[7:]])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-c](/[x-z]ü?){1,3}", fullmatch=True), st.binary(max_size=40)))
def test_every_file_comes_back_as_it_was(files: dict[str, bytes]) -> None:
    files = {path: body for path, body in files.items() if not any(p.startswith(path + "/") for p in files)}
    tree, opened = planted(files | {"evidence.json": b"{}"})
    for path, content in files.items():
        assert opened.read_content(path) == content == opened.read_file(tree.files[path])
    opened.check_sizes()


def test_large_files_are_trees_of_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag, "CHUNK", 64)
    monkeypatch.setattr(dag, "WIDTH", 4)
    for size in (0, 1, 63, 64, 65, 64 * 4, 64 * 4 + 1, 64 * 17 + 5):
        content = bytes(index % 251 for index in range(size))
        _, opened = planted({"outputs/a": content})
        assert opened.read_content("outputs/a") == content
        opened.check_sizes()
        assert max(map(len, opened.blocks.values())) < 600


def test_a_guess_finds_nothing() -> None:
    """No block is named by what is in it, neither bare nor as Kubo would have stored it."""
    _, opened = planted({"outputs/metrics.json": SMALL, "outputs/large": b"7" * (CHUNK + 10)})
    kubo = b"\x08\x02\x12" + bytes([len(SMALL)]) + SMALL + b"\x18" + bytes([len(SMALL)])
    guesses = [SMALL, b"\x0a" + bytes([len(kubo)]) + kubo, b"7" * CHUNK, b"7" * 10]
    digests = {hashlib.sha256(guess).digest() for guess in guesses}
    assert not digests & {cid[4:] for cid in opened.blocks}


def test_two_jobs_with_the_same_result_share_no_block() -> None:
    one, other = planted({"outputs/a": SMALL}), planted({"outputs/a": SMALL}, b"another stage's token")
    assert not set(one[1].blocks) & set(other[1].blocks)


def test_two_equal_files_of_a_job_share_no_block() -> None:
    tree, opened = planted({"outputs/a": SMALL, "outputs/b": SMALL})
    assert tree.files["outputs/a"] != tree.files["outputs/b"]
    assert len(opened.blocks) == 4


def test_every_block_is_known_as_a_result_again() -> None:
    _, opened = planted({"outputs/a": b"1" * (CHUNK + 1), "logs/b": b"", "evidence.json": b"{}"})
    assert all(salted_blocks.is_result(block) for block in opened.blocks.values())


@given(st.binary(max_size=200))
def test_no_other_bytes_are_taken_for_a_result(data: bytes) -> None:
    assert not salted_blocks.is_result(data)


def test_a_publishers_file_that_speaks_of_the_mark_is_none() -> None:
    plain = b"\x08\x02\x12" + bytes([len(salted_blocks.MARK)]) + salted_blocks.MARK
    assert not salted_blocks.is_result(b"\x0a" + bytes([len(plain)]) + plain)
    assert not salted_blocks.is_result(salted_blocks.MARK)
