"""Rules for results from a file: what stands in the documentation is understood, and mistakes are named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from c2d_box.assets.disclosure import parse_set
from c2d_box.errors import UsageError
from sandbox.box import Box
from sandbox.cli.app import invoke
from sandbox.home import BoxHome
from sandbox.settings import BoxSettings
from sandbox.verbs.publishing import assets
from sandbox.verbs.publishing.disclosure_rules import read_rules

DOCS = Path(__file__).parents[3] / "docs" / "disclosure.md"


def test_the_documents_example_is_understood(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    rules = read_rules(str(file))
    found = parse_set(rules)
    assert found is not None
    assert found.allows_name("plots/age.png") and not found.allows_name("rows.csv")
    assert found.log_allowance[0] == 0
    documented = set(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", DOCS.read_text(), re.MULTILINE))
    named = {name for line in documented for name in re.findall(r"\w+", line)}
    assert named == set(type(found).model_json_schema(by_alias=True)["properties"])


def test_none_lifts_the_rules() -> None:
    assert read_rules("none") == {}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("maxRows: many", "maxRows"),
        ("maxRow: 3", "maxRow"),
        ("types: [pdf, csv]", "pdf cannot be checked"),
        ("- csv", "cannot be understood"),
        ("", "cannot be understood"),
        ("{}", "no rule"),
        ("a: [", "rules.yaml"),
        ("[" * 5000, "rules.yaml"),
    ],
)
def test_a_mistake_is_named_before_anything_is_published(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        read_rules(str(file))
    assert refused.value.code == "C2D-DISCLOSURE-INVALID"
    assert named in refused.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_rules(str(tmp_path / "gone.yaml"))


def test_the_draft_shows_the_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, rules = tmp_path / "data.csv", tmp_path / "rules.yaml"
    data.write_text("n\n1\n")
    rules.write_text("minCell: 10")
    words = ["publish", "dataset", str(data), "--disclosure", str(rules), "--draft"]
    assert invoke(["--home", str(tmp_path / "home"), *words]) == 0
    (service,) = json.loads(capsys.readouterr().out)["services"]
    assert service["additionalInformation"]["c2d"]["disclosure"] == {"minCell": 10}


def test_the_rules_are_published_with_the_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[dict[str, Any]] = []

    def publish(_name: str, _files: list[Any], **terms: Any) -> SimpleNamespace:
        published.append(terms)
        return SimpleNamespace(did="did:op:1", nft="0x1", datatoken="0x2", pool=None)

    @contextmanager
    def opened(_box: Box, _who: str) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(publish_dataset=publish)

    monkeypatch.setattr(assets, "open_publisher", opened)
    offer = assets.AssetOffer("Cells", disclosure={"minCell": 10})
    box = Box(BoxHome(tmp_path), BoxSettings())
    list(assets.publish_dataset(box, "publisher", "https://example.org/cells.csv", offer))
    assert [terms["disclosure"] for terms in published] == [{"minCell": 10}]
