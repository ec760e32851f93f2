"""The engine starts only with keys that its environments are announced by."""

from __future__ import annotations

from pathlib import Path

import pytest

from c2d_box.assets.crypto import signatures
from c2d_box.errors import StateProblem
from c2d_box.operator_engine.pod_api.evidence_signer import read_signing_keys
from tests.unit.operator_engine.conftest import make_settings

KEY, OTHER_KEY = "0x" + "11" * 32, "0x" + "22" * 32


def announced(folder: Path, *addresses: str) -> dict[str, str]:
    environments = [
        {"id": f"environment-{at}", "consumerAddress": address} for at, address in enumerate(addresses)
    ]
    return read_signing_keys(make_settings(environments=environments, secretsDir=str(folder)))


def test_keys_of_announced_addresses_are_read_in_any_spelling(tmp_path: Path) -> None:
    (tmp_path / "environment-key-environment-0").write_text(KEY + "\n")
    (tmp_path / "environment-key-environment-1").write_text(OTHER_KEY)
    found = announced(tmp_path, signatures.address_of(KEY).lower(), signatures.address_of(OTHER_KEY))
    assert found == {"environment-0": KEY, "environment-1": OTHER_KEY}


@pytest.mark.parametrize("address", ["0x" + "0" * 40, signatures.address_of(OTHER_KEY)])
def test_another_address_ends_the_start_and_is_named(tmp_path: Path, address: str) -> None:
    (tmp_path / "environment-key-environment-0").write_text(KEY)
    with pytest.raises(StateProblem) as problem:
        announced(tmp_path, address)
    assert problem.value.code == "C2D-ENVIRONMENT-KEY"
    assert address in str(problem.value) and signatures.address_of(KEY) in problem.value.next_step
    assert KEY[2:] not in str(problem.value) + problem.value.next_step


def test_what_is_no_key_is_said_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / "environment-key-environment-0").write_text("not a key")
    with pytest.raises(StateProblem) as problem:
        announced(tmp_path, signatures.address_of(KEY))
    assert problem.value.code == "C2D-ENVIRONMENT-KEY" and "not a key" not in str(problem.value)
