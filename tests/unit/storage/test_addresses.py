"""No file object reaches a loopback, link-local, private, metadata or cluster address, however it is
written."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from c2d_box.storage import AddressRules, FetchForbidden, Origin, SourceUnreachable
from c2d_box.storage.addresses import is_public

PATIENT = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

CLOSED = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "192.88.99.1",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2002:0a00:0001::",
    "2001::1",
    "2001:db8::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "100::1",
    "not an address",
    "",
    "127.0.0.1.example",
]
OPEN = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", CLOSED)
def test_closed(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OPEN)
def test_open(address: str) -> None:
    assert is_public(address)


@PATIENT
@given(st.ip_addresses(v=4))
def test_a_mapped_address_counts_as_what_it_carries(address: object) -> None:
    assert is_public(f"::ffff:{address}") == is_public(str(address))


def rules(answer: list[str], allow: tuple[str, ...] = ()) -> AddressRules:
    async def resolver(host: str, port: int) -> list[str]:
        return answer

    return AddressRules(allow, resolver=resolver)


async def test_one_closed_address_among_open_ones_refuses_the_name() -> None:
    with pytest.raises(FetchForbidden):
        await rules(["8.8.8.8", "10.0.0.1"]).checked_addresses(Origin.from_url("http://mixed.example/"))


async def test_a_name_without_addresses_is_unreachable() -> None:
    with pytest.raises(SourceUnreachable):
        await rules([]).checked_addresses(Origin.from_url("http://nowhere.example/"))


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://s3.c2d.svc:9000/bucket/key", True),
        ("HTTP://S3.C2D.SVC:9000/", True),
        ("http://s3.c2d.svc.:9000/", True),
        ("https://s3.c2d.svc:9000/", False),
        ("http://s3.c2d.svc:9001/", False),
        ("http://s3.c2d.svc/", False),
        ("http://x.s3.c2d.svc:9000/", False),
        ("http://s3.c2d.svc.example:9000/", False),
        ("http://10.0.0.9:9000/", False),
    ],
)
async def test_an_exception_is_one_exact_origin(url: str, allowed: bool) -> None:
    checked = rules(["10.0.0.9"], ("http://s3.c2d.svc:9000",))
    if allowed:
        assert await checked.checked_addresses(Origin.from_url(url)) == ["10.0.0.9"]
    else:
        with pytest.raises(FetchForbidden):
            await checked.checked_addresses(Origin.from_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/x",
        "gopher://example.org/",
        "http:///nohost",
        "http://[::1",
        "",
        "http://example.org:99999/",
        "http://exa mple.org/",
        "http://example.org/\r\nHost: x",
        "http://example.org/\x00",
    ],
)
def test_what_is_no_fetchable_url(url: str) -> None:
    with pytest.raises(FetchForbidden):
        Origin.from_url(url)


@pytest.mark.parametrize("host", ["0x7f.1", "2130706433", "0177.0.0.1", "127.1", "localhost", "0"])
async def test_odd_spellings_of_loopback_are_seen_through(host: str) -> None:
    with pytest.raises((FetchForbidden, SourceUnreachable)):
        await AddressRules().checked_addresses(Origin.from_url(f"http://{host}:8545/"))
