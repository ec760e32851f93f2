"""Lets the service pods of a box that asked for it leave through this machine, and undoes that again.

This is the one place where the machine's own network is changed: ``ip_forward`` (what it was is written down
first) and one nft table named after the box that hides the node's address behind the machine's.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.native.host import network
from sandbox.clusters.native.host.address_ranges import AddressRanges

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
"""The machine's own switch for routing between its links. Container engines set it too."""


def _note_file(layout: ClusterLayout) -> Path:
    """Return the file with the value that the switch had before."""
    return layout.root / "ip-forward-before"


def _table_name(layout: ClusterLayout) -> str:
    """Return our table's name on the machine; with the box's identity, as several boxes may have one each."""
    return f"c2d-{layout.identity}"


def open_egress(layout: ClusterLayout, ranges: AddressRanges) -> None:
    """Let the node's packets out through this machine, behind its address."""
    note = _note_file(layout)
    # A note from a run that crashed holds the user's value; what is set now may be ours.
    if not note.exists():
        note.write_text(FORWARDING.read_text())
    table = _table_name(layout)
    text = f"""table ip {table} {{
 chain postrouting {{
  type nat hook postrouting priority srcnat; policy accept;
  ip saddr {ranges.node_ip} oifname != "{layout.host_link}" masquerade
 }}
}}
"""
    network.run_command(["nft", "-f", "-"], text)
    # Both: the kernel asks the link's own switch as well.
    Path(f"/proc/sys/net/ipv4/conf/{layout.host_link}/forwarding").write_text("1")
    FORWARDING.write_text("1")


def close_egress(layout: ClusterLayout) -> None:
    """Take the table away and restore the switch, where :func:`open_egress` had noted it."""
    note = _note_file(layout)
    if note.exists():
        subprocess.run(
            ["nft", "delete", "table", "ip", _table_name(layout)], capture_output=True, check=False
        )
        FORWARDING.write_text(note.read_text())
        note.unlink()
