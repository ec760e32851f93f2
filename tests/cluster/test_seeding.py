"""A list makes the box what it says, again and again; ``reset --assets`` brings it back to that."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from c2d_box.client import JobRequest
from sandbox.box import Box
from sandbox.seeding import SeedReport, read_declaration, seed
from sandbox.verbs.accounts import list_accounts
from sandbox.verbs.compute import jobs
from sandbox.verbs.publishing import assets

from .conftest import SHELL_IMAGE, finish_verb

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
LIST: dict[str, Any] = {
    "assets": {
        "people": {"type": "dataset", "file": "people.csv", "price": 2, "permit": ["count"]},
        "count": {"type": "algorithm", "file": "count.py", "image": SHELL_IMAGE},
    },
}


class Bed:
    """A folder with a list that can be changed and applied again."""

    def __init__(self, box: Box, folder: Path) -> None:
        self.box, self.folder, self.document = box, folder, json.loads(json.dumps(LIST))
        self.document["accounts"] = {"9": {"eth": 5, "ocean": list_accounts(box)[9].ocean + 7}}
        (folder / "people.csv").write_text("name\nada\n")
        (folder / "count.py").write_text(
            "import os\nopen('/data/outputs/n', 'w').write(str(len(os.listdir('/data/inputs'))))\n"
        )

    @property
    def list(self) -> Path:
        path = self.folder / "list.yaml"
        path.write_text(yaml.safe_dump(self.document))
        return path

    def sow(self) -> SeedReport:
        return finish_verb(seed(self.box, read_declaration(self.list)))


@pytest.fixture(scope="module")
def bed(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    yield Bed(box, tmp_path_factory.mktemp("seed"))


def _pairs(box: Box) -> set[str]:
    return {str(each["id"]) for each in assets.list_assets(box)}


def test_a_list_is_applied_once_and_then_only_what_differs(bed: Bed) -> None:
    first = bed.sow()
    assert set(first.changed) == {"9", "people", "count"}
    assert assets.permission_verdict(bed.box, first.assets["people"], first.assets["count"]).allowed
    assert bed.sow().changed == ()
    (bed.folder / "count.py").write_text((bed.folder / "count.py").read_text() + "print('more')\n")
    changed = bed.sow()
    assert changed.assets == first.assets
    assert set(changed.changed) == {"count", "people"}, "a changed algorithm needs its permission anew"
    assert assets.permission_verdict(bed.box, first.assets["people"], first.assets["count"]).allowed
    bed.document["assets"]["people"]["permit"] = []
    bed.sow()
    assert not assets.permission_verdict(bed.box, first.assets["people"], first.assets["count"]).allowed
    bed.document["assets"]["people"]["permit"] = ["count"]
    bed.sow()


def test_a_price_that_changes_is_refused_before_anything_is_done(bed: Bed, cli: Cli) -> None:
    bed.document["assets"]["people"]["price"] = 9
    try:
        refused = cli("seed", str(bed.list), "--json", check=False)
    finally:
        bed.document["assets"]["people"]["price"] = 2
    assert refused.returncode != 0
    error = json.loads(refused.stderr.splitlines()[-1])["error"]
    assert error["code"] == "C2D-SEED-FIXED"
    assert "price" in error["message"]


def test_what_came_after_is_taken_back_and_the_box_works_on(bed: Bed, box: Box, cli: Cli) -> None:
    sown = bed.sow()
    before = _pairs(box)
    extra = bed.folder / "extra.csv"
    extra.write_text("x\n1\n")
    finish_verb(assets.publish_dataset(box, "publisher", str(extra), assets.AssetOffer("extra")))
    started = finish_verb(
        jobs.start(box, "consumer", JobRequest(sown.assets["people"], sown.assets["count"]))
    )
    done = finish_verb(jobs.follow(box, "consumer", started.id, timeout=120))
    assert done.status == 70
    assert _pairs(box) > before
    cli("reset", "--assets", "--yes")
    assert _pairs(box) == before
    assert jobs.list_jobs(box, "consumer") == []
    assert cli("kubectl", "get", "workflows", "-n", "c2d-jobs", "-o", "name").stdout == ""
    again = finish_verb(jobs.start(box, "consumer", JobRequest(sown.assets["people"], sown.assets["count"])))
    assert finish_verb(jobs.follow(box, "consumer", again.id, timeout=120)).status == 70
    assert bed.sow().changed == ()
