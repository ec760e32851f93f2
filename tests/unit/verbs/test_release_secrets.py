"""The Secrets of a box: a root key stands in its server's Secret, and each service has keys of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.install.chart_values import service_secrets
from sandbox.keys import open_keys

SERVICES = {"engine": "operator-engine", "service": "operator-service", "provider": "provider"}


@pytest.mark.parametrize(
    ("root", "owner"),
    [
        ("postgres-password", "postgres-secrets"),
        ("s3-access-key", "s3-secrets"),
        ("s3-secret-key", "s3-secrets"),
        ("ipfs-admin-token", "ipfs-secrets"),
    ],
)
def test_a_root_key_stands_in_its_servers_secret_alone(tmp_path: Path, root: str, owner: str) -> None:
    keys = open_keys(tmp_path)
    holders = {name for name, held in service_secrets(keys).items() if keys[root] in held.values()}
    assert holders == {owner}


@pytest.mark.parametrize("part", ["access", "secret"])
def test_each_services_store_key_is_its_own_and_known_to_the_store(tmp_path: Path, part: str) -> None:
    made = service_secrets(open_keys(tmp_path))
    found = {user: made[f"{name}-secrets"][f"s3-{part}-key"] for user, name in SERVICES.items()}
    assert len(set(found.values())) == len(SERVICES)
    for user, key in found.items():
        assert made["s3-secrets"][f"s3-{user}-{part}-key"] == key


def test_the_databases_roles_have_the_services_passwords(tmp_path: Path) -> None:
    made = service_secrets(open_keys(tmp_path))
    for role, name in (("c2d_engine", "operator-engine"), ("c2d_service", "operator-service")):
        assert made["postgres-secrets"][f"role-{role}"] == made[f"{name}-secrets"]["postgres-password"]


def test_engine_and_provider_share_the_secret_of_result_assets_with_nobody(tmp_path: Path) -> None:
    keys = open_keys(tmp_path)
    holders = {name for name, held in service_secrets(keys).items() if keys["result-secret"] in held.values()}
    assert holders == {"operator-engine-secrets", "provider-secrets"}


def test_a_home_of_before_gets_the_keys_that_it_lacks(tmp_path: Path) -> None:
    before = dict(open_keys(tmp_path).values)
    for name in ("result-secret", "s3-engine-access-key", "postgres-service-password"):
        (tmp_path / name).unlink()
    after = open_keys(tmp_path).values
    assert set(after) == set(before)
    assert after["s3-access-key"] == before["s3-access-key"]
    assert after["result-secret"] != before["result-secret"]
