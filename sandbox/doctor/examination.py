"""Runs every check. A check that itself breaks becomes a finding, so that one surprise does not hide the
others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from sandbox.clusters.driver_registry import driver_of
from sandbox.doctor import bundle, docker, guest, machine, native, ports
from sandbox.doctor.finding import Finding
from sandbox.settings import Existing

Check = Callable[[], Finding | list[Finding]]


def examine(
    home: Path,
    cache: Path,
    box_ports: Mapping[str, int],
    *,
    name: str = "c2d",
    cluster: str = "native",
    existing: Existing | None = None,
    running: bool,
    more: Iterable[Check] = (),
) -> list[Finding]:
    """All findings, problems first. Ports are looked at only while the box is down: else it holds them
    itself.
    """
    checks: list[Check] = [
        *([partial(native.needs, home)] if cluster == "native" else []),
        *([partial(guest.existing, existing)] if cluster == "existing" and existing else []),
        partial(docker.docker, driver_of(cluster).uses_docker, cache),
        partial(docker.windows, home),
        machine.distribution,
        machine.rights,
        machine.memory,
        partial(machine.cache_disk, cache),
        partial(native.home_path, home),
        partial(native.leftovers, home, name),
        bundle.bundle,
        bundle.packages,
        *more,
    ]
    if not running:
        checks.append(lambda: ports.free_ports(box_ports.items()))
    findings = [finding for check in checks for finding in _safely(check)]
    order = {"problem": 0, "warning": 1, "ok": 2}
    return sorted(findings, key=lambda finding: order[finding.level])


def _safely(check: Check) -> list[Finding]:
    try:
        found = check()
    except Exception as error:
        name = getattr(getattr(check, "func", check), "__name__", "a check")
        return [Finding("C2D-DOC-CHECK", "warning", name, f"could not be checked: {error}", "report this")]
    return found if isinstance(found, list) else [found]
