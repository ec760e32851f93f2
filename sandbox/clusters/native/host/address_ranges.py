"""Chooses the addresses a box uses: one free /16, divided the same way in every box.

The node has a network of its own, so only the host's link to it can collide with anything; the whole block is
kept clear of the machine's routes all the same, because a pod that may leave the box must reach them.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from c2d_box.errors import EnvironmentProblem
from sandbox.bundle.build_dependencies import SEARCH


@dataclass(frozen=True, slots=True)
class AddressRanges:
    """The subranges of a block (a /16). They are computed, so a record holds the block alone."""

    block: IPv4Network

    def _subnet_at(self, offset: int, prefix: int) -> IPv4Network:
        """Return the subrange that begins ``offset`` addresses into the block."""
        return IPv4Network((int(self.block.network_address) + offset, prefix))

    @property
    def services(self) -> IPv4Network:
        """Return 4,096 service addresses; Kubernetes never gives the first 256 of them out by itself
        (KEP-3070), so the chart's fixed addresses are taken from there.
        """
        return self._subnet_at(0, 20)

    @property
    def pods(self) -> IPv4Network:
        """Return 4,096 addresses for service pods."""
        return self._subnet_at(0x1000, 20)

    @property
    def unrouted(self) -> IPv4Network:
        """Return the algorithms' range: addresses that Kubernetes wants for every pod and that lead
        nowhere.
        """
        return self._subnet_at(0x2000, 24)

    @property
    def staging(self) -> IPv4Network:
        """Return the range of the pods that fetch a job's inputs."""
        return self._subnet_at(0x2100, 24)

    @property
    def publishing(self) -> IPv4Network:
        """Return the range of the pods that store a job's results."""
        return self._subnet_at(0x2200, 24)

    @property
    def uplink(self) -> IPv4Network:
        """Return the link between the machine (first address) and the node (second)."""
        return self._subnet_at(0xFF00, 30)

    @property
    def host_ip(self) -> IPv4Address:
        """Return the machine's end of the link."""
        return self.uplink[1]

    @property
    def node_ip(self) -> IPv4Address:
        """Return the node's end of the link, where API server, kubelet and NodePorts listen."""
        return self.uplink[2]

    @property
    def dns_ip(self) -> IPv4Address:
        """Return the address where the node's DNS listens: the pod bridge's own."""
        return self.pods[1]

    @property
    def api_service_ip(self) -> IPv4Address:
        """Return the address of the Service ``kubernetes``: the first of the range, as the API server chooses
        it.
        """
        return self.services[1]


def candidate_blocks() -> list[IPv4Network]:
    """Return private /16 blocks (RFC 1918), rarely used ones first, then those of carrier-grade NAT (RFC
    6598).
    """
    rare = [f"10.{second}.0.0/16" for second in [*range(64, 256), *range(64)]]
    middle = [f"172.{second}.0.0/16" for second in range(31, 15, -1)]
    shared = [f"100.{second}.0.0/16" for second in range(64, 128)]
    return [IPv4Network(text) for text in [*rare, *middle, *shared]]


def choose_ranges(taken: Iterable[IPv4Network], seed: str) -> AddressRanges:
    """Return the first free block, beginning at a place that depends on ``seed`` so that boxes rarely
    collide.
    """
    occupied = list(taken)
    blocks = candidate_blocks()
    # 192: as many as 10.64 to 10.255, so the first choice is always among the rare ones.
    start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big") % 192
    for block in [*blocks[start:192], *blocks[:start], *blocks[192:]]:
        if not any(block.overlaps(other) for other in occupied):
            return AddressRanges(block)
    raise EnvironmentProblem(
        "C2D-NO-FREE-RANGE",
        "Every private address block of this machine is already routed somewhere.",
        "Look at `ip route`; disconnect a VPN that claims all private addresses, then try again.",
    )


def taken_by_host() -> list[IPv4Network]:
    """Return every IPv4 range this machine has a route to (all tables), the default route left out."""
    return [target for target, _ in _route_targets()]


def overlapping_range(block: str, own_link: str) -> str:
    """Return a range of this machine that overlaps ``block``, the box's own link left out; empty for none."""
    ours = IPv4Network(block)
    return next(
        (str(other) for other, link in _route_targets() if link != own_link and other.overlaps(ours)), ""
    )


def _route_targets() -> list[tuple[IPv4Network, str]]:
    """Return the targets of the machine's routes with the link each leads over.

    All tables: VPNs and container engines keep theirs outside the main one.
    """
    answer = subprocess.run(
        ["ip", "-json", "-4", "route", "show", "table", "all"],
        capture_output=True,
        text=True,
        check=True,
        # `ip` lies in a folder that many users' search paths lack.
        env={**os.environ, "PATH": SEARCH},
    )
    routes = json.loads(answer.stdout or "[]")
    targets = [(str(route.get("dst", "default")), str(route.get("dev", ""))) for route in routes]
    return [(IPv4Network(target, strict=False), link) for target, link in targets if target != "default"]
