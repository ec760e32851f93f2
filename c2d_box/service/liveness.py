"""Answers ``GET /livez``: that the process takes requests. Nothing else is checked.

Kubernetes kills a pod whose liveness fails. So it must not depend on anything outside of the process: a chain
that is away for a minute would end downloads, logs and the staging of running jobs, again and again.
``/readyz`` says whether a service has what it needs for its work; ``/healthz`` stays for clients that
already ask there.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


async def livez(_: Request) -> Response:
    """The process takes requests and answers them."""
    return JSONResponse({"live": True})


LIVEZ = Route("/livez", livez)
