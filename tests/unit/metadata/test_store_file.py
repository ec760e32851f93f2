"""The cache's file is an ordinary SQLite database: other tools read it while the cache goes on writing."""

from __future__ import annotations

from pathlib import Path

from sqlite_utils import Database

from c2d_box.metadata.store import MetadataStore, OutcomeState, Publication

DID = "did:op:" + "a" * 64


def test_sqlite_utils_reads_the_file_while_the_cache_writes_it(tmp_path: Path) -> None:
    store = MetadataStore(tmp_path / "cache.sqlite")
    reader = Database(tmp_path / "cache.sqlite")
    try:
        store.put_record(DID, {"id": DID, "datatokens": []})
        assert [row["did"] for row in reader["records"].rows] == [DID]
        store.put_outcome(Publication(DID, "0xnft", "0xtx", 0, 1, "", 0, 0, "", ""), OutcomeState.SERVED)
        assert [row["state"] for row in reader["outcomes"].rows] == ["served"]
        assert {"versions", "orders", "retries", "blocks"} <= set(reader.table_names())
    finally:
        reader.close()
        store.close()
