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
from sandbox.settings import ExistingClusterSettings

Check = Callable[[], Finding | list[Finding]]


def examine_machine(
    home: Path,
    cache: Path,
    box_ports: Mapping[str, int],
    *,
    name: str = "c2d",
    cluster: str = "native",
    existing: ExistingClusterSettings | None = None,
    running: bool,
    more: Iterable[Check] = (),
) -> list[Finding]:
    """All findings, problems first. Ports are looked at only while the box is down: else it holds them
    itself.
    """
    checks: list[Check] = [
        *([partial(native.check_needs, home)] if cluster == "native" else []),
        *([partial(guest.check_existing, existing)] if cluster == "existing" and existing else []),
        partial(docker.check_docker, driver_of(cluster).uses_docker, cache),
        partial(docker.check_windows, home),
        machine.check_distribution,
        machine.check_root,
        machine.check_memory,
        partial(machine.check_cache_disk, cache),
        partial(native.check_home_path, home),
        partial(native.check_leftovers, home, name),
        bundle.check_bundle,
        bundle.check_packages,
        *more,
    ]
    if not running:
        checks.append(lambda: ports.check_ports(box_ports.items()))
    findings = [finding for check in checks for finding in _run_check(check)]
    order = {"problem": 0, "warning": 1, "ok": 2}
    return sorted(findings, key=lambda finding: order[finding.level])


def _run_check(check: Check) -> list[Finding]:
    try:
        found = check()
    except Exception as error:
        name = getattr(getattr(check, "func", check), "__name__", "a check")
        return [Finding("C2D-DOC-CHECK", "warning", name, f"could not be checked: {error}", "report this")]
    return found if isinstance(found, list) else [found]
