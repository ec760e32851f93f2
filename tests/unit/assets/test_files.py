"""File objects: every type both ways, the wire's texts for what is wrong, and no secret in sight."""

from __future__ import annotations

import json
from typing import Any

import ecies as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.assets import files
from c2d_box.assets.crypto import ecies
from c2d_box.assets.crypto.signatures import private_key
from c2d_box.assets.files import FILE_TYPES, FileObjectError, parse_file, seal_files, unseal_files
from tests.file_samples import sample_files

KEY = b"\x11" * 32
NFT = "0x1234567890AbcdEF1234567890aBcdef12345678"
DATATOKEN = "0x000000000000000000000000000000000000dEaD"
ABI = {
    "name": "swap",
    "type": "function",
    "stateMutability": "view",
    "inputs": [{"name": "a", "type": "uint256"}, {"name": "b", "type": "uint256"}],
}
S3 = {
    "endpoint": "http://s3",
    "region": "local",
    "bucket": "b",
    "objectKey": "k",
    "accessKeyId": "id",
    "secretAccessKey": "hush",
}

texts = st.text(st.characters(codec="ascii", exclude_characters="\r\n\0"), min_size=1, max_size=30)
headers = st.dictionaries(texts, texts, max_size=3)
urls = texts.map(lambda t: "https://example.org/" + t.replace(" ", "").replace("/", ""))
objects = st.one_of(
    st.builds(files.UrlFile, urls, st.sampled_from(["GET", "POST"]), headers),
    st.builds(files.IpfsFile, texts, headers),
    st.builds(files.ArweaveFile, texts, headers),
    st.builds(files.GraphqlFile, urls, texts, headers),
    st.builds(files.S3File, urls, texts, texts, texts, texts, texts),
    st.just(files.SmartContractFile(NFT, 8996, ABI)),
)


@given(objects)
def test_every_type_survives_being_written_and_read(file: Any) -> None:
    assert parse_file(json.loads(json.dumps(file.to_dict()))) == file


@given(st.lists(objects, min_size=1, max_size=4))
def test_a_sealed_document_opens_for_its_asset_alone(listed: list[Any]) -> None:
    sealed = seal_files(KEY, NFT, DATATOKEN, listed)
    assert unseal_files(KEY, sealed, nft=NFT.lower(), datatoken=DATATOKEN) == listed
    for wrong in ({"nft": DATATOKEN, "datatoken": DATATOKEN}, {"nft": NFT, "datatoken": NFT}):
        with pytest.raises(FileObjectError, match="cannot decrypt files for this service"):
            unseal_files(KEY, sealed, **wrong)
    with pytest.raises(FileObjectError, match="cannot decrypt"):
        unseal_files(b"\x12" * 32, sealed, nft=NFT, datatoken=DATATOKEN)


def test_the_first_ddo_version_holds_a_bare_list() -> None:
    sealed = "0x" + ecies.encrypt(KEY, b'[{"type":"ipfs","hash":"Qm"}]').hex()
    assert unseal_files(KEY, sealed, nft=NFT, datatoken=DATATOKEN, version="4.0.0") == [files.IpfsFile("Qm")]
    with pytest.raises(FileObjectError):
        unseal_files(KEY, sealed, nft=NFT, datatoken=DATATOKEN, version="4.1.0")


@given(st.binary(max_size=200))
def test_the_reference_package_reads_ours_and_we_read_its(data: bytes) -> None:
    assert reference.decrypt(KEY, ecies.encrypt(KEY, data)) == data
    public = private_key(KEY).public_key.format(compressed=False)
    assert ecies.decrypt(KEY, ecies.encrypt(public, data)) == data
    assert ecies.decrypt(KEY, ecies.encrypt(public[1:], data)) == data
    assert ecies.decrypt(KEY, reference.encrypt(public, data)) == data


@given(st.binary(max_size=300))
def test_bytes_that_are_no_message_say_so(data: bytes) -> None:
    with pytest.raises(ecies.DecryptionError):
        ecies.decrypt(KEY, data)


@pytest.mark.parametrize("position", [0, 70, 90, 100])
def test_an_altered_message_is_refused(position: int) -> None:
    message = bytearray(ecies.encrypt(KEY, b"hello"))
    message[position] ^= 1
    with pytest.raises(ecies.DecryptionError):
        ecies.decrypt(KEY, bytes(message))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "malformed file object."),
        ({}, "malformed file object."),
        ({"type": "ftp"}, "Unsupported type ftp"),
        ({"type": "url"}, "malformed service files, missing required keys."),
        ({"type": "url", "url": "https://a/b", "method": "DELETE"}, "Unsafe method delete."),
        (
            {"type": "url", "url": "file:///etc/passwd"},
            "Invalid file name format. It was not possible to get the file name.",
        ),
        ({"type": "url", "url": "https://a/b", "headers": {"a": "b\r\nc: d"}}, "malformed file object."),
        ({"type": "url", "url": "https://a/b", "headers": ["a"]}, "malformed file object."),
        ({"type": "ipfs"}, "malformed service files, missing required keys."),
        ({"type": "arweave"}, "malformed service files, missing transactionId."),
        ({"type": "graphql", "query": "q"}, "missing graphql endpoint"),
        ({"type": "graphql", "url": "https://a/b"}, "missing graphql query"),
        ({"type": "smartcontract"}, "malformed smartcontract type, missing contract address"),
        ({"type": "smartcontract", "address": NFT, "abi": "x"}, "invalid abi"),
        *(
            ({"type": "smartcontract", "address": NFT, "abi": {**ABI, **part}}, "invalid abi")
            for part in (
                {"outputs": [{"type": "uint8" + "[1]" * 3_000}]},
                {"inputs": [{"name": "a", "type": "uint8" + "[]" * 6}]},
                {"outputs": [{"type": "uint8"}] * 1_000},
                {"outputs": [{"type": "tuple", "components": [{"type": "uint8" + "[]" * 6}]}]},
                {"outputs": [{"type": "tuple", "components": "x"}]},
                {"outputs": ["uint8"]},
                {"outputs": {"type": "uint8"}},
            )
        ),
        (
            {"type": "smartcontract", "address": NFT, "abi": {**ABI, "stateMutability": "payable"}},
            "only view or pure functions are allowed",
        ),
        ({"type": "smartcontract", "address": NFT, "abi": {**ABI, "name": ""}}, "missing name"),
        ({"type": "s3", "s3Access": {**S3, "bucket": ""}}, "malformed s3 file, missing bucket."),
    ],
)
def test_what_is_wrong_is_said_in_the_wires_words(value: object, text: str) -> None:
    with pytest.raises(FileObjectError) as error:
        parse_file(value)
    assert str(error.value) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=10),
        lambda c: (
            st.lists(c, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "url", "hash", "abi", "headers", "s3Access"]) | st.text(max_size=5),
                c,
                max_size=4,
            )
        ),
        max_leaves=8,
    )
)
def test_any_json_is_a_file_object_or_a_named_problem(value: object) -> None:
    try:
        parse_file(value)
    except FileObjectError as error:
        assert str(error)


def test_arguments_of_a_contract_call_come_in_the_abis_order() -> None:
    file = files.SmartContractFile(NFT, 8996, ABI)
    assert file.call_arguments({"b": 2, "a": 1}) == [1, 2]
    with pytest.raises(FileObjectError, match="Missing parameters"):
        file.call_arguments(None)
    with pytest.raises(FileObjectError, match="Missing userparams: a,b"):
        file.call_arguments({"c": 3})


@pytest.mark.parametrize(
    "value",
    [
        {"type": "url", "url": "https://user:hush@example.org/x", "headers": {"authorization": "hush"}},
        {"type": "s3", "s3Access": S3},
        {"type": "graphql", "url": "https://hush.org/x", "query": "hush"},
    ],
)
def test_no_repr_shows_where_the_files_are(value: dict[str, Any]) -> None:
    assert "hush" not in repr(parse_file(value))
    assert "hush" not in str([parse_file(value)])


@pytest.mark.parametrize("name", FILE_TYPES)
def test_a_registered_type_keeps_its_keys_and_its_secrets(name: str) -> None:
    value = sample_files("https://example.org", "hush")[name]
    file = parse_file(value)
    assert type(file) is FILE_TYPES[name] and file.type == name
    assert parse_file(json.loads(json.dumps(file.to_dict()))) == file
    assert set(file.to_dict()) - {"type"} <= set(file.properties), "all keys are in the OpenAPI document"
    assert "hush" not in repr(file)
    if file.required_key:
        with pytest.raises(FileObjectError):
            parse_file({**value, file.required_key: ""})


@pytest.mark.parametrize("name", FILE_TYPES)
def test_anything_but_a_bare_get_is_named_as_more(name: str) -> None:
    """Unsigned callers may not make the Provider send it."""
    value = sample_files("https://example.org")[name]
    assert parse_file(value).sends_more_than_get(None) is (name != "smartcontract")
    assert parse_file(value).sends_more_than_get({"a": 1})


@pytest.mark.parametrize(
    "value",
    [
        {"type": "url", "url": "https://user@example.org/x"},
        {"type": "url", "url": "https://example.org/x", "method": "post"},
        {"type": "url", "url": "https://example.org/x"},
        {"type": "ipfs", "hash": "Qm"},
        {"type": "arweave", "transactionId": "t"},
    ],
)
def test_userinfo_and_post_are_more_than_a_bare_get(value: dict[str, Any]) -> None:
    expected = "method" in value or "user@" in value.get("url", "")
    assert parse_file(value).sends_more_than_get(None) is expected


RESULT = {"type": "result", "job": "j", "place": "s3://results/j/outputs/a", "proof": "ab"}


def test_a_result_is_read_from_a_bound_document_and_keeps_its_asset() -> None:
    sealed = seal_files(KEY, NFT, DATATOKEN, [files.ResultFile("j", RESULT["place"], NFT, DATATOKEN, "ab")])
    (found,) = unseal_files(KEY, sealed, nft=NFT, datatoken=DATATOKEN)
    assert found == files.ResultFile("j", RESULT["place"], NFT, DATATOKEN, "ab")
    assert found.to_dict() == RESULT and RESULT["place"] not in repr(found)
    with pytest.raises(FileObjectError):
        unseal_files(KEY, sealed, nft="0x" + "1" * 40, datatoken=DATATOKEN)


def test_a_result_is_no_plain_file_object() -> None:
    """As fileinfo and raw algorithms take them, and as a document of version 4.0.0 holds them."""
    with pytest.raises(FileObjectError, match="Unsupported type result"):
        parse_file(RESULT)
    loose = "0x" + ecies.encrypt(KEY, json.dumps([RESULT]).encode()).hex()
    with pytest.raises(FileObjectError, match="Unsupported type result"):
        unseal_files(KEY, loose, nft=NFT, datatoken=DATATOKEN, version="4.0.0")


@pytest.mark.parametrize("key", ["job", "place", "proof"])
def test_a_result_without_its_parts_is_refused(key: str) -> None:
    value = {"datatokenAddress": DATATOKEN, "nftAddress": NFT, "files": [{**RESULT, key: ""}]}
    sealed = "0x" + ecies.encrypt(KEY, json.dumps(value).encode()).hex()
    with pytest.raises(FileObjectError, match="missing required keys"):
        unseal_files(KEY, sealed, nft=NFT, datatoken=DATATOKEN)
