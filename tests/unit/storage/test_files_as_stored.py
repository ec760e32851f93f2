"""A file is what its author stored: unpacked, named by its source, at an address as people write it, signed
for the host that is asked; and where it cannot be read, the reason is told."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import ssl
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from c2d_box.assets.files import S3File, UrlFile
from c2d_box.storage import AddressRules, Fetcher, FetchForbidden, FileUnusable, SourceUnreachable, TooLarge
from c2d_box.storage.addresses import Origin
from c2d_box.storage.codings import FREE_BYTES, STEP, unpack_chunks
from c2d_box.storage.http1 import HttpRequest
from c2d_box.storage.sigv4 import S3Credentials, signed_headers
from tests.unit.storage.test_fetching import content, ok, server, storage

TABLE = b"a,b\n" + b"1,2\n" * 5000


def raw_deflate(data: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(data) + machine.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(TABLE)),
        ("X-GZIP", gzip.compress(TABLE)),
        ("gzip", gzip.compress(TABLE[:1000]) + gzip.compress(TABLE[1000:])),
        ("gzip", gzip.compress(TABLE) + b"\0" * 64),
        ("deflate", zlib.compress(TABLE)),
        ("deflate", raw_deflate(TABLE)),
        ("identity", TABLE),
    ],
)
async def test_what_a_server_packed_for_the_way_is_unpacked(coding: str, packed: bytes) -> None:
    async with server() as source:
        source.answer = lambda target: [ok(packed, f"Content-Encoding: {coding}", "Content-Type: text/csv")]
        made, file = storage(source.origin), UrlFile(f"{source.origin}/t.csv")
        opened = await made.open(file)
        assert await content(opened) == TABLE
        assert opened.meta.length in (None, len(TABLE)), "no length but that of what is sent on"
        digest = hashlib.sha256(TABLE).hexdigest()
        probe = await made.probe(file, checksum_limit=1 << 20)
        assert probe.sha256 == digest and probe.meta.length in (None, len(TABLE))


async def test_a_file_that_is_stored_packed_stays_packed() -> None:
    async with server() as source:
        packed = gzip.compress(TABLE)
        source.answer = lambda target: [ok(packed, "Content-Type: application/gzip")]
        assert (
            await content(await storage(source.origin).open(UrlFile(f"{source.origin}/t.csv.gz"))) == packed
        )


async def test_a_part_of_what_is_packed_is_the_whole_unpacked() -> None:
    async with server() as source:
        packed = gzip.compress(TABLE)
        part = ok(packed[4:9], "Content-Range: bytes 4-8/99", "Content-Encoding: gzip", status="206 Part")
        whole = ok(packed, "Content-Encoding: gzip")
        source.answer = lambda target: [whole if len(source.seen) > 1 else part]
        opened = await storage(source.origin).open(UrlFile(f"{source.origin}/t"), byte_range="bytes=4-8")
        assert opened.meta.status == 200 and opened.meta.content_range is None
        assert await content(opened) == TABLE


async def chunks(data: bytes) -> object:
    for at in range(0, len(data), 65536):
        yield data[at : at + 65536]


async def test_a_bomb_is_given_up_in_bounded_steps() -> None:
    bomb, seen = gzip.compress(b"\0" * (256 << 20), 9), 0
    with pytest.raises(TooLarge):
        async for piece in unpack_chunks(chunks(bomb), "gzip"):  # type: ignore[arg-type]
            assert len(piece) <= STEP
            seen += len(piece)
    assert seen <= FREE_BYTES + STEP


@pytest.mark.parametrize("damaged", [gzip.compress(TABLE)[:-9], b"no gzip at all", b""])
async def test_a_damaged_answer_is_no_file(damaged: bytes) -> None:
    async with server() as source:
        source.answer = lambda target: [ok(damaged, "Content-Encoding: gzip")]
        with pytest.raises(SourceUnreachable):
            await content(await storage(source.origin).open(UrlFile(f"{source.origin}/f")))


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "gzip\r\nContent-Encoding: gzip"])
async def test_an_encoding_that_is_not_known_is_named(coding: str) -> None:
    async with server() as source:
        source.answer = lambda target: [ok(b"?", f"Content-Encoding: {coding}")]
        with pytest.raises(FileUnusable, match="encoding"):
            await storage(source.origin).open(UrlFile(f"{source.origin}/f"))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("attachment; filename=patients-2024.csv", "patients-2024.csv"),
        ("attachment; filename*=UTF-8''%E6%8A%A5%E5%91%8A.csv", "报告.csv"),
        ("inline", "7"),
    ],
)
async def test_the_sources_own_name_comes_first(given: str, name: str) -> None:
    async with server() as source:
        source.answer = lambda target: [ok(b"x", f"Content-Disposition: {given}", "Content-Type: text/csv")]
        opened = await storage(source.origin).open(UrlFile(f"{source.origin}/export/7"))
        opened.close()
        assert opened.meta.filename == name


@pytest.mark.parametrize("path", ["/my data.csv", "/my%20data.csv"])
async def test_a_blank_in_an_address_is_encoded(path: str) -> None:
    async with server() as source:
        opened = await storage(source.origin).open(UrlFile(f"{source.origin}{path}"))
        assert await content(opened) == b"hello"
        assert source.seen[0][0] == "GET /my%20data.csv HTTP/1.1"


async def test_a_redirect_with_a_blank_is_followed() -> None:
    async with server() as source:
        moved = ok(b"", "Location: /the file", status="302 Found")
        source.answer = lambda target: [moved if target == "/a" else ok(b"end")]
        assert await content(await storage(source.origin).open(UrlFile(f"{source.origin}/a"))) == b"end"


@pytest.mark.parametrize(
    "url", ["http://a b.example/", "http://x.example/\n", "http://x.example/a\tb", "http:// /"]
)
def test_other_white_space_stays_refused(url: str) -> None:
    with pytest.raises(FetchForbidden):
        Origin.from_url(url)


@pytest.mark.parametrize(
    "url", ["https://S3.Example.org:443/b/k", "https://s3.example.org/b/k", "https://s3.example.org.:443/b/k"]
)
def test_a_store_is_signed_for_the_host_that_is_asked(url: str) -> None:
    now, key = datetime(2026, 1, 1, tzinfo=UTC), S3Credentials("a", "s", "r")
    expected = signed_headers("GET", "https://s3.example.org/b/k", key, now)
    assert signed_headers("GET", url, key, now) == expected
    assert Origin.from_url(url).netloc == "s3.example.org"


async def test_each_reason_of_an_unreadable_file_is_told() -> None:
    async with server() as source:
        port = source.origin.rsplit(":", 1)[1]
        source.answer = lambda target: [ok(b"no", status="403 Forbidden")]
        made = storage(source.origin)
        probe = await made.probe(UrlFile(f"{source.origin}/f"))
        assert probe.reason == "the source answered with status 403"
        own = await storage().probe(UrlFile(f"http://127.0.0.1:{port}/f"))
        assert own.reason == "the host is not a public address"
        key = S3File(source.origin, "r", "bucket", "k", "a", "s")
        assert "403" in (await made.probe(key)).reason


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tls.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "pem").write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pem")
    return context


@pytest.mark.parametrize(("is_tls", "reason"), [(True, "certificate is not valid"), (False, "TLS with")])
async def test_what_is_wrong_with_tls_is_told(is_tls: bool, reason: str, tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 this is no TLS\r\n")
        writer.close()

    async def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    context = _self_signed(tmp_path) if is_tls else None
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as listening:
        origin = f"https://tls.example:{listening.sockets[0].getsockname()[1]}"
        fetcher = Fetcher(AddressRules([origin], resolver=resolver))
        with pytest.raises(SourceUnreachable, match=reason):
            await fetcher.fetch(HttpRequest("GET", f"{origin}/"))
