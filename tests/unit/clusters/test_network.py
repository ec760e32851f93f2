"""The node's links, as text for ``ip -batch``."""

from __future__ import annotations

from ipaddress import IPv4Network

from sandbox.clusters.native.host.address_ranges import AddressRanges
from sandbox.clusters.native.host.network import node_links


def test_each_bridge_has_an_address_of_its_own_that_no_port_can_change() -> None:
    made = [
        line
        for line in node_links(AddressRanges(IPv4Network("10.77.0.0/16"))).splitlines()
        if "bridge" in line
    ]
    assert len(made) == 4
    own = [line.split(" address ")[1].split()[0] for line in made]
    assert len(set(own)) == 4
    assert all(int(address[:2], 16) & 0b11 == 0b10 for address in own), "locally administered, not multicast"
