"""What tests need besides Python, as markers: which fixtures, files and single tests get which one.

The table is applied to whatever is collected, so nobody has to remember a marker. A test that starts a chain
through a fixture of the table is slow wherever it stands. ``make unit`` runs what none of the markers names.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Need:
    """Which tests get one marker."""

    fixtures: frozenset[str] = frozenset()
    """Directly or through other fixtures."""
    places: tuple[str, ...] = ()
    """Folders, files or ``file::test``, below ``tests``."""

    def applies_to(self, place: str, fixtures: list[str]) -> bool:
        """``place``: ``unit/pods/test_gate.py::test_name``, without parameters."""
        inside = any(place == each or place.startswith((f"{each}/", f"{each}::")) for each in self.places)
        return inside or not self.fixtures.isdisjoint(fixtures)


NEEDS: dict[str, Need] = {
    "slow": Need(
        fixtures=frozenset({"bazaar", "ganache", "local", "local_chain", "ocean", "process", "world"}),
        places=(
            "unit/assets/test_ddo.py",
            "unit/bundle/test_closure.py",
            "unit/chain/test_pools.py::test_a_chain_without_the_contracts_says_so",
            "unit/hostile",
            "unit/operator_engine/test_plan_properties.py",
            "unit/operator_engine/test_plan_reachable.py",
            "unit/operator_service/test_locks.py",
            "unit/operator_service/test_lock_races.py",
            "unit/pods/test_disclosure.py::test_sixteen_megabytes_are_checked_in_little_memory",
            "unit/provider/test_liveness.py",
            "unit/provider/test_stale_permissions.py",
            "unit/service/test_each_service.py::test_an_idle_connection_outlives_the_clients",
            "unit/storage/test_slow_strangers.py",
            "unit/strict_json/test_recursion.py::test_importing_all_of_a_service_leaves_the_limit",
            "unit/test_flaky_report.py::test_it_is_named_and_listed_and_a_failure_stays_a_failure",
            "unit/test_verification_commands.py",
            "unit/testchain/test_clients.py",
            "unit/testchain/test_crash.py",
            "unit/testchain/test_http.py",
            "unit/verbs/test_large_files.py",
        ),
    ),
    "root": Need(
        places=(
            "unit/clusters/test_configuration.py::test_rules_are_accepted_by_nft",
            "unit/clusters/test_kind.py::test_nft_accepts_the_rules",
            "unit/clusters/test_service.py::test_an_archive_is_read_where_the_machine_has_it",
            "unit/operator_engine/test_algorithm_pod.py::test_any_image_knows_the_algorithms_user",
            "unit/volumes/test_disks.py",
        ),
    ),
    "bundle": Need(fixtures=frozenset({"helm"}), places=("unit/bundle/test_forwarder.py",)),
}


def mark(item: pytest.Item) -> None:
    """Adds the markers of the table."""
    path, _, rest = item.nodeid.removeprefix("tests/").partition("::")
    place = f"{path}::{rest.partition('[')[0]}"
    for name, need in NEEDS.items():
        if need.applies_to(place, getattr(item, "fixturenames", [])):
            item.add_marker(name)
