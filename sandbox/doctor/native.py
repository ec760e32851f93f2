"""Checks the native cluster's needs, as its driver probes them, and looks for what a crashed one has left."""

from __future__ import annotations

from pathlib import Path

from sandbox.clusters.layout import LONGEST_HOME, ClusterLayout, path_bytes
from sandbox.clusters.native.host import probes
from sandbox.clusters.native.host.sweep import holders
from sandbox.doctor.finding import Finding
from sandbox.home import BoxHome


def check_needs(home: Path) -> list[Finding]:
    """Return one finding per need of the driver. Ids are made from the driver's, so a new probe needs a row
    in the catalogue.
    """
    return [
        Finding(
            f"C2D-DOC-{need.id.upper().replace('.', '-')}",
            "ok" if need.holds else "problem" if need.required else "warning",
            need.id.replace(".", " "),
            need.evidence,
            "" if need.holds else need.fix,
        )
        for need in probes.findings(home)
    ]


def check_home_path(home: Path) -> Finding:
    """Check the length of the home's path: sockets below it must fit into the kernel's limit."""
    length = path_bytes(home)
    if length <= LONGEST_HOME:
        return Finding("C2D-DOC-HOME", "ok", "home", f"{home} ({length} of {LONGEST_HOME} bytes)")
    fix = f"choose a home of at most {LONGEST_HOME} bytes: --home /var/lib/c2d"
    return Finding("C2D-DOC-HOME", "problem", "home", f"{home} has {length} bytes", fix)


def check_leftovers(home: Path, name: str) -> Finding:
    """Look for traces of a box that ended without cleaning up; the next ``up`` or ``down`` removes them."""
    layout = ClusterLayout(BoxHome(home), name)
    # A box that runs has all of these, and rightly.
    if holders(layout):
        return Finding("C2D-DOC-LEFTOVERS", "ok", "leftovers", "the box runs")
    traces = [f"loop device {device}" for device in _loops_of(home)]
    if Path("/sys/class/net", layout.host_link).exists():
        traces.append(f"network link {layout.host_link}")
    if layout.state_file.exists():
        traces.append(f"record {layout.state_file}")
    if not traces:
        return Finding("C2D-DOC-LEFTOVERS", "ok", "leftovers", "none")
    return Finding(
        "C2D-DOC-LEFTOVERS", "warning", "leftovers", ", ".join(traces), "c2d-box down removes them"
    )


def _loops_of(home: Path) -> list[str]:
    """Return the loop devices whose file lies below ``home``: disks of its jobs."""
    found = []
    for device in Path("/sys/block").glob("loop*"):
        try:
            # Only attached devices have this file.
            backing = (device / "loop" / "backing_file").read_text()
        except OSError:
            continue
        # With the slash at the end: /home/a must not match files of /home/ab.
        if backing.startswith(f"{home.absolute()}/"):
            found.append(device.name)
    return found
