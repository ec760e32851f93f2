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
from c2d_box.operator_service.admin import AdminApi, AdminRefusal
from c2d_box.operator_service.arguments import Arguments, OperatorRefusal, require_arguments, text_argument
from c2d_box.operator_service.callers import SignatureVerifier
from c2d_box.operator_service.database import JobDatabase
from c2d_box.operator_service.heartbeat import EngineHeartbeat
from c2d_box.operator_service.jobs import JobIndex, ListingPage, is_job_of
from c2d_box.operator_service.live_logs import JobLogs, is_followed
from c2d_box.operator_service.registering import JobRegistrar
from c2d_box.operator_service.results import StoredResults
from c2d_box.operator_service.settings import OperatorSettings
from c2d_box.service.liveness import LIVEZ
from c2d_box.service.request_body import BodyRefused, answer_refused_body, read_body
from c2d_box.workflow.resource import WORKFLOWS, WorkFlow

PREFIX = "/api/v1/operator"
"""Path of the original's API, which Providers call."""
VERSION = "2.0.0"
"""Version that ``GET /`` announces; the original's last one is 1.0.1."""
Handler = Callable[[Request], Awaitable[Response]]


class OperatorService:
    """The routes for everybody and for Providers. Docstrings of handlers become descriptions in ``/spec``."""

    def __init__(
        self,
        settings: OperatorSettings,
        cluster: Cluster,
        jobs: JobIndex,
        database: JobDatabase,
        callers: SignatureVerifier,
        results: StoredResults,
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._jobs = jobs
        self._database = database
        self._callers = callers
        self._results = results
        self._heartbeat = EngineHeartbeat(cluster)
        self._registrar = JobRegistrar(settings, cluster, jobs)
        self._logs = JobLogs(cluster, results, jobs, settings.log_bytes)
        # The same logs and jobs as for Providers: the operator sees more of them, not other ones.
        self._admin = AdminApi(settings.secrets_dir, jobs, database, self._logs)

    def operator_routes(self) -> list[Route]:
        """Return all routes. ``/spec`` and ``/api/v1/docs/`` are made from this same list."""
        return [
            Route("/", self.root),
            # Alive without Kubernetes: a restart would not bring it back, and would end every open stream.
            LIVEZ,
            Route("/readyz", self.healthz),
            # Kept for clients that ask there already.
            Route("/healthz", self.healthz),
            Route("/healthz/database", self.healthz_database),
            Route(f"{PREFIX}/compute", self.start_job, methods=["POST"]),
            Route(f"{PREFIX}/compute", self.job_status, methods=["GET"]),
            Route(f"{PREFIX}/compute", self.stop_jobs, methods=["PUT"]),
            Route(f"{PREFIX}/compute", self.delete_job, methods=["DELETE"]),
            Route(f"{PREFIX}/getResult", self.job_result),
            Route(f"{PREFIX}/environments", self.list_environments),
            Route(f"{PREFIX}/logs", self.job_logs),
            Route(f"{PREFIX}/events", self.job_events),
            Route("/spec", self.spec),
            Route("/api/v1/docs/", self.docs),
            *self._admin.admin_routes(PREFIX),
        ]

    # -- for everybody

    async def root(self, _: Request) -> Response:
        """What this is."""
        # One number each, as in the original, though environments differ: the largest.
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
        return JSONResponse({"ready": self._jobs.is_ready}, 200 if self._jobs.is_ready else 503)

    async def healthz_database(self, _: Request) -> Response:
        """200 while PostgreSQL answers too. No probe of Kubernetes: without it what is open stays open."""
        async with self._database.session():
            return JSONResponse({"ready": True})

    async def spec(self, _: Request) -> Response:
        """This list of routes, as OpenAPI."""
        return JSONResponse(description.describe_operator_api(self.operator_routes(), VERSION))

    async def docs(self, _: Request) -> Response:
        """This list of routes, for people."""
        return HTMLResponse(
            description.operator_api_page(description.describe_operator_api(self.operator_routes(), VERSION))
        )

    async def list_environments(self, request: Request) -> Response:
        """What there is to run jobs in, with how much of it is taken."""
        arguments = given.read_arguments(request, await self._read_body(request))
        chain = arguments.get("chainId")
        # One service serves one chain. For another one there are no environments, which is no error.
        if chain is not None and str(chain) != str(self._settings.chain_id):
            return JSONResponse([])
        # One lease for all: the engine that leads serves all environments.
        seen = await self._heartbeat.last_seen()
        return JSONResponse(
            [
                entry.announced(current_jobs=self._jobs.running_count(entry.id), last_seen=seen)
                for entry in self._settings.environments
                if entry.takes_chain(self._settings.chain_id)
            ]
        )

    # -- for Providers

    async def start_job(self, request: Request) -> Response:
        """Registers a job; the same ``jobId`` again is the same job."""
        content = await self._read_body(request)
        arguments = given.read_arguments(request, content)

        # Passed as a function: checks that come before it, in the original's order, must not use up the
        # nonce. For a start the original's signature covers owner and nonce alone.
        async def authenticate() -> str:
            """Return the caller of this start, and use up its nonce."""
            return await self._callers.check_caller(request, content, arguments, str(arguments["owner"]), "")

        return JSONResponse(await self._registrar.register_job(arguments, authenticate))

    async def job_status(self, request: Request) -> Response:
        """Jobs by ``jobId``, ``agreementId`` or ``owner``, newest first, in pages (``limit``, ``before``)."""
        arguments, caller = await self._signed_arguments(request)
        if not self._jobs.is_listed:  # else a job would be said not to exist
            raise OperatorRefusal(503, "The jobs are not known yet, try again.")
        job, agreement, owner = (text_argument(arguments, key) for key in ("jobId", "agreementId", "owner"))
        if job is None and agreement is None and owner is None:
            raise OperatorRefusal(400, "You have to specify one of agreementId, jobId or owner")
        chain = arguments.get("chainId")
        # Jobs of another chain are not here, which is no error.
        if chain not in (None, "") and str(chain) != str(self._settings.chain_id):
            return JSONResponse([])
        page = ListingPage.read_page(arguments)
        found = await self._jobs.find_jobs(
            job=job, agreement=agreement, owner=owner, provider=self._provider_scope(caller), page=page
        )
        return JSONResponse(found)

    async def stop_jobs(self, request: Request) -> Response:
        """Only what is named: without job and order the original stopped everything the owner had."""
        arguments, caller = await self._signed_arguments(request, ("owner",), "PUT:/compute")
        chosen = self._chosen_jobs(arguments, caller)
        for workflow in chosen:
            # A stop is a wish in the spec; the engine acts on it. Repeating it changes nothing.
            if not workflow.finished and not workflow.spec.stop:
                try:
                    self._jobs.put_job(
                        await self._cluster.patch(WORKFLOWS, workflow.name, {"spec": {"stop": True}})
                    )
                except (ObjectGone, VersionConflict):
                    # The job went away meanwhile: there is nothing left to stop.
                    continue
        job, agreement = text_argument(arguments, "jobId"), text_argument(arguments, "agreementId")
        owner = str(arguments["owner"])
        found = await self._jobs.find_jobs(
            job=job, agreement=agreement, owner=owner, provider=self._provider_scope(caller)
        )
        return JSONResponse(found)

    async def delete_job(self, request: Request) -> Response:
        """Signed, unlike the original's, because unlike the original's it does something."""
        arguments, caller = await self._signed_arguments(request, ("owner", "jobId"), "DELETE:/compute")
        for workflow in self._chosen_jobs(arguments, caller):
            # The engine's finalizer keeps the WorkFlow until the job is cleaned up.
            await self._cluster.delete(WORKFLOWS, workflow.name, uid=workflow.uid)
        return JSONResponse("")

    async def job_result(self, request: Request) -> Response:
        """One result as a stream; ``Range`` is honoured."""
        arguments, caller = await self._signed_arguments(
            request, ("owner", "index", "jobId"), "GET:/getResult"
        )
        workflow, owner = self._started_by(caller, str(arguments["jobId"])), str(arguments["owner"])
        try:
            index = int(arguments["index"])
        except (TypeError, ValueError) as error:
            raise OperatorRefusal(400, f"Error getResult: {error}") from None
        listed = (workflow.status.results or ()) if workflow is not None else ()
        # One answer for a job that does not exist, is another owner's or has no
        # results: a stranger learns nothing.
        if workflow is None or workflow.spec.owner.lower() != owner.lower() or not listed:
            raise OperatorRefusal(404, f"Owner {owner} mismatch for job {arguments['jobId']}")
        # Python would count from the end.
        if index < 0:
            raise OperatorRefusal(404, f"Negative index {index}")
        if index >= len(listed):
            raise OperatorRefusal(404, f"No such index {index} in this compute job")
        return await self._results.stream_result(workflow.job, listed[index], request.headers.get("range"))

    async def job_logs(self, request: Request) -> Response:
        """A job's log (``component``), live while it runs (``follow``), from its results afterwards."""
        # The original has one path for owners and for the operator.
        if self._admin.is_asked(request):
            return await self._admin.job_logs(request)
        arguments, caller = await self._signed_arguments(
            request, ("owner", "jobId", "component"), "GET:/logs"
        )
        workflow = self._owned_job(arguments, caller)
        lines = await self._logs.open_log(
            workflow, str(arguments["component"]), follow=is_followed(arguments)
        )
        return StreamingResponse(lines, media_type="text/plain; charset=utf-8")

    async def job_events(self, request: Request) -> Response:
        """Every status change of the Provider's own jobs, as server-sent events."""
        # Signed once, at the beginning: the stream stays this caller's until it ends.
        caller = await self._callers.check_caller(request, b"", dict(request.query_params), "", "")
        # Proxies would otherwise collect events before they pass them on.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        news = events.stream_events(self._jobs, self._provider_scope(caller))
        return StreamingResponse(news, media_type="text/event-stream", headers=headers)

    # -- shared by the handlers

    async def _read_body(self, request: Request) -> bytes:
        """Return the body, of at most ``bodyBytes``. Raises BodyRefused."""
        return await read_body(request, self._settings.body_bytes)

    async def _signed_arguments(
        self, request: Request, keys: tuple[str, ...] = (), call: str = ""
    ) -> tuple[Arguments, str]:
        """Return arguments and caller; ``owner`` and ``jobId`` are part of what the original's signature
        covers.
        """
        content = await self._read_body(request)
        arguments = given.read_arguments(request, content)
        # Before the signature, as in the original; a call without its arguments uses up no nonce.
        require_arguments(arguments, keys, call)
        owner, job = str(arguments.get("owner") or ""), str(arguments.get("jobId") or "")
        return arguments, await self._callers.check_caller(request, content, arguments, owner, job)

    def _provider_scope(self, caller: str) -> str | None:
        """Return the Provider whose jobs a call is limited to; None where signatures are not required."""
        return caller if self._settings.signature_required else None

    def _started_by(self, caller: str, job: str) -> WorkFlow | None:
        """Return the job if this Provider started it, else None as for a job that does not exist."""
        # From the copy of the jobs, without a question to Kubernetes.
        workflow, provider = self._jobs.get_job(job), self._provider_scope(caller)
        return None if workflow is None or (provider and not is_job_of(workflow, provider)) else workflow

    def _owned_job(self, arguments: Arguments, caller: str) -> WorkFlow:
        """Return the job named in the arguments. Raises OperatorRefusal unless
        Provider and owner are its own.
        """
        workflow, owner = self._started_by(caller, str(arguments["jobId"])), str(arguments["owner"])
        if workflow is None or workflow.spec.owner.lower() != owner.lower():
            raise OperatorRefusal(404, f"Owner {owner} mismatch for job {arguments['jobId']}")
        return workflow

    def _chosen_jobs(self, arguments: Arguments, caller: str) -> list[WorkFlow]:
        """Return the jobs that the arguments name, by id or by order, always of this owner and Provider."""
        job, agreement = text_argument(arguments, "jobId"), text_argument(arguments, "agreementId")
        # Without either the original chose everything the owner had.
        if job is None and agreement is None:
            raise OperatorRefusal(400, "You have to specify one of agreementId or jobId")
        # The owner always counts, so a guessed job id stops nobody else's job.
        owner, provider = str(arguments["owner"]).lower(), self._provider_scope(caller)
        return [
            entry
            for entry in self._jobs.all_jobs()
            if entry.spec.owner.lower() == owner
            and (provider is None or is_job_of(entry, provider))
            and (job is None or entry.job == job)
            and (agreement is None or entry.spec.agreement_id == agreement)
        ]


def build_operator_app(service: OperatorService) -> Starlette:
    """Return the application, with each kind of failure answered in the original's form.

    Routes raise, and only the handlers here turn exceptions into answers.
    """

    async def refused(_: Request, error: Exception) -> Response:
        """Answer a refusal with its own status, as JSON."""
        assert isinstance(error, OperatorRefusal)
        return JSONResponse({"error": error.text}, error.status)

    async def admin_refused(_: Request, error: Exception) -> Response:
        """Answer a refused call of the operator."""
        assert isinstance(error, AdminRefusal)
        # The original's admin routes answer in plain text.
        return PlainTextResponse(f"{error.words}\nstatus code: {error.status}", error.status)

    async def cluster_failed(_: Request, error: Exception) -> Response:
        """Answer 503 where Kubernetes failed: the call may be repeated."""
        assert isinstance(error, ClusterError)
        # Without the cause: it may name objects and addresses of the cluster.
        return JSONResponse({"error": f"{error.code}: Kubernetes did not answer as expected."}, 503)

    return Starlette(
        routes=service.operator_routes(),
        exception_handlers={
            OperatorRefusal: refused,
            BodyRefused: answer_refused_body,
            AdminRefusal: admin_refused,
            ClusterError: cluster_failed,
        },
    )
