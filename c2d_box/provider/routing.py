"""The route table: the one list from which routes, service discovery and the API's description are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from c2d_box.provider.openapi.operations import ApiOperation

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Endpoint:
    """One route with its handler and description. ``name`` is the one by which clients find it in service
    discovery; without a name it is not listed there, because clients count the names."""

    method: str
    path: str
    handler: Handler
    operation: ApiOperation
    # The name is a public contract: clients look endpoints up by it and build no paths themselves.
    name: str | None = None

    @property
    def operation_id(self) -> str:
        """The id of the operation in the OpenAPI document: the public name, else the handler's."""
        return self.name or self.handler.__name__


def endpoint_routes(endpoints: Iterable[Endpoint]) -> list[Route]:
    """Return the routes for Starlette, in the order of the table: the first match wins."""
    return [Route(entry.path, entry.handler, methods=[entry.method]) for entry in endpoints]


def listed_endpoints(endpoints: Iterable[Endpoint]) -> dict[str, list[str]]:
    """Return method and path by name, as service discovery shows them."""
    return {entry.name: [entry.method, entry.path] for entry in endpoints if entry.name}
