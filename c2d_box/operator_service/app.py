"""The routes, by the original's table; each handler reads as its line there: arguments, signature, answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from c2d_box.kubernetes.port import Cluster, ClusterError, ObjectGone, VersionConflict
from c2d_box.operator_service import arguments as given
from c2d_box.operator_service import description, events
from c2d_box.operator_service.admin import Admin, AdminRefusal
from c2d_box.operator_service.arguments import Arguments, Refusal, require, text
from c2d_box.operator_service.callers import Callers
from c2d_box.operator_service.database import Database
from c2d_box.operator_service.heartbeat import Heartbeat
from c2d_box.operator_service.jobs import Jobs, Page, is_of
from c2d_box.operator_service.live_logs import Logs, followed
from c2d_box.operator_service.registering import Registrar
from c2d_box.operator_service.results import Results
from c2d_box.operator_service.settings import Settings
from c2d_box.service.liveness import LIVEZ
from c2d_box.service.request_body import BodyRefused, answer_refused_body, read_body
from c2d_box.workflow.resource import WORKFLOWS, WorkFlow

PREFIX = "/api/v1/operator"
VERSION = "2.0.0"
"""The original stopped at 1.0.1."""
Handler = Callable[[Request], Awaitable[Response]]


class Service:
    """The routes for everybody and for Providers. Docstrings of handlers become descriptions in ``/spec``."""

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        jobs: Jobs,
        database: Database,
        callers: Callers,
        results: Results,
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._jobs = jobs
        self._database = database
        self._callers = callers
        self._results = results
        self._heartbeat = Heartbeat(cluster)
        self._registrar = Registrar(settings, cluster, jobs)
        self._logs = Logs(cluster, results, jobs, settings.log_bytes)
        self._admin = Admin(settings.secrets_dir, jobs, database, self._logs)

    def routes(self) -> list[Route]:
        return [
            Route("/", self.root),
            LIVEZ,
            Route("/readyz", self.healthz),
            Route("/healthz", self.healthz),
            Route("/healthz/database", self.healthz_database),
            Route(f"{PREFIX}/compute", self.start, methods=["POST"]),
            Route(f"{PREFIX}/compute", self.status, methods=["GET"]),
            Route(f"{PREFIX}/compute", self.stop, methods=["PUT"]),
            Route(f"{PREFIX}/compute", self.delete, methods=["DELETE"]),
            Route(f"{PREFIX}/getResult", self.result),
            Route(f"{PREFIX}/environments", self.environments),
            Route(f"{PREFIX}/logs", self.logs),
            Route(f"{PREFIX}/events", self.events),
            Route("/spec", self.spec),
            Route("/api/v1/docs/", self.docs),
            *self._admin.routes(PREFIX),
        ]

    # -- for everybody

    async def root(self, _: Request) -> Response:
        """What this is."""
        longest = max((entry.max_job_duration for entry in self._settings.environments), default=None)
        expiry = max((entry.storage_expiry for entry in self._settings.environments), default=None)
        return JSONResponse(
            {
                "software": "Operator service",
                "version": VERSION,
                "address": self._settings.address,
                "algoTimeLimit": longest,
                "storageExpiry": expiry,
            }
        )

    async def healthz(self, _: Request) -> Response:
        """200 once the jobs in Kubernetes are known."""
        return JSONResponse({"ready": self._jobs.ready}, 200 if self._jobs.ready else 503)

    async def healthz_database(self, _: Request) -> Response:
        """200 while PostgreSQL answers too. No probe of Kubernetes: without it what is open stays open."""
        async with self._database.session():
            return JSONResponse({"ready": True})

    async def spec(self, _: Request) -> Response:
        """This list of routes, as OpenAPI."""
        return JSONResponse(description.openapi(self.routes(), VERSION))

    async def docs(self, _: Request) -> Response:
        """This list of routes, for people."""
        return HTMLResponse(description.page(description.openapi(self.routes(), VERSION)))

    async def environments(self, request: Request) -> Response:
        """What there is to run jobs in, with how much of it is taken."""
        arguments = given.read(request, await self._body(request))
        chain = arguments.get("chainId")
        if chain is not None and str(chain) != str(self._settings.chain_id):
            return JSONResponse([])
        seen = await self._heartbeat.last_seen()
        return JSONResponse(
            [
                entry.announced(current_jobs=self._jobs.running(entry.id), last_seen=seen)
                for entry in self._settings.environments
                if entry.takes_chain(self._settings.chain_id)
            ]
        )

    # -- for Providers

    async def start(self, request: Request) -> Response:
        """Registers a job; the same ``jobId`` again is the same job."""
        content = await self._body(request)
        arguments = given.read(request, content)

        async def authenticate() -> str:
            return await self._callers.check(request, content, arguments, str(arguments["owner"]), "")

        return JSONResponse(await self._registrar.register(arguments, authenticate))

    async def status(self, request: Request) -> Response:
        """Jobs by ``jobId``, ``agreementId`` or ``owner``, newest first, in pages (``limit``, ``before``)."""
        arguments, caller = await self._signed(request)
        if not self._jobs.listed:  # else a job would be said not to exist
            raise Refusal(503, "The jobs are not known yet, try again.")
        job, agreement, owner = (text(arguments, key) for key in ("jobId", "agreementId", "owner"))
        if job is None and agreement is None and owner is None:
            raise Refusal(400, "You have to specify one of agreementId, jobId or owner")
        chain = arguments.get("chainId")
        if chain not in (None, "") and str(chain) != str(self._settings.chain_id):
            return JSONResponse([])
        page = Page.read(arguments)
        found = await self._jobs.find(
            job=job, agreement=agreement, owner=owner, provider=self._scope(caller), page=page
        )
        return JSONResponse(found)

    async def stop(self, request: Request) -> Response:
        """Only what is named: without job and order the original stopped everything the owner had."""
        arguments, caller = await self._signed(request, ("owner",), "PUT:/compute")
        chosen = self._chosen(arguments, caller)
        for workflow in chosen:
            if not workflow.finished and not workflow.spec.stop:
                try:
                    self._jobs.put(
                        await self._cluster.patch(WORKFLOWS, workflow.name, {"spec": {"stop": True}})
                    )
                except (ObjectGone, VersionConflict):
                    continue
        job, agreement = text(arguments, "jobId"), text(arguments, "agreementId")
        owner = str(arguments["owner"])
        found = await self._jobs.find(job=job, agreement=agreement, owner=owner, provider=self._scope(caller))
        return JSONResponse(found)

    async def delete(self, request: Request) -> Response:
        """Signed, unlike the original's, because unlike the original's it does something."""
        arguments, caller = await self._signed(request, ("owner", "jobId"), "DELETE:/compute")
        for workflow in self._chosen(arguments, caller):
            await self._cluster.delete(WORKFLOWS, workflow.name, uid=workflow.uid)
        return JSONResponse("")

    async def result(self, request: Request) -> Response:
        """One result as a stream; ``Range`` is honoured."""
        arguments, caller = await self._signed(request, ("owner", "index", "jobId"), "GET:/getResult")
        workflow, owner = self._started_by(caller, str(arguments["jobId"])), str(arguments["owner"])
        try:
            index = int(arguments["index"])
        except (TypeError, ValueError) as error:
            raise Refusal(400, f"Error getResult: {error}") from None
        listed = (workflow.status.results or ()) if workflow is not None else ()
        if workflow is None or workflow.spec.owner.lower() != owner.lower() or not listed:
            raise Refusal(404, f"Owner {owner} mismatch for job {arguments['jobId']}")
        if index < 0:
            raise Refusal(404, f"Negative index {index}")
        if index >= len(listed):
            raise Refusal(404, f"No such index {index} in this compute job")
        return await self._results.stream(workflow.job, listed[index], request.headers.get("range"))

    async def logs(self, request: Request) -> Response:
        """A job's log (``component``), live while it runs (``follow``), from its results afterwards."""
        if self._admin.is_asked(request):
            return await self._admin.logs(request)
        arguments, caller = await self._signed(request, ("owner", "jobId", "component"), "GET:/logs")
        workflow = self._owned(arguments, caller)
        lines = await self._logs.open(workflow, str(arguments["component"]), follow=followed(arguments))
        return StreamingResponse(lines, media_type="text/plain; charset=utf-8")

    async def events(self, request: Request) -> Response:
        """Every status change of the Provider's own jobs, as server-sent events."""
        caller = await self._callers.check(request, b"", dict(request.query_params), "", "")
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        news = events.stream(self._jobs, self._scope(caller))
        return StreamingResponse(news, media_type="text/event-stream", headers=headers)

    # -- shared by the handlers

    async def _body(self, request: Request) -> bytes:
        return await read_body(request, self._settings.body_bytes)

    async def _signed(
        self, request: Request, keys: tuple[str, ...] = (), call: str = ""
    ) -> tuple[Arguments, str]:
        """Return arguments and caller; ``owner`` and ``jobId`` are part of what the original's signature
        covers.
        """
        content = await self._body(request)
        arguments = given.read(request, content)
        require(arguments, keys, call)
        owner, job = str(arguments.get("owner") or ""), str(arguments.get("jobId") or "")
        return arguments, await self._callers.check(request, content, arguments, owner, job)

    def _scope(self, caller: str) -> str | None:
        """Return the Provider whose jobs a call is limited to; None where signatures are not required."""
        return caller if self._settings.signature_required else None

    def _started_by(self, caller: str, job: str) -> WorkFlow | None:
        workflow, provider = self._jobs.get(job), self._scope(caller)
        return None if workflow is None or (provider and not is_of(workflow, provider)) else workflow

    def _owned(self, arguments: Arguments, caller: str) -> WorkFlow:
        workflow, owner = self._started_by(caller, str(arguments["jobId"])), str(arguments["owner"])
        if workflow is None or workflow.spec.owner.lower() != owner.lower():
            raise Refusal(404, f"Owner {owner} mismatch for job {arguments['jobId']}")
        return workflow

    def _chosen(self, arguments: Arguments, caller: str) -> list[WorkFlow]:
        job, agreement = text(arguments, "jobId"), text(arguments, "agreementId")
        if job is None and agreement is None:
            raise Refusal(400, "You have to specify one of agreementId or jobId")
        owner, provider = str(arguments["owner"]).lower(), self._scope(caller)
        return [
            entry
            for entry in self._jobs.all()
            if entry.spec.owner.lower() == owner
            and (provider is None or is_of(entry, provider))
            and (job is None or entry.job == job)
            and (agreement is None or entry.spec.agreement_id == agreement)
        ]


def application(service: Service) -> Starlette:
    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return JSONResponse({"error": error.text}, error.status)

    async def admin_refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, AdminRefusal)
        return PlainTextResponse(f"{error.words}\nstatus code: {error.status}", error.status)

    async def cluster_failed(_: Request, error: Exception) -> Response:
        assert isinstance(error, ClusterError)
        return JSONResponse({"error": f"{error.code}: Kubernetes did not answer as expected."}, 503)

    return Starlette(
        routes=service.routes(),
        exception_handlers={
            Refusal: refused,
            BodyRefused: answer_refused_body,
            AdminRefusal: admin_refused,
            ClusterError: cluster_failed,
        },
    )
