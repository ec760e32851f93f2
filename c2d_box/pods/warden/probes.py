"""Tries to get out: to every address that is known to be alive, to what is near, over IPv4, IPv6 and DNS.

A probe that is refused has got through: a refusal is an answer. Only silence and "no route" count as closed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path
from typing import Literal

METADATA = ("169.254.169.254:80", "[fd00:ec2::254]:80")
PUBLIC = ("1.1.1.1:443", "8.8.8.8:53", "[2606:4700:4700::1111]:443")
PUBLIC_UDP = ("8.8.8.8:53", "1.1.1.1:443", "8.8.8.8:123")
NEAR_PORTS = (22, 53, 443, 6443, 10250)
_DNS_QUERY = struct.pack(">HHHHHH", 0x4332, 0x0100, 1, 0, 0, 0) + b"\x03c2d\x07invalid\x00\x00\x01\x00\x01"
_ECHO = struct.pack(">BBHHH", 8, 0, 0xF7FF, 0, 0)
"""An ICMP echo request; the kernel fills in what concerns the socket."""
_SOCKETS = {
    "tcp": (socket.SOCK_STREAM,),
    "udp": (socket.SOCK_DGRAM,),
    "icmp": (socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
}
_NO_ROUTE = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETDOWN}
    | {errno.EPERM, errno.EACCES, errno.ENODEV, errno.EINVAL}
)

Kind = Literal["tcp", "udp", "icmp"]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One try and its outcome."""

    target: str
    kind: Kind
    closed: bool
    seen: str


def targets(configured: Iterable[str], proc: Path = Path("/proc/net")) -> list[tuple[str, Kind]]:
    """Return the configured addresses, and those that any pod on any node should try."""
    near, given = _near_gateways(proc), [*configured]
    tcp = [
        *given,
        *METADATA,
        *PUBLIC,
        *(f"{host}:{port}" for host in near for port in NEAR_PORTS),
        *_near_ipv6_gateways(proc),
    ]
    udp = [address for known in given if not known.startswith("[") for address in _datagram_addresses(known)]
    udp += [f"{host}:{port}" for host in near for port in (53, 123)]
    pinged = [f"{_host_of(known)}:0" for known in given if not known.startswith("[")]
    pinged += [f"{host}:0" for host in (*near, "8.8.8.8")]
    kinds: dict[Kind, list[str]] = {"tcp": tcp, "udp": [*udp, *PUBLIC_UDP], "icmp": pinged}
    return [(address, kind) for kind, all_ in kinds.items() for address in dict.fromkeys(all_)]


def ways_to(address: str) -> list[tuple[str, Kind]]:
    """Return every way to one address that is known to be alive."""
    kinds: list[tuple[str, Kind]] = [(address, "tcp")]
    if not address.startswith("["):
        kinds += [(entry, "udp") for entry in _datagram_addresses(address)]
        kinds.append((f"{_host_of(address)}:0", "icmp"))
    return kinds


def run(found: list[tuple[str, Kind]], timeout: float) -> list[ProbeResult]:
    """Run all probes at once; ``timeout`` in seconds is what silence takes."""
    if not found:
        return []
    with ThreadPoolExecutor(min(128, len(found))) as pool:
        return list(pool.map(lambda entry: probe_address(entry[0], entry[1], timeout), found))


def probe_address(target: str, kind: Kind, timeout: float) -> ProbeResult:
    host, _, port = target.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, *_SOCKETS[kind]) as tried:
            tried.settimeout(timeout)
            address = socket.getaddrinfo(host, int(port), family, flags=socket.AI_NUMERICHOST)[0][4]
            tried.connect(address)
            if kind != "tcp":
                tried.send(_DNS_QUERY if kind == "udp" else _ECHO)
                tried.recv(512)
            return ProbeResult(target, kind, False, "answered")
    except TimeoutError:
        return ProbeResult(target, kind, True, "silence")
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        return ProbeResult(target, kind, error.errno in _NO_ROUTE or isinstance(error, socket.gaierror), name)


def _host_of(address: str) -> str:
    return address.rpartition(":")[0]


def _datagram_addresses(address: str) -> list[str]:
    """Return the UDP ports to try. A port of UDP that nobody listens on answers too, by ICMP: the way there
    is open."""
    host, _, port = address.rpartition(":")
    return list(dict.fromkeys([f"{host}:53", f"{host}:{port}"]))


def _near_gateways(proc: Path) -> list[IPv4Address]:
    """Return the gateway, and the first address of each network on the link: where a bridge's host
    side sits."""
    hosts: set[IPv4Address] = set()
    with contextlib.suppress(OSError):
        for line in (proc / "route").read_text().splitlines()[1:]:
            fields = line.split()
            network, gateway, mask = (_little_endian(fields[at]) for at in (1, 2, 7))
            if int(gateway):
                hosts.add(gateway)
            elif int(mask):
                hosts.add(IPv4Network((network, str(mask)), strict=False).network_address + 1)
    own = _own_addresses()
    return sorted(hosts - own)


def _near_ipv6_gateways(proc: Path) -> list[str]:
    """Return the usual link-local addresses of a gateway, for each interface that has IPv6 at all."""
    names: set[str] = set()
    with contextlib.suppress(OSError):
        for line in (proc / "if_inet6").read_text().splitlines():
            names.add(line.split()[-1])
    return [f"[fe80::1%{name}]:{port}" for name in sorted(names - {"lo"}) for port in (53, 6443, 10250)]


def _own_addresses() -> set[IPv4Address]:
    """Return the pod's own addresses: they are no way out. Kubernetes writes them into the pod's
    hosts file."""
    own: set[IPv4Address] = set()
    with contextlib.suppress(OSError):
        for line in Path("/etc/hosts").read_text().splitlines():
            if (fields := line.split()) and os.uname().nodename in fields[1:]:
                address = ip_address(fields[0])
                if isinstance(address, IPv4Address):
                    own.add(address)
    return own


def _little_endian(text: str) -> IPv4Address:
    return IPv4Address(struct.unpack("<L", bytes.fromhex(text).rjust(4, b"\0"))[0].to_bytes(4, "big"))
