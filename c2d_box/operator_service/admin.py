"""The operator's own routes: every owner's jobs, seen with the header ``Admin``.

The original announces most of them and answers 404; what it does answer it answers to everybody.
"""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from c2d_box.operator_service.arguments import OperatorRefusal
from c2d_box.operator_service.database import JobDatabase
from c2d_box.operator_service.jobs import JobIndex, ListingPage
from c2d_box.operator_service.live_logs import JobLogs, is_followed
from c2d_box.workflow import jobtable, ocean_status
from c2d_box.workflow.resource import WorkFlow

FAILURES, FAILURE_SECONDS = 20, 60.0
"""Wrong passwords per network address, and the seconds they count; beyond that none is checked."""
_ADDRESSES = 10_000
"""Most addresses whose failures are remembered; the one that tried longest ago is forgotten first."""
Handler = Callable[[Request], Awaitable[Response]]


class AdminRefusal(Exception):
    """An admin call that is refused, with status and text of the answer."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class AdminApi:
    """The admin routes. The docstrings of its handlers are their descriptions in ``/spec``."""

    def __init__(self, secrets: Path, jobs: JobIndex, database: JobDatabase, logs: JobLogs) -> None:
        self._secrets = secrets
        self._jobs = jobs
        self._database = database
        self._logs = logs
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()
        """Moments of wrong passwords by network address: those of one must not lock the operator out at
        another.
        """

    def admin_routes(self, prefix: str) -> list[Route]:
        """Return the operator's routes but ``/logs``: owners share that path, see :meth:`is_asked`."""
        return [
            Route(f"{prefix}/info", self._admin_only(self.job_info)),
            Route(f"{prefix}/list", self._admin_only(self.list_jobs)),
            Route(f"{prefix}/runningjobs", self._admin_only(self.running_jobs)),
            Route(f"{prefix}/pgsqlinit", self._admin_only(self.init_database), methods=["POST"]),
        ]

    @staticmethod
    def is_asked(request: Request) -> bool:
        """Return whether the caller wants to be treated as the operator, with whatever password."""
        return "admin" in request.headers

    async def job_info(self, request: Request) -> Response:
        """All there is about one job: status, what was asked for, stages, isolation, storage addresses."""
        workflow = self._find_job(request)
        details = {
            "spec": workflow.spec.model_dump(by_alias=True),
            "details": workflow.status.model_dump(by_alias=True),
        }
        # The whole spec and status: only here do storage addresses leave the service.
        return JSONResponse({**ocean_status.owner_status(workflow), **details})

    async def list_jobs(self, request: Request) -> Response:
        """Jobs of all owners, newest first, page by page (``limit``, ``before``)."""
        # No filter at all: callers other than the operator must name a job, an order or an owner.
        page = ListingPage.read_page(request.query_params)
        return JSONResponse(await self._jobs.find_jobs(job=None, agreement=None, owner=None, page=page))

    async def running_jobs(self, _: Request) -> Response:
        """Every unfinished job."""
        return JSONResponse([_running_entry(workflow) for workflow in self._jobs.unfinished_jobs()])

    async def job_logs(self, request: Request) -> Response:
        """Any job's logs, live or stored."""
        # Called here, since this handler is not among the wrapped routes.
        self._demand_password(request)
        workflow = self._find_job(request)
        component = request.query_params.get("component", "algorithm")
        lines = await self._logs.open_log(workflow, component, follow=is_followed(request.query_params))
        return StreamingResponse(lines, media_type="text/plain; charset=utf-8")

    async def init_database(self, _: Request) -> Response:
        """Makes the database's tables; says whether it worked, which the original did not."""
        try:
            async with self._database.session() as session:
                # Its own tables only: the job table belongs to the engine's role.
                await jobtable.create_nonces(session)
        except (OperatorRefusal, psycopg.Error) as error:
            # The type only: the driver's message may name host and user.
            cause = error.__cause__ or error
            return HTMLResponse(f"Error PostgreSQL: {type(cause).__name__}", 500)
        return HTMLResponse("")

    def _find_job(self, request: Request) -> WorkFlow:
        """Return the job named by ``jobId``. Raises OperatorRefusal 404."""
        job = request.query_params.get("jobId", "")
        workflow = self._jobs.get_job(job)
        if workflow is None:
            # Cut, since the caller's text comes back in the answer.
            raise OperatorRefusal(404, f"There is no job {job[:40]} in Kubernetes (any more).")
        return workflow

    def _admin_only(self, handler: Handler) -> Handler:
        """Wrap a handler so that it runs only with the operator's password."""

        async def guarded(request: Request) -> Response:
            self._demand_password(request)
            return await handler(request)

        # The description in `/spec` is the docstring of the route's function.
        guarded.__doc__ = handler.__doc__
        return guarded

    def _demand_password(self, request: Request) -> None:
        """Raise AdminRefusal unless the header holds the password; after too
        many wrong ones none is compared.
        """
        offered = request.headers.get("admin", "")
        if not offered:
            raise AdminRefusal(400, "Admin header is empty.")
        # Counted by the connection's address: headers in which a proxy names another one are not believed.
        failed, now = self._recent_failures(request.client.host if request.client else ""), time.monotonic()
        # Only recent failures count.
        while failed and now - failed[0] > FAILURE_SECONDS:
            failed.popleft()
        if len(failed) >= FAILURES:
            raise AdminRefusal(429, "Too many wrong passwords, wait a minute.")
        # In constant time: the answer's delay must not tell how much of a guess was right.
        if not hmac.compare_digest(offered.encode(), self._read_password()):
            failed.append(now)
            raise AdminRefusal(401, "Access admin route failed due to invalid admin address.")

    def _recent_failures(self, address: str) -> deque[float]:
        """Return the moments of this address's wrong passwords, oldest first."""
        found = self._failed.setdefault(address, deque())
        self._failed.move_to_end(address)
        # Bounded: with IPv6 an attacker has addresses without number.
        if len(self._failed) > _ADDRESSES:
            self._failed.popitem(last=False)
        return found

    def _read_password(self) -> bytes:
        """Return the password from its file. Without one the routes are closed (503), not open."""
        # Read at each use, so that a changed Secret takes effect without a restart.
        try:
            return (self._secrets / "admin-password").read_text().strip().encode()
        except OSError:
            raise OperatorRefusal(503, "The secret admin-password is not configured.") from None


def _running_entry(workflow: WorkFlow) -> dict[str, Any]:
    """Return the few fields of a job that the original's list of running jobs has."""
    status = ocean_status.owner_status(workflow)
    kept = ("agreementId", "jobId", "owner", "status", "statusText", "dateCreated", "algoDID", "inputDID")
    return {**{key: status[key] for key in kept}, "namespace": workflow.spec.environment}
