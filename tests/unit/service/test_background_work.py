"""Work beside the routes of a service that fails ends the service, and its exit status says so."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from c2d_box.metadata import app as cache_app
from c2d_box.metadata.app import build_cache_app
from c2d_box.metadata.fetching import DocumentQueue
from c2d_box.metadata.settings import MetadataSettings
from c2d_box.service.http_server import serve
from c2d_box.service.main import exit_status
from c2d_box.service.settings import ListenSection


async def unopened_chain(settings: MetadataSettings) -> Any:
    """A chain that answers nothing, so its blocks are asked for again and again."""
    return SimpleNamespace(addresses=SimpleNamespace(start_block=1))


def test_a_cache_whose_documents_cannot_be_scheduled_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk error ended both tasks of the indexer, and the cache went on, ready, with what it had."""

    def failing(queue: DocumentQueue) -> float:
        raise OSError("disk I/O error")

    monkeypatch.setattr(cache_app, "_await_chain", unopened_chain)
    monkeypatch.setattr(DocumentQueue, "_start_due", failing)
    (tmp_path / "cache-key").write_text("0x" + "5d" * 32)
    chain = {"id": 8996, "rpcUrl": "http://127.0.0.1:1", "addressFile": str(tmp_path / "none.json")}
    settings = {"chain": chain, "database": ":memory:", "secretsDir": str(tmp_path)}
    app = build_cache_app(MetadataSettings.model_validate(settings))
    work = partial(serve, app, ListenSection(host="127.0.0.1", port=0))
    statuses: list[int] = []
    service = threading.Thread(target=lambda: statuses.append(exit_status(work)), daemon=True)
    service.start()
    service.join(10)
    assert statuses == [1]
    ended = next(record for record in caplog.records if record.message == "the service ended")
    assert ended.exc_info and ended.exc_info[0] is OSError
