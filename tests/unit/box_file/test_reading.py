"""A bad box file is refused with line, key and reason; a good one is exactly what it says."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from c2d_box.errors import UsageError
from sandbox.box_file.reading import parse_box_file, read_box_file
from sandbox.box_file.rendering import render_box_file
from sandbox.box_file.schema import OPTION_KEYS, BoxFile, FileSection, box_file_schema
from sandbox.clusters.driver_registry import DRIVERS

SCHEMA = Path(__file__).parents[3] / "docs" / "box-file.schema.json"


def test_every_option_of_up_is_a_key() -> None:
    from sandbox.cli.commands.lifecycle import up

    options = {str(parameter.name) for parameter in up.params if isinstance(parameter, click.Option)}
    own = options - {"file", "help", "home", "box_name", "json", "act_as", "yes", "no_color", "debug", "wide"}
    assert own == set(OPTION_KEYS)
    for key in OPTION_KEYS.values():
        section = BoxFile
        for name in key.split("."):
            assert name in section.model_fields, key
            section = section.model_fields[name].annotation  # type: ignore[assignment]


def test_the_clusters_are_those_that_up_knows() -> None:
    known = box_file_schema()["properties"]["cluster"]["enum"]
    assert known == ["auto", *DRIVERS]


def test_every_key_has_a_comment() -> None:
    values = (value for _, value in BoxFile())
    sections: list[type[FileSection]] = [BoxFile]
    sections += [type(value) for value in values if isinstance(value, FileSection)]
    assert len(sections) > 5
    for section in sections:
        assert [name for name, each in section.model_fields.items() if not each.description] == []


def test_the_schema_is_exported(request: pytest.FixtureRequest) -> None:
    text = json.dumps(box_file_schema(), indent=2) + "\n"
    if request.config.getoption("--write-docs"):
        SCHEMA.write_text(text)
    assert SCHEMA.read_text() == text, "the schema is old: --write-docs writes it again"


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}", "ports:\nvalues:\n", "limits: {}\n"])
def test_what_is_left_out_has_its_default(text: str) -> None:
    assert parse_box_file(text, Path("box.yaml")) == BoxFile()


def test_the_file_that_is_printed_is_read_as_what_it_was() -> None:
    text = "ports: {offset: 10, s3: 19000}\norigins: ['http://a']\nvalues: {cache: {span: 3}}\n"
    file = parse_box_file(text, Path("box.yaml"))
    assert parse_box_file(render_box_file(file), Path("box.yaml")) == file
    assert parse_box_file(render_box_file(BoxFile()), Path("box.yaml")) == BoxFile()


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("portz: {}\n", 1, "portz: there is no such key; did you mean ports"),
        ("cluster: auto\nnetwork: online\n", 2, "network: there is no such key; there are cluster, ports"),
        ("environments: []\n", 1, "environments: there is no such key"),
        ("images: {}\n", 1, "images: there is no such key"),
        ("\n\nports:\n  providr: 1\n", 4, "ports.providr: there is no such key; did you mean provider"),
        ("ports:\n  s3: '9000'\n", 2, "ports.s3: must be a valid integer"),
        ("ports:\n  s3: 0\n", 2, "ports.s3: must be greater than or equal to 1"),
        ("ports:\n  s3: true\n", 2, "ports.s3: must be a valid integer"),
        ("ports:\n  s3: 8030\n", 2, "ports.s3: s3 and provider have the same port 8030"),
        ("ports:\n  offset: 60000\n", 2, "ports.offset: moves chain to 68545, which is no port"),
        ("# a\ntrust:\n  # b\n  empty_lists: some\n", 4, "trust.empty_lists: must be 'none' or 'all'"),
        ("trust: [all]\n", 1, "trust: must be"),
        ("barge_keys: 1\n", 1, "barge_keys: must be a valid boolean"),
        ("barge_keys: true\nports: {}\nbarge_keys: false\n", 3, "barge_keys: is given twice"),
        ("limits:\n  log_bytes: 1\n  log_bytes: 2\n", 3, "limits.log_bytes: is given twice"),
        ("limits:\n  output_files: 5001\n", 2, "limits.output_files: must be less than or equal to 5000"),
        ("origins:\n- http://a\n- http://a/b\n", 3, "origins.1: must match pattern"),
        ("origins: ['http://localhost:*']\n", 1, "origins.0: must match pattern"),
        ("chain:\n  rpc: ftp://a\n", 2, "chain.rpc: ftp://a is not an http(s) URL"),
        ("chain:\n  rpc: http://localhost:1\n", 2, "chain.rpc: localhost means the pod itself"),
        ("chain:\n  address_file: a\n", 2, "chain.address_file: is for a chain outside the box: chain.rpc"),
        (
            "chain:\n  rpc: http://10.0.0.1:1\n  address_file: none.json\n",
            3,
            "chain.address_file: ",
        ),
        ("chain: {rpc: 'http://10.0.0.1:1'}\norigins: ['http://a']\n", 2, "origins: are for the box's own"),
        ("existing:\n  context: lab\n", 1, "existing: is for a cluster of somebody else: cluster: existing"),
        (
            "cluster: existing\nexisting:\n  pull_secret: a/b\n  pull_by_login: true\n",
            4,
            "existing.pull_by_login: excludes existing.pull_secret",
        ),
        ("values:\n  images: {}\n", 2, "values.images: is set by the box itself"),
        ("values:\n  resultStore: {}\n", 2, "values.resultStore: has a key of the box file: result_store"),
        (
            "values:\n  provider:\n    trust:\n      emptyLists: all\n",
            4,
            "values.provider.trust.emptyLists: has a key of the box file: trust.empty_lists",
        ),
        ("values:\n  cache:\n    spann: 1\n", 3, "values.cache.spann: is no value of the chart; it knows"),
        ("values:\n  cache:\n    span: x\n", 3, "values.cache.span: must be of type integer"),
        (
            "values:\n  networkPolicies:\n    clients: [{a: 2026-01-01}]\n",
            3,
            "values.networkPolicies.clients.0.a: is no",
        ),
        (
            "values:\n  networkPolicies:\n    clients: [{a: .nan}]\n",
            3,
            "values.networkPolicies.clients.0.a: is no",
        ),
        (
            "values:\n  networkPolicies:\n    clients: [{1: a}]\n",
            3,
            "values.networkPolicies.clients.0.1: is no name",
        ),
        ("limits:\n  log_bytes: 1000000000000000000000\n", 2, "limits.log_bytes: must be less than"),
        ("- a\n", 1, "the file: is no list of keys with values"),
    ],
)
def test_a_bad_file_is_refused_with_line_and_reason(text: str, line: int, reason: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_box_file(text, Path("/box.yaml"))
    assert refused.value.code == "C2D-BOXFILE-INVALID"
    assert f"/box.yaml, line {line}: {reason}" in refused.value.message


def test_all_that_is_wrong_is_said_at_once_in_the_order_of_the_lines() -> None:
    with pytest.raises(UsageError) as refused:
        parse_box_file("ports:\n  s3: x\ntrust: {empty_lists: 1}\nfoo: 1\nfoo: 2\n", Path("/b"))
    places = [line.partition(": ")[0] for line in refused.value.message.splitlines()]
    assert places == ["/b, line 2", "/b, line 3", "/b, line 4", "/b, line 5"]


@pytest.mark.parametrize(
    "content",
    [
        b"ports: [",
        b"\xff\xfe\x00",
        b"a: " + b"[" * 100 + b"]" * 100,
        b"#" * (300 << 10),
        b"a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
        b"d: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n",
        None,
    ],
)
def test_what_is_no_yaml_or_too_much_is_refused(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "c2d-box.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match="C2D-BOXFILE-UNREADABLE"):
        read_box_file(file)


def test_a_syntax_error_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "c2d-box.yaml"
    file.write_text("ports:\n  s3: 1\n bad\n")
    with pytest.raises(UsageError, match="line 3"):
        read_box_file(file)
