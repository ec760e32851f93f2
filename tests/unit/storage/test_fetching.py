"""The fetcher against a real server: redirects, pinning, private headers, ends that come too early, slow
readers."""

from __future__ import annotations

import asyncio
import gc
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from c2d_box.assets.files import ArweaveFile, GraphqlFile, IpfsFile, S3File, SmartContractFile, UrlFile
from c2d_box.storage import (
    AddressRules,
    Fetcher,
    FetchForbidden,
    FetchTimeouts,
    FileUnusable,
    SourceRejected,
    SourceUnreachable,
    Storage,
    StorageError,
)
from c2d_box.storage.fetcher import permitted_headers

Handler = Callable[[str, dict[str, str], bytes], Awaitable[list[bytes | float]]]


class Server:
    """Answers raw bytes: ``handler`` gives pieces to send, numbers are seconds to wait."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Callable[[str], list[bytes | float]] = lambda target: [ok(b"hello")]
        self.sent = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.seen.append((head[0], headers, body))
            for piece in self.answer(head[0].split(" ")[1]):
                if isinstance(piece, float):
                    await asyncio.sleep(piece)
                else:
                    writer.write(piece)
                    await writer.drain()
                    self.sent += len(piece)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def ok(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def moved(to: str, status: int = 302) -> bytes:
    return ok(b"", f"Location: {to}", status=f"{status} Moved")


@asynccontextmanager
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made


def storage(*allow: str, **options: object) -> Storage:
    timeouts = FetchTimeouts(connect=1, head=0.5, idle=0.5)
    fetcher = Fetcher(AddressRules(allow), timeouts=timeouts, **options)  # type: ignore[arg-type]
    return Storage(fetcher, dict.fromkeys(("ipfs", "arweave"), *allow[:1]))


async def content(opened: object) -> bytes:
    found = b""
    async for chunk in opened.chunks:  # type: ignore[attr-defined]
        found += chunk
    opened.close()  # type: ignore[attr-defined]
    return found


async def test_a_plain_file() -> None:
    async with server() as source:
        opened = await storage(source.origin).open(UrlFile(f"{source.origin}/a/data.csv?x=1"))
        assert (opened.meta.filename, opened.meta.length) == ("data.csv", 5)
        assert await content(opened) == b"hello"
        assert source.seen[0][0] == "GET /a/data.csv?x=1 HTTP/1.1"


@pytest.mark.parametrize("hops", [1, 5])
async def test_redirects_are_followed_five_times(hops: int) -> None:
    async with server() as source:
        source.answer = lambda target: [
            ok(b"end") if target == f"/{hops}" else moved(f"/{int(target[1:]) + 1}")
        ]
        assert await content(await storage(source.origin).open(UrlFile(f"{source.origin}/0"))) == b"end"


async def test_the_sixth_redirect_is_one_too_many() -> None:
    async with server() as source:
        source.answer = lambda target: [moved("/again")]
        with pytest.raises(SourceUnreachable):
            await storage(source.origin).open(UrlFile(f"{source.origin}/0"))
        assert len(source.seen) == 6


@pytest.mark.parametrize(
    "to",
    ["http://127.0.0.1:1/", "http://169.254.169.254/latest/meta-data", "http://[::1]/", "file:///etc/passwd"],
)
async def test_every_hop_is_checked(to: str) -> None:
    async with server() as source:
        source.answer = lambda target: [moved(to)]
        with pytest.raises(FetchForbidden) as refused:
            await storage(source.origin).open(UrlFile(f"{source.origin}/0"))
        assert "127" not in refused.value.text and "://" not in refused.value.text


@pytest.mark.parametrize(
    ("status", "twice"),
    [
        ("200 OK", ("Content-Length: 5", "Content-Length: 6")),
        ("200 OK", ("Content-Length: 5", "Transfer-Encoding: chunked")),
        ("302 Found", ("Content-Length: 5", "Location: /one", "Location: /two")),
        ("206 Part", ("Content-Length: 5", "Content-Range: bytes 0-4/9", "Content-Range: bytes 4-8/9")),
    ],
    ids=["length", "framing", "location", "range"],
)
async def test_an_answer_with_two_readings_is_refused(status: str, twice: tuple[str, ...]) -> None:
    async with server() as source:
        head = "\r\n".join([f"HTTP/1.1 {status}", *twice]).encode()
        source.answer = lambda target: [head + b"\r\n\r\nhello"]
        with pytest.raises(SourceUnreachable):
            await storage(source.origin).open(UrlFile(f"{source.origin}/0"), byte_range="bytes=0-4")
        assert len(source.seen) == 1


async def test_the_same_location_twice_is_one_and_trailers_are_none() -> None:
    async with server() as source:
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Range: a\r\n\r\n"
        trailed = chunked + b"5\r\nhello\r\n0\r\nContent-Range: b\r\n\r\n"
        same = ok(b"", "Location: /end", "Location: /end", status="302 Found")
        source.answer = lambda target: [trailed if target == "/end" else same]
        opened = await storage(source.origin).open(UrlFile(f"{source.origin}/0"))
        assert await content(opened) == b"hello"


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """DNS rebinding: a second look-up would lead elsewhere, so there is none."""
    asked: list[str] = []

    async def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.9"]

    async with server() as source:
        name = f"http://rebind.example:{source.port}"
        made = Storage(Fetcher(AddressRules([name], resolver=resolver)))
        assert await content(await made.open(UrlFile(f"{name}/f"))) == b"hello"
        assert asked == ["rebind.example"] and source.seen[0][1]["host"] == name[7:]


async def test_a_publishers_headers_stay_with_their_origin() -> None:
    async with server() as first, server() as second:
        first.answer = lambda target: [moved(f"{second.origin}/x")]
        file = UrlFile(f"{first.origin}/0", headers={"Authorization": "Bearer secret", "X-Key": "k"})
        await content(await storage(first.origin, second.origin).open(file))
        assert first.seen[0][1]["authorization"] == "bearer secret"
        assert "authorization" not in second.seen[0][1] and "x-key" not in second.seen[0][1]


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "\x00"])
def test_a_header_cannot_start_another(value: str) -> None:
    with pytest.raises(FileUnusable):
        permitted_headers({"X-A": value})


def test_headers_that_frame_the_message_are_ours() -> None:
    assert permitted_headers({"Host": "x", "Content-Length": "9", "Connection": "x", "X-A": "1"}) == {
        "x-a": "1"
    }


async def test_a_body_that_ends_early_is_no_file() -> None:
    async with server() as source:
        source.answer = lambda target: [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"]
        opened = await storage(source.origin).open(UrlFile(f"{source.origin}/f"))
        with pytest.raises(SourceUnreachable):
            await content(opened)


async def test_bodies_by_chunks_and_by_end_of_connection() -> None:
    async with server() as source:
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        source.answer = lambda target: [chunked if target == "/c" else b"HTTP/1.1 200 OK\r\n\r\nto the end"]
        made = storage(source.origin)
        assert await content(await made.open(UrlFile(f"{source.origin}/c"))) == b"abcde"
        assert await content(await made.open(UrlFile(f"{source.origin}/e"))) == b"to the end"


@pytest.mark.parametrize("pieces", [[2.0], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", 2.0]])
async def test_a_source_that_stalls_is_given_up(pieces: list[bytes | float]) -> None:
    async with server() as source:
        source.answer = lambda target: pieces
        with pytest.raises(SourceUnreachable):
            await content(await storage(source.origin).open(UrlFile(f"{source.origin}/f")))


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n", b"", b"HTTP/1.1 abc\r\n\r\n"])
async def test_what_does_not_speak_http(answer: bytes) -> None:
    async with server() as source:
        source.answer = lambda target: [answer]
        with pytest.raises(SourceUnreachable):
            await storage(source.origin).open(UrlFile(f"{source.origin}/f"))


async def test_a_header_flood_is_cut_off() -> None:
    async with server() as source:
        flood = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (at, b"y" * 500) for at in range(2000))
        source.answer = lambda target: [flood + b"\r\n"]
        with pytest.raises(SourceUnreachable):
            await storage(source.origin).open(UrlFile(f"{source.origin}/f"))


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "401 No"])
async def test_only_success_opens(status: str) -> None:
    async with server() as source:
        source.answer = lambda target: [ok(b"no", status=status)]
        with pytest.raises(SourceRejected):
            await storage(source.origin).open(UrlFile(f"{source.origin}/f"))


async def test_a_slow_reader_holds_the_source_back() -> None:
    """64 MiB wait at a reader that does not read: only buffers' worth of them may have left the source."""
    async with server() as source:
        block = b"x" * 65536
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1024 * len(block))
        source.answer = lambda target: [head, *([block] * 1024)]
        opened = await storage(source.origin).open(UrlFile(f"{source.origin}/f"))
        await asyncio.sleep(0.3)
        assert source.sent < 16 << 20
        size = 0
        async for chunk in opened.chunks:
            size += len(chunk)
        assert size == 1024 * len(block)


async def test_memory_stays_bounded_while_streaming() -> None:
    async with server() as source:
        block = b"x" * (1 << 20)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (256 * len(block))
        source.answer = lambda target: [head, *([block] * 256)]
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        opened = await storage(source.origin).open(UrlFile(f"{source.origin}/f"))
        async for _ in opened.chunks:
            pass
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


async def test_post_and_user_data() -> None:
    async with server() as source:
        made = storage(source.origin)
        await content(await made.open(UrlFile(f"{source.origin}/f", "POST"), {"a": 1}))
        await content(await made.open(UrlFile(f"{source.origin}/f?z=1"), {"a b": "c&d", "n": [1]}))
        await content(await made.open(GraphqlFile(f"{source.origin}/g", "{ x }"), {"v": 2}))
        assert source.seen[0][0].startswith("POST /f ") and source.seen[0][2] == b'{"a":1}'
        assert source.seen[1][0] == "GET /f?z=1&a+b=c%26d&n=%5B1%5D HTTP/1.1"
        assert source.seen[2][2] == b'{"query":"{ x }","variables":{"v":2}}'


async def test_gateways() -> None:
    async with server() as source:
        made = storage(source.origin)
        ipfs = await made.open(IpfsFile("QmCid/sub/table.csv"))
        bare = await made.open(IpfsFile("QmCid"))
        arweave = await made.open(ArweaveFile("tx_1"))
        assert [opened.meta.filename for opened in (ipfs, bare, arweave)] == ["table.csv", "", ""]
        assert [seen[0].split(" ")[1] for seen in source.seen] == [
            "/ipfs/QmCid/sub/table.csv",
            "/ipfs/QmCid",
            "/tx_1",
        ]
        for opened in (ipfs, bare, arweave):
            opened.close()
        with pytest.raises(FileUnusable):
            await made.open(IpfsFile("../api/v0/shutdown"))
        with pytest.raises(FileUnusable):
            await made.open(ArweaveFile(".."))
        with pytest.raises(FileUnusable):
            await Storage(Fetcher(AddressRules())).open(IpfsFile("QmCid"))


async def test_ranges_are_passed_on_and_nonsense_is_not() -> None:
    async with server() as source:
        source.answer = lambda target: [ok(b"ell", "Content-Range: bytes 1-3/5", status="206 Partial")]
        made = storage(source.origin)
        opened = await made.open(UrlFile(f"{source.origin}/f"), byte_range="bytes=1-3")
        assert (opened.meta.status, opened.meta.content_range, opened.meta.length) == (206, "bytes 1-3/5", 3)
        opened.close()
        (await made.open(UrlFile(f"{source.origin}/f"), byte_range="bytes=1-3\r\nX: y")).close()
        assert source.seen[0][1]["range"] == "bytes=1-3" and "range" not in source.seen[1][1]


async def test_probing_asks_for_the_head_and_falls_back_to_the_file() -> None:
    async with server() as source:
        source.answer = lambda target: [ok(b"hello", "Content-Type: text/csv; charset=x")]
        probe = await storage(source.origin).probe(UrlFile(f"{source.origin}/f.csv"))
        assert (probe.valid, probe.meta.length, probe.meta.content_type) == (True, 5, "text/csv")
        assert [seen[0].split(" ")[0] for seen in source.seen] == ["HEAD"]
        source.answer = lambda target: [ok(b"", status="405 No")] if len(source.seen) == 2 else [ok(b"abc")]
        assert (await storage(source.origin).probe(UrlFile(f"{source.origin}/f"))).meta.length == 3


async def test_probing_never_raises() -> None:
    async with server() as source:
        source.answer = lambda target: [ok(b"no", status="404 No")]
        assert not (await storage(source.origin).probe(UrlFile(f"{source.origin}/f"))).valid
    assert not (await storage().probe(UrlFile("http://127.0.0.1:1/"))).valid


async def test_checksums_stop_at_their_limit() -> None:
    async with server() as source:
        made = storage(source.origin)
        file = UrlFile(f"{source.origin}/f")
        assert str((await made.probe(file, checksum_limit=5)).sha256).startswith("2cf24dba")
        assert (await made.probe(file, checksum_limit=4)).sha256 is None
        source.answer = lambda target: [b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100]
        assert (await made.probe(file, checksum_limit=99)).sha256 is None


async def test_s3_objects_are_asked_for_with_a_signature_and_no_redirect() -> None:
    async with server() as source:
        source.answer = lambda target: [moved("/elsewhere", 307)]
        aliases = {"http://127.0.0.1:9000": source.origin}
        file = S3File("http://127.0.0.1:9000", "us-east-1", "bucket", "a b/c.csv", "AKID", "SECRET")
        with pytest.raises(SourceRejected):
            await storage(source.origin, aliases=aliases).open(file)
        line, headers, _ = source.seen[0]
        assert line == "GET /bucket/a%20b/c.csv HTTP/1.1"
        assert headers["authorization"].startswith("aws4-hmac-sha256 credential=akid/")
        assert headers["host"] == source.origin[7:] and len(source.seen) == 1


async def test_contract_results_are_json() -> None:
    async def reader(file: SmartContractFile, arguments: list[object]) -> object:
        return [1, b"\x01", arguments]

    abi = {
        "name": "f",
        "type": "function",
        "stateMutability": "view",
        "inputs": [{"name": "a", "type": "uint256"}],
    }
    file = SmartContractFile("0x" + "11" * 20, 8996, abi)
    made = Storage(Fetcher(AddressRules()), contracts=reader)
    assert await content(await made.open(file, {"a": 7})) == b'[1,"0x01",[7]]'
    with pytest.raises(FileUnusable, match="Missing parameters"):
        await made.open(file)


async def test_errors_say_nothing_of_the_source() -> None:
    for url in ("http://user:pass@127.0.0.1:1/secret?key=abc", "http://no-such-host.invalid/secret"):
        with pytest.raises(StorageError) as problem:
            await storage().open(UrlFile(url))
        assert not any(word in problem.value.text for word in ("secret", "pass", "abc", "127", "invalid"))


@pytest.mark.parametrize("location", ["http://[", "//[x", "http://a]b/", "http://a:b/", "http://\u00e9..x/"])
async def test_a_redirect_to_what_is_no_address_is_the_sources_fault(location: str) -> None:
    async with server() as source:
        source.answer = lambda target: [moved(location)]
        found = await storage(source.origin).probe(UrlFile(f"{source.origin}/a"))
    assert not found.valid and found.reason


@pytest.mark.parametrize("name", ["\u65e5\u672c", "x-\u00e9", "x y", ""])
async def test_a_header_whose_name_is_none_is_the_file_objects_fault(name: str) -> None:
    async with server() as source:
        found = await storage(source.origin).probe(UrlFile(f"{source.origin}/a", headers={name: "x"}))
        assert not source.seen
    assert not found.valid and "header" in found.reason
