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
    """Run all checks and return their findings, problems first.

    ``cluster`` chooses the checks that only its kind needs. ``running``: ports are not looked at while the
    box is up, since it holds them itself. ``more`` are checks that need a running box.
    """
    checks: list[Check] = [
        # Needs of a cluster that is not used would be problems that nobody has.
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
    # sorted() is stable: within a level the order of the checks stays.
    return sorted(findings, key=lambda finding: order[finding.level])


def _run_check(check: Check) -> list[Finding]:
    """Return a check's findings; an error in it becomes a warning."""
    try:
        found = check()
    # Everything: on a strange machine a check may fail in a way that nobody foresaw.
    except Exception as error:
        # A partial has no name of its own.
        name = getattr(getattr(check, "func", check), "__name__", "a check")
        return [Finding("C2D-DOC-CHECK", "warning", name, f"could not be checked: {error}", "report this")]
    return found if isinstance(found, list) else [found]
