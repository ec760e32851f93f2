"""Makes an OpenAPI 3.1 document from the route table."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from c2d_box.provider.openapi.operations import ANY, JSON, PARAMETERS, ApiOperation, SuccessResponse
from c2d_box.provider.openapi.schemas import SCHEMAS, SIGNATURE, Schema, schema_ref
from c2d_box.provider.requests import fields
from c2d_box.provider.routing import Endpoint

_ALWAYS = (414, 429, 431)
"""Statuses with which the middleware (``EdgeMiddleware``) may answer before any handler is called."""
# Only where a body is read: it can come too slowly or be too large.
_WITH_BODY = (408, 413)
_INTRODUCTION = (
    "Ocean's Provider, version {version} of its wire contract, for chain {chain}. Parameters stand in the "
    "query if there is any query at all, else in the JSON body. A signature is EIP-191 over the keccak256 of "
    "the signed text followed by the nonce; an AuthToken header may stand in for it."
)


def describe_provider_api(
    endpoints: Iterable[Endpoint], *, version: str, chain_id: int, url: str
) -> dict[str, Any]:
    """Return the OpenAPI document of these endpoints. schemathesis tests the running Provider against it,
    so it has to be complete: an undocumented status fails a test."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation_object(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Provider",
            "version": version,
            "description": _INTRODUCTION.format(version=version, chain=chain_id),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "AuthToken": {"type": "apiKey", "in": "header", "name": "AuthToken"},
                "Grant": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation_object(endpoint: Endpoint) -> dict[str, Any]:
    """Return the OpenAPI object of one endpoint."""
    about = endpoint.operation
    described: dict[str, Any] = {
        "operationId": endpoint.operation_id,
        "tags": [about.group],
        "summary": about.title,
        "description": _operation_description(endpoint),
        "responses": {str(status): _success_response(answer) for status, answer in about.answers.items()}
        | {str(status): _refusal_response(about, status) for status in _refusal_statuses(endpoint)},
    }
    if "query" in about.takes and (parameters := _parameter_objects(about)):
        described["parameters"] = parameters
    if (body := _body_schema(about)) is not None:
        described["requestBody"] = {
            "content": {about.body_type: {"schema": body}},
            "required": "query" not in about.takes or about.body is not None,
        }
    # A job's pod presents its grant; nobody else calls these.
    if about.group == "Jobs":
        described["security"] = [{"Grant": []}]
    # The empty requirement means that a token is optional: a signature is a parameter, not a scheme of
    # OpenAPI.
    elif about.signed and not _is_required(about, "signature"):
        described["security"] = [{}, {"AuthToken": []}]
    return described


def _operation_description(endpoint: Endpoint) -> str:
    """Return the handler's docstring and the text to be signed. So the docstrings of routes are public
    texts."""
    text = " ".join((inspect.getdoc(endpoint.handler) or "").split())
    signed = endpoint.operation.signed
    return f"{text} Signed: {signed} + nonce.".strip() if signed else text


def _parameter_objects(about: ApiOperation) -> list[dict[str, Any]]:
    """Return the parameters as they stand in the query."""
    optional_anyway = "body" in about.takes  # the same parameters may come in the body
    return [
        {
            "name": name,
            "in": "query",
            "required": _is_required(about, name) and not optional_anyway,
            "schema": _in_query(schema),
            **({"description": schema["description"]} if "description" in schema else {}),
        }
        for name, schema in _known_parameters(about).items()
    ]


def _body_schema(about: ApiOperation) -> Schema | None:
    """Return the schema of the request's body, None where it has none."""
    if about.body is not None:
        return about.body
    if "body" not in about.takes:
        return None
    required = [name for name in _known_parameters(about) if _is_required(about, name)]
    return {"type": "object", "properties": _known_parameters(about), "required": required}


def _known_parameters(about: ApiOperation) -> dict[str, Schema]:
    """Return the schemas of the operation's parameters by name, those of the validation rules first."""
    # Names with a dot are parts of objects, which the object's own schema describes.
    names = [rule.name for rule in about.rules if "." not in rule.name] + list(about.optional)
    signed = {"signature": SIGNATURE} if about.signed and "signature" not in names else {}
    return {name: PARAMETERS[name] for name in names} | signed


def _in_query(schema: Schema) -> Schema:
    """Return the schema of a parameter as it stands in a query, where all values are text."""
    kinds = schema.get("type")
    return {**schema, "type": "string"} if isinstance(kinds, list) else schema


def _is_required(about: ApiOperation, name: str) -> bool:
    """Return whether a validation rule demands the parameter. The same rule refuses the request, so
    document and behaviour agree."""
    return any(rule.name == name and fields.required in rule.rules for rule in about.rules)


def _refusal_statuses(endpoint: Endpoint) -> list[int]:
    """Return the error statuses of an endpoint, including those that come from around its handler."""
    about = endpoint.operation
    with_body = _WITH_BODY if about.body is not None or "body" in about.takes else ()
    return sorted({*about.refusals, *_ALWAYS, *with_body})


def _success_response(answer: SuccessResponse) -> dict[str, Any]:
    """Return the OpenAPI object of a successful answer; files come with the name to save them under."""
    content: dict[str, Any] = {"schema": answer.schema} if answer.content == JSON else {}
    headers = {"Content-Disposition": {"schema": {"type": "string"}}} if answer.content == ANY else {}
    described = {"description": answer.text, "content": {answer.content: content}}
    return {**described, "headers": headers} if headers else described


def _refusal_response(about: ApiOperation, status: int) -> dict[str, Any]:
    """Return the OpenAPI object of an error. A 400 has one of two shapes."""
    schema = {"anyOf": [schema_ref("Invalid"), schema_ref("Error")]} if status == 400 else schema_ref("Error")
    if status in about.bodiless:
        return {"description": HTTPStatus(status).phrase}
    return {"description": HTTPStatus(status).phrase, "content": {JSON: {"schema": schema}}}
