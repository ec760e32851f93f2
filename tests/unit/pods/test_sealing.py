"""Results that only their owner can read: what leaves the pod, who can open it, and what a retry sends."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path
from typing import Any

import ecies as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.assets.crypto import ecies
from c2d_box.client.results import decryption
from c2d_box.errors import Refused
from c2d_box.pods.upload.__main__ import deliver_files
from c2d_box.pods.upload.sealing import sealed_entry, sealing_sender
from c2d_box.pods.upload.sending import SendInterrupted, SentFile, UploadEntry, entry_content

KEY, OTHER = b"\x11" * 32, b"\x22" * 32
PUBLIC = ecies.public_key_of(KEY)
TOKEN = b"the stage's token"


def entry(data: Path, text: bytes, path: str = "outputs/a/x.csv") -> UploadEntry:
    place = data / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(text)
    return UploadEntry(
        place, path, path.partition("/")[2], "output", len(text), hashlib.sha256(text).hexdigest()
    )


@pytest.mark.parametrize("size", [0, 1, 100, 700_000])
def test_what_leaves_is_what_ecies_makes_of_it(tmp_path: Path, size: int) -> None:
    text = b"a,b\n" * size
    found = sealed_entry(entry(tmp_path, text), PUBLIC, TOKEN)
    sent = b"".join(entry_content(found))
    assert (len(sent), hashlib.sha256(sent).hexdigest()) == (found.size, found.sha256)
    assert found.filename == "a/x.csv.ecies"
    assert ecies.decrypt(KEY, sent) == text
    assert decryption.decrypt_result(KEY, sent) == text
    assert oracle.decrypt(KEY, sent) == text


def test_another_try_sends_the_same_bytes_and_another_file_does_not(tmp_path: Path) -> None:
    one = entry(tmp_path, b"yes")
    assert sealed_entry(one, PUBLIC, TOKEN).sha256 == sealed_entry(one, PUBLIC, TOKEN).sha256
    other = entry(tmp_path, b"yes", "outputs/y.csv")
    found = [
        sealed_entry(one, PUBLIC, TOKEN),
        sealed_entry(other, PUBLIC, TOKEN),
        sealed_entry(one, PUBLIC, b"another job's"),
    ]
    assert len({file.sha256 for file in found}) == 3
    heads = {b"".join(entry_content(file))[:81] for file in found}
    assert len(heads) == 3


def test_a_store_that_was_away_gets_them_too(tmp_path: Path) -> None:
    tries: list[list[bytes]] = []

    def send(files: list[UploadEntry]) -> list[SentFile]:
        tries.append([b"".join(entry_content(file)) for file in files])
        if len(tries) == 1:
            raise SendInterrupted("away")
        return [SentFile(file, "ipfs://x") for file in files]

    report = deliver_files([entry(tmp_path, b"1")], sealing_sender(send, PUBLIC, TOKEN), 5, lambda _: None)
    assert tries[0] == tries[1]
    (result,) = report["results"]
    assert (result["encryption"], result["filename"], result["filesize"]) == ("ecies", "a/x.csv.ecies", 98)


def test_what_was_not_judged_is_not_sealed(tmp_path: Path) -> None:
    file = entry(tmp_path, b"judged")
    file.place.write_bytes(b"others")
    report = deliver_files([file], sealing_sender(lambda _: [], PUBLIC, TOKEN), 5)
    assert report == {"failed": "a/x.csv is not what was judged."}


def test_nobody_else_opens_it(tmp_path: Path) -> None:
    sent = b"".join(entry_content(sealed_entry(entry(tmp_path, b"mine"), PUBLIC, TOKEN)))
    with pytest.raises(Refused, match="not encrypted for this account"):
        decryption.decrypt_result(OTHER, sent)
    target = tmp_path / "opened"
    (tmp_path / "file").write_bytes(sent)
    with pytest.raises(Refused, match="not encrypted for this account"):
        decryption.decrypt_file(OTHER, tmp_path / "file", target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "outputs"]
    assert decryption.decrypt_file(KEY, tmp_path / "file", target).read_bytes() == b"mine"


@given(st.integers(0, 200), st.integers(1, 255))
def test_one_changed_byte_is_found(position: int, change: int) -> None:
    sent = bytearray(ecies.encrypt(KEY, b"x" * 104))
    sent[position] ^= change
    with pytest.raises(ecies.DecryptionError):
        ecies.decrypt_stream(KEY, BytesIO(sent), BytesIO())


@given(st.binary(max_size=200))
def test_what_is_no_message_is_refused(noise: bytes) -> None:
    with pytest.raises(ecies.DecryptionError):
        ecies.decrypt_stream(KEY, BytesIO(noise), BytesIO())


@pytest.mark.parametrize(
    "text", ["", "0x", "04", "zz", "0x" + "00" * 65, "0x04" + "11" * 64, "0x" + "11" * 32]
)
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(ValueError):
        ecies.public_key(text)


def test_every_spelling_of_a_key_is_one() -> None:
    raw = bytes.fromhex(PUBLIC[2:])
    short = bytes([2 + raw[64] % 2]) + raw[1:33]
    spellings: list[Any] = [PUBLIC, PUBLIC[2:], raw[1:].hex(), "0x" + short.hex()]
    assert {ecies.public_key(spelling) for spelling in spellings} == {PUBLIC}
