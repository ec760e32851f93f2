"""The demo as a newcomer meets it: one command, exit 0, results in a folder, the box left up."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from sandbox.demo.story import DemoOutcome

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def test_results_lie_in_the_folder(outcome: DemoOutcome) -> None:
    assert {path.name for path in outcome.folder.iterdir()} >= {"metrics.json", "roc.png", "report.md"}
    assert (outcome.folder / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_the_first_start_was_refused_with_a_code_and_a_reason(outcome: DemoOutcome) -> None:
    assert "not_trusted_algo" in json.dumps(outcome.refusal)


def test_the_consumer_paid_the_fixed_prices(outcome: DemoOutcome) -> None:
    assert 4.0 <= outcome.cost < 4.1


def test_each_stage_has_its_seconds(outcome: DemoOutcome) -> None:
    assert outcome.stages
    assert all(seconds >= 0 for seconds in outcome.stages.values())


def test_the_command_line_tells_the_story_and_prints_json(
    cli: Cli, outcome: DemoOutcome, tmp_path: Path
) -> None:
    done = cli("demo", "--to", str(tmp_path), "--json", "--yes")
    told = json.loads(done.stdout)
    assert told["metrics"] == dict(outcome.metrics)
    assert told["job_id"] != outcome.job_id


def test_jobs_as_json_is_a_list_with_the_wires_names(cli: Cli, outcome: DemoOutcome) -> None:
    listed = json.loads(cli("jobs", "--json").stdout)
    (job,) = [job for job in listed if job["jobId"] == outcome.job_id]
    assert job["status"] == 70
    assert isinstance(job["status"], int)
    assert {"owner", "statusText", "dateCreated", "dateFinished", "results", "algoDID", "inputDID"} <= set(
        job
    )


def test_a_second_up_changes_nothing(cli: Cli, outcome: DemoOutcome) -> None:
    before = _services(cli)
    report = json.loads(cli("up", "--json").stdout)
    print(f"up on a running box: {report['seconds']:.1f} s")
    assert _services(cli) == before


def _services(cli: Cli) -> set[str]:
    """The pods of the services, by uid: another one means that something was rolled out again."""
    pods = json.loads(cli("kubectl", "get", "pods", "-n", "c2d", "-o", "json").stdout)["items"]
    return {str(pod["metadata"]["uid"]) for pod in pods}
