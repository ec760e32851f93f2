"""Signatures: every spelling wallets use is accepted, anything else is nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.assets.addresses import checksum_address, is_address, same_hex
from c2d_box.assets.crypto import signatures

keys = st.integers(1, 2**200).map(lambda n: n.to_bytes(32, "big"))


@given(keys, st.text(max_size=200), st.sampled_from([0, 27]))
def test_what_was_signed_is_recovered_with_either_v(key: bytes, text: str, base: int) -> None:
    signature = bytearray.fromhex(signatures.sign_text(key, text)[2:])
    signature[64] = signature[64] - 27 + base
    address = signatures.address_of(key)
    assert signatures.recover_signer(text, "0x" + signature.hex()) == address
    assert signatures.recover_signer(text, signature.hex()) == address


@given(keys, st.text(max_size=50), st.text(max_size=50))
def test_a_signature_is_good_for_one_text_only(key: bytes, text: str, other: str) -> None:
    recovered = signatures.recover_signer(other, signatures.sign_text(key, text))
    assert (recovered == signatures.address_of(key)) == (text == other)


@given(st.one_of(st.text(max_size=140), st.binary(max_size=70)))
def test_garbage_has_no_signer_or_some_address(signature: str | bytes) -> None:
    recovered = signatures.recover_signer("text", signature)
    assert recovered is None or is_address(recovered)


@pytest.mark.parametrize("v", [2, 26, 29, 255])
def test_other_recovery_ids_are_refused(v: int) -> None:
    signature = signatures.sign_text(b"\x01" * 32, "text")[:-2] + f"{v:02x}"
    assert signatures.recover_signer("text", signature) is None


@given(st.integers(0, 2**160 - 1))
def test_checksummed_addresses_keep_their_value(number: int) -> None:
    plain = f"0x{number:040x}"
    spelt = checksum_address(plain)
    assert same_hex(spelt, plain) and checksum_address(spelt) == spelt


def test_eip55_examples() -> None:
    for address in (
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ):
        assert checksum_address(address.lower()) == address


@pytest.mark.parametrize("value", ["", "0x", "0x12", None, 5, "0x" + "g" * 40, "0x" + "1" * 40 + "\n"])
def test_what_is_no_address(value: object) -> None:
    assert not is_address(value)
