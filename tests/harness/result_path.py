"""The path of a job's results, without a cluster: the real judge, its report, the engine's rules, one
Kubernetes object, the Provider's result list.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from c2d_box import limits as agreed
from c2d_box import timestamps
from c2d_box.client.results.result_paths import result_paths
from c2d_box.operator_engine.pod_api.evidence_signer import _Manifest
from c2d_box.operator_engine.rules import stage_reports
from c2d_box.pods.engine import _encode_body
from c2d_box.pods.judge.__main__ import Places, judge
from c2d_box.pods.judge.outputs import Limits
from c2d_box.pods.upload.sending import SentFile, UploadEntry, entry_content, manifest_entries
from c2d_box.workflow import evidence, ocean_status, resource
from c2d_box.workflow.resource import WorkFlow

LIMITS = Limits(files=agreed.OUTPUT_FILES, bytes=64 << 20, log_bytes=10_000)
NOW = 1_800_000_000.0
IPFS = "ipfs://bafy" + "a" * 55
KEY = "0x" + "11" * 32


def workflow_body(**status: Any) -> dict[str, Any]:
    spec = {
        "environment": "env",
        "owner": "0x" + "a" * 40,
        "stages": [{"algorithm": {"rawcode": "x", "container": {"entrypoint": "e", "image": "i"}}}],
    }
    made = resource.build_workflow("f" * 32, spec, NOW)
    times = {name: timestamps.rfc3339_text(NOW + 1) for name in ("admitted", "created", "staged", "ended")}
    made["status"] = {"code": 60, "times": times, "outcome": {"code": 70, "reason": ""}, **status}
    return made


def merge_patch(old: Any, patch: Any) -> Any:
    """Apply a JSON merge patch as the API server does."""
    if not isinstance(patch, dict):
        return patch
    found = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merge_patch(found.get(key), value)
    return found


class ReportingJob:
    """A job whose reports go through JSON and the engine's rules into one Kubernetes object."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(folder / "data", folder / "verdict")
        for name in ("outputs", "logs", "adminlogs"):
            (self.places.data / name).mkdir(parents=True)
        self.places.verdict.mkdir()
        (self.places.data / "logs" / "algorithm.log").write_text("said\n")
        self.body = workflow_body()
        self.now = NOW + 5
        self.record: dict[str, Any] = {}

    @property
    def workflow(self) -> WorkFlow:
        return resource.parse_workflow(json.loads(json.dumps(self.body)))

    def report_stage(self, stage: Any, said: dict[str, Any]) -> None:
        data = _encode_body(said)
        assert len(data) <= agreed.REPORT_BYTES
        model, apply = stage_reports.BY_STAGE[stage]
        answer = apply(self.workflow, model.model_validate(json.loads(data)), self.now)
        assert answer.status == 200
        self.body["status"] = merge_patch(self.body["status"], answer.changes)

    def send_results(self, store: str, rules: Any = None) -> list[UploadEntry]:
        """Run the judge and report its results as uploaded; return the uploaded entries as the store has
        them.
        """
        manifest, said = judge({"outputs": True, "logs": True}, LIMITS, self.places, rules)
        self.report_stage("judge", said)
        files = [
            {key: line[key] for key in ("filename", "type", "size", "sha256")} for line in manifest["files"]
        ]
        _Manifest.model_validate({"files": files})
        self.record = evidence.evidence_record(self.workflow, files, {}, KEY)
        assert not evidence.evidence_problems(self.record)
        sent = manifest_entries(manifest, self.places.data, self.places.verdict)
        results = [
            SentFile(entry, f"{store}/{quote(entry.path)}", "bafkrei" + entry.sha256[:52]).as_result()
            for entry in sent
        ]
        self.report_stage("upload", {"results": results})
        return sent

    def fetch_files(self, sent: list[UploadEntry], folder: Path) -> list[Path]:
        """Write the results to the paths that the client chooses in the consumer's folder; return those
        paths.
        """
        listed = ocean_status.result_list(self.workflow)
        assert isinstance(listed, list)
        found = []
        for index, place in result_paths(listed).items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(entry_content(sent[index])))
            found.append(path)
        return found
