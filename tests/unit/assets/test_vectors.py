"""Published vectors: what other implementations compute, ours computes too."""

from __future__ import annotations

import pytest

from c2d_box.assets import checksums, did
from c2d_box.assets.addresses import keccak256
from c2d_box.assets.crypto import ecies, signatures

USER = "0x8467415bb2ba7c91084d932276214b11a3dd9bdb2930fefa194b666dd8020b99"
ADDRESS = "0x02354A1F160A3fd7ac8b02ee91F04104440B28E7"
PROVIDER = "0xfd5c1ccea015b6d663618850824154a3b3fb2882c46cefb05b9a93fea8c3d215"
VALIDATOR = "0x5d75837394b078ce97bc289fa8d75e21000573520bfa7784a9d28ccaae602bf8"
D = "did:op:" + 32 * "ab"
JOB = "0123456789abcdef0123456789abcdef"

SIGNED = [
    pytest.param(
        f"{D}2",
        "61abf2f9b1d7f1143047c4d69e4f872a78b73aeaeeffe93424d2a1347e9758c0",
        "dc016196f60d2903e5dc1a73fe20a2315e7c31740e99d22bfe43de55a39e8d34"
        "04f1f933a0fdaf47f6e4eb2255a6fbbd86fe3fec134ae7171405646561f0d30900",
        id="download",
    ),
    pytest.param(
        f"{ADDRESS}{D}2",
        "a14b179649895c64dcb11c43909f7536d02b2d03b1a26db70f513b8f17e584d1",
        "febe147afbe19ba1db84f0289cb6773feb2f4147f58c61e2c21103314d9ee9f2"
        "007fe1fcd14487371566d413c8dec4eefedb6deb43adefe0dbc418013b98066600",
        id="start",
    ),
    pytest.param(
        f"{ADDRESS}{JOB}{D}3",
        "ab8a919be3cfb9d26f86584dc7532818b5944da160c8d2d27d337e01e1b13af1",
        "6ab3889d397ad279d710c47b6b868af44ddeed3a442cdf702ca1550a316d6da7"
        "3eeb5cb5e88ef0d9ba4826abf575e9eec94d3c76ae72bdf7d297b18eaa76c17b01",
        id="stop",
    ),
    pytest.param(
        f"{ADDRESS}{JOB}04",
        "74b9c43c93c1470eac234fc2ff808e78aa354957a5d7a17a93cc3e33011d4eb2",
        "d8a05c26909bfebf2bd7d31bec2c67f5e1645f308006694f565720e816dd07c5"
        "28dd524d21440393e68875c53327d9b8298efca76ea9f47f82744219371eff6b01",
        id="result",
    ),
]


@pytest.mark.parametrize(("text", "hashed", "signature"), SIGNED)
def test_signed_requests(text: str, hashed: str, signature: str) -> None:
    assert keccak256(text.encode()).hex() == hashed
    assert signatures.recover_signer(text, "0x" + signature) == ADDRESS
    ours = signatures.sign_text(USER, text)
    assert ours[:-2] == "0x" + signature[:-2]
    assert int(ours[-2:], 16) - 27 == int(signature[-2:], 16)


def test_address_of_a_key() -> None:
    assert signatures.address_of(USER) == ADDRESS
    assert signatures.address_of(PROVIDER) == "0xe08A1dAe983BC701D05E492DB80e0144f8f4b909"


def test_did_of_an_nft() -> None:
    expected = "did:op:669312a3e059c85939683638b5bd9422c3213e08aba97c920ffbb9f9af4d7a92"
    assert did.did_for("0x1234567890AbcdEF1234567890aBcdef12345678", 8996) == expected
    assert did.did_for("0x1234567890abcdef1234567890abcdef12345678", 8996) == expected


def test_container_section() -> None:
    digest = "sha256:8221d20c1c16491d7d56b9657ea09082c0ee4a8ab1a6621fa720da58b09580e4"
    expected = "77ac49b8c4ad209694f7143cec62d67ee4c6d2d5edf1f3f4e09ca4173b22610f"
    assert checksums.container_checksum("python $ALGO", digest) == expected


def test_a_published_ecies_message() -> None:
    message = bytes.fromhex(
        "048617a15e264c2ceec7fc176a4cf4797cd9789b9aa87624272ddb202b531343201a9941cc7f6c0c941d6532803ae909"
        "8f7567e82e1c7d50e1b3610066c94013e3ac42389795a4e4b35aae119fd60800ba0b24d72a5b6937f18944d6e21a8408"
        "72f90b913c4a909e8bf09c5e"
    )
    assert ecies.decrypt(PROVIDER, message) == b"hello_world"


def test_the_validators_signature() -> None:
    hashed = bytes.fromhex("015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862")
    assert signatures.sign_hash(VALIDATOR, hashed) == (
        28,
        "0x23e8947956e9492c22680e319b0a17dee6d50e0469e746c0d73cc0bdc0498dc7",
        "0x63ca0933f1fcabad0a6d570aaebf053319612f07f6f5599e5bd47ad04c60e099",
    )
