"""``python -m c2d_box.pods.upload``: waits for the judge's manifest, sends, reports the results."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from c2d_box.pods import engine
from c2d_box.pods.upload import ipfs, s3
from c2d_box.pods.upload.sending import (
    SendFailed,
    SendInterrupted,
    SentFile,
    UploadEntry,
    manifest_entries,
    memory_entry,
)
from c2d_box.retry import Backoff
from c2d_box.workflow import manifests, names

PATIENCE = 600.0
"""Seconds for which an unreachable store is tried again."""
_LISTED = ("filename", "type", "size", "sha256")
"""Keys of a manifest's line that go into the evidence record."""
Send = Callable[[list[UploadEntry]], list[SentFile]]
"""Stores files and returns the results in the same order. Raises SendFailed or SendInterrupted."""
_QUICK, _CALM = 0.005, 0.1
"""Seconds between two looks for the manifest: in the first five seconds, and later."""


def main() -> int:
    """Send what the judge has listed, and the evidence record with it; return the exit status."""
    reporter = engine.from_environment("upload")
    manifest = _await_manifest(Path(names.MANIFEST), reporter.deadline)
    if manifest is None:
        print("gave up: there was no manifest", flush=True)
        return 1
    store = json.loads(Path(names.STORE_FILE).read_text())
    files = manifest_entries(manifest, Path(names.DATA), Path(names.VERDICT_FOLDER))
    try:
        # The record is made from the judge's list, before anything is encrypted: it is about what was
        # computed.
        listed = [{key: file[key] for key in _LISTED} for file in manifest["files"]]
        record = reporter.post_request("evidence", {"files": listed})["record"]
        # Last, so that the indexes of the judge's files stay as they are.
        files.append(memory_entry(manifests.EVIDENCE, "evidence", json.dumps(record, indent=1).encode()))
        send = sender_for(store, reporter)
        if key := os.environ.get(names.ENV_ENCRYPT):
            from c2d_box.pods.upload.sealing import sealing_sender  # most jobs need no cryptography

            # The evidence record is sealed with the rest: it names inputs and outputs.
            send = sealing_sender(send, key, reporter.token.encode())
        report = deliver_files(files, send, PATIENCE)
        reporter.send_report(report)
    except engine.GivenUp as reason:
        print(f"gave up: {reason}", flush=True)
        return 1
    print(report.get("failed") or f"{len(report['results'])} files stored", flush=True)
    return 0


def deliver_files(
    files: list[UploadEntry],
    send: Send,
    patience: float,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Send the files; return the report: results in the manifest's order, or why there are none. It is all
    files or none: a result that is missing would move the index of every later one. ``patience`` is in
    seconds."""
    until, backoff = time.monotonic() + patience, Backoff(0.2, 10.0)
    while True:
        try:
            return {"results": [sent.as_result() for sent in send(files)]}
        except SendFailed as failure:
            return {"failed": f"{failure}."}
        except SendInterrupted as interruption:
            pause = backoff.next_pause()
            if time.monotonic() + pause >= until:
                return {"failed": f"{interruption}, for {patience:.0f} s."}
            print(f"{interruption}; trying again in {pause:.1f} s", flush=True)
        sleep(pause)


def sender_for(store: dict[str, Any], reporter: engine.EngineClient) -> Send:
    """Return the sender of the store. For S3 the engine signs each upload; for IPFS the store's own token is
    here."""
    if store["kind"] == "ipfs":
        return lambda files: ipfs.send_to_ipfs(files, store, reporter.token.encode())

    def ask(files: list[UploadEntry]) -> Mapping[str, Mapping[str, str]]:
        # The hash is part of the signature: a slot takes the judged bytes and no others.
        wish = [{"path": file.path, "sha256": file.sha256} for file in files]
        try:
            found: dict[str, dict[str, str]] = reporter.post_request("slots", {"files": wish})["slots"]
        except engine.GivenUp as reason:
            # The engine was asked until the deadline already.
            raise SendFailed(f"the engine gives no places in the store: {reason}") from None
        return found

    return s3.S3Sender(store, reporter.job, ask).send_files


def _await_manifest(manifest: Path, deadline: float) -> dict[str, Any] | None:
    """Return the judge's manifest, which appears as a whole; None where the deadline comes first."""
    began = time.monotonic()
    while not manifest.exists():
        now = time.monotonic()
        if now >= deadline:
            return None
        time.sleep(_QUICK if now - began < 5 else _CALM)
    found: dict[str, Any] = json.loads(manifest.read_text())
    return found


if __name__ == "__main__":
    sys.exit(main())
