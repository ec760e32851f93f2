"""``GET /livez``: whether the process turns, and nothing else.

Kubernetes kills a pod whose liveness fails. So it must not depend on anything outside of the process: a chain
that is away for a minute would end downloads, logs and the staging of running jobs, again and again. What a
service needs for its duties is told at ``/readyz``; ``/healthz`` stays for who asked there before.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


async def livez(_: Request) -> Response:
    """The process takes requests and answers them."""
    return JSONResponse({"live": True})


LIVEZ = Route("/livez", livez)
