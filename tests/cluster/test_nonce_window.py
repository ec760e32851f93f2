"""The nonce table of a real PostgreSQL stays as small as its window, whoever asks how often."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import httpx

from c2d_box.assets.crypto import signatures
from c2d_box.operator_service.nonces import PRUNE_EVERY, WINDOW
from sandbox.box import Box
from sandbox.keys import open_keys

ROUTE = "/api/v1/operator/compute?owner=0xNobody"


def psql(kubectl: Callable[..., str], statement: str) -> str:
    place = ("-h", "/var/lib/c2d/postgres", "-U", "c2d", "-d", "c2d", "-Atc", statement)
    return kubectl("exec", "-n", "c2d", "deploy/postgres", "--", "psql", *place).strip()


def test_the_table_stays_as_small_as_the_window(box: Box, kubectl: Callable[..., str]) -> None:
    keys = open_keys(box.home.keys_folder)
    key, caller = keys["provider-key"], keys.key_address("provider-key").lower()
    mine = f"FROM nonces WHERE provider = '{caller}'"
    older = f"SELECT '{caller}', n FROM generate_series(1, {2 * WINDOW}) AS n"
    psql(kubectl, f"INSERT INTO nonces (provider, nonce) {older} ON CONFLICT DO NOTHING")
    assert int(psql(kubectl, f"SELECT count(*) {mine}")) >= 2 * WINDOW
    with httpx.Client(base_url=box.service_urls["operator-service"], trust_env=False, timeout=30) as client:
        for _ in range(PRUNE_EVERY + 1):
            nonce = str(time.time_ns())
            text = f"GET\n{ROUTE}\n{hashlib.sha256(b'').hexdigest()}\n{nonce}"
            headers = {"X-C2D-Signature": signatures.sign_text(key, text), "X-C2D-Nonce": nonce}
            assert client.get(ROUTE, headers=headers).status_code == 200
        replayed = client.get(ROUTE, headers=headers)
    assert int(psql(kubectl, f"SELECT count(*) {mine}")) <= WINDOW + PRUNE_EVERY
    assert replayed.status_code == 400
