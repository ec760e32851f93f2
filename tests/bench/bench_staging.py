"""How fast inputs are staged: ``python -m tests.bench.bench_staging [--home HOME] [--rounds N] [--mib N]``.

On a running box, in one run and taking turns: ``curl -o`` of the object straight from S3 to the box's disk,
and the configuration pod of a job that fetches the same object through the Provider (grant, fetch from S3,
stream to the pod, SHA-256, write to the job's volume on the same disk). Prints one JSON object; the ratio
is the promise.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from c2d_box.client import JobRequest
from c2d_box.storage.sigv4 import S3Credentials, object_path, signed_headers
from sandbox.box import Box, open_box
from sandbox.progress import run_verb
from sandbox.verbs.compute import jobs
from sandbox.verbs.publishing import assets
from tests.bench.bench_jobs import IMAGE, PROGRAM, _ignore_event

LINE = re.compile(r"(\d+) bytes in ([0-9.]+) s, sha256")
MIB = 1 << 20


def main() -> None:
    options = _parse_options()
    box = open_box(options.home)
    size = options.mib * MIB
    with tempfile.TemporaryDirectory(prefix="c2d-bench-", dir=box.home.path) as folder:
        data = Path(folder) / "data.bin"
        _write_file(data, size)
        file = assets.store_file(box, "publisher", data)
        pair = _publish_pair(box, data, Path(folder) / "noop.py")
        straight, staged = [], []
        for _ in range(options.rounds):
            straight.append(size / _time_curl(box, file["s3Access"], data))
            staged.append(size / _time_staging(box, pair, size))
    ratios = [ours / theirs for ours, theirs in zip(staged, straight, strict=True)]
    print(
        json.dumps(
            {
                "rounds": options.rounds,
                "mib": options.mib,
                "curl_median_mib_per_second": round(statistics.median(straight) / MIB, 1),
                "staging_median_mib_per_second": round(statistics.median(staged) / MIB, 1),
                "ratio_of_medians": round(statistics.median(staged) / statistics.median(straight), 3),
                "ratio_worst_round": round(min(ratios), 3),
                "load": os.getloadavg()[0],
            },
            indent=2,
        )
    )


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, default=None, help="the home of a running box")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", type=int, default=1024)
    return parser.parse_args()


def _write_file(path: Path, size: int) -> None:
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(block)


def _publish_pair(box: Box, data: Path, program: Path) -> tuple[str, str]:
    program.write_text(PROGRAM)
    dataset = run_verb(
        assets.publish_dataset(box, "publisher", str(data), assets.AssetOffer("large data")), _ignore_event
    )
    offer = assets.AssetOffer("bench no-op", services=("access",))
    algorithm = run_verb(
        assets.publish_algorithm(box, "publisher", str(program), IMAGE, "python3 $ALGO", offer), _ignore_event
    )
    run_verb(assets.permit_algorithm(box, "publisher", dataset.did, algorithm.did), _ignore_event)
    return dataset.did, algorithm.did


def _time_curl(box: Box, access: dict[str, Any], beside: Path) -> float:
    """Return the seconds of the download. The signed headers go through stdin, since other users can read
    arguments.
    """
    target = beside.with_name("straight.bin")
    url = box.service_urls["s3"] + object_path(access["bucket"], access["objectKey"])
    keys = S3Credentials(access["accessKeyId"], access["secretAccessKey"], access["region"])
    headers = [f'header = "{name}: {value}"' for name, value in signed_headers("GET", url, keys).items()]
    config = "\n".join([f'url = "{url}"', f'output = "{target}"', "silent", "show-error", "fail", *headers])
    began = time.monotonic()
    subprocess.run(["curl", "--noproxy", "*", "--config", "-"], input=config, text=True, check=True)
    seconds = time.monotonic() - began
    assert target.stat().st_size == beside.stat().st_size
    target.unlink()
    return seconds


def _time_staging(box: Box, pair: tuple[str, str], size: int) -> float:
    """Run a job; return the seconds that its configuration pod reports for the object, SHA-256 included."""
    started = run_verb(jobs.start(box, "consumer", JobRequest(*pair)), _ignore_event)
    job = run_verb(jobs.follow(box, "consumer", started.id, timeout=600), _ignore_event)
    assert job.status == 70, job
    texts = jobs.log_texts(box, "consumer", started.id, "configuration")
    for count, seconds in LINE.findall("\n".join(texts.values())):
        if int(count) == size:
            return float(seconds)
    raise AssertionError(f"no such file in {texts}")


if __name__ == "__main__":
    main()
