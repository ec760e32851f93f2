"""The description of the API says what the Provider does, and nothing it does not do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from c2d_box.provider.app import build_provider_app
from c2d_box.provider.requests import fields
from c2d_box.provider.route_table import ENDPOINTS
from c2d_box.provider.routing import Endpoint
from tests.harness.provider_app import ProviderClient, provider_settings


@pytest.fixture
def client(tmp_path: Path) -> ProviderClient:
    return ProviderClient(build_provider_app(provider_settings(tmp_path)))


@pytest.fixture
def spec(client: ProviderClient) -> Any:
    answer = client("GET", "/spec")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_every_route_is_described_and_nothing_else(client: ProviderClient, spec: Any) -> None:
    described = {(method.upper(), path) for path, entry in spec["paths"].items() for method in entry}
    served = {
        (method, route.path)
        for route in client.app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert described == served


def test_identifiers_are_unique(spec: Any) -> None:
    identifiers = [
        operation["operationId"] for entry in spec["paths"].values() for operation in entry.values()
    ]
    assert len(identifiers) == len(set(identifiers))


def test_references_lead_somewhere(spec: Any) -> None:
    schemas = spec["components"]["schemas"]
    found = set(re.findall(r"#/components/schemas/(\w+)", str(spec)))
    assert found and found <= set(schemas)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda entry: entry.operation_id)
def test_what_a_rule_requires_is_described_as_required(
    client: ProviderClient, spec: Any, endpoint: Endpoint
) -> None:
    operation = spec["paths"][endpoint.path][endpoint.method.lower()]
    described = {entry["name"]: entry["required"] for entry in operation.get("parameters", [])}
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = content.get("schema", {})
    for rule in endpoint.operation.rules:
        required = fields.required in rule.rules
        if "." in rule.name:
            outer, _, inner = rule.name.partition(".")
            shape = schema["properties"][outer]
            shape = (
                spec["components"]["schemas"][shape["$ref"].rpartition("/")[2]] if "$ref" in shape else shape
            )
            assert inner in shape["properties"]
        elif "query" in endpoint.operation.takes and "body" not in endpoint.operation.takes:
            assert described[rule.name] == required
        else:
            assert (rule.name in schema.get("required", [])) == required


def test_only_the_download_refuses_a_range_without_a_body(spec: Any) -> None:
    refusals = {
        operation["operationId"]: "content" in operation["responses"]["416"]
        for entry in spec["paths"].values()
        for operation in entry.values()
        if "416" in operation["responses"]
    }
    assert refusals == {"download": False, "computeResult": True, "grant": True}


def test_the_page_shows_every_endpoint_and_loads_nothing(client: ProviderClient, spec: Any) -> None:
    answer = client("GET", "/api/docs/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for entry in spec["paths"].values():
        for operation in entry.values():
            assert f"id='{operation['operationId']}'" in answer.text
    assert not re.search(r"<script|<link|<img|@import|url\(|src=", answer.text)
    anchors = set(re.findall(r"href='#([^']+)'", answer.text))
    identifiers = re.findall(r"id='?([\w-]+)'?", answer.text)
    assert anchors <= set(identifiers) and len(identifiers) == len(set(identifiers))
    shown = re.findall(r"<a href='#([^']+)'", answer.text.partition("</nav>")[0])
    assert len(shown) == len(set(shown))
