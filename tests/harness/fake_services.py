"""The services around Provider and cache: a publisher's file server, and a fake operator-service that speaks
the reference's API and checks both signatures.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from c2d_box.assets.crypto import signatures

PROVIDER_KEY = "0xfd5c1ccea015b6d663618850824154a3b3fb2882c46cefb05b9a93fea8c3d215"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class BackgroundServer:
    """Serves an ASGI application in a thread."""

    def __init__(self, app: Starlette) -> None:
        self.port = free_port()
        config = uvicorn.Config(app, "127.0.0.1", self.port, log_level="critical", ws="none", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> BackgroundServer:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)


@dataclass
class FileServer:
    """A publisher's file server: ``content`` is what it serves; it keeps every request."""

    content: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    url: str = ""

    def file_app(self) -> Starlette:
        async def serve(request: Request) -> Response:
            name = request.path_params["name"]
            self.requests.append((request.method, name, dict(request.headers)))
            self.bodies.append(await request.body())
            if name == "elsewhere":
                return Response(status_code=302, headers={"location": request.query_params["to"]})
            if name.startswith("big-"):
                return _big_response(int(name.removeprefix("big-")))
            if name not in self.content:
                return Response(status_code=404)
            return _range_response(self.content[name], request.headers.get("range"))

        return Starlette(routes=[Route("/{name:path}", serve, methods=["GET", "HEAD", "POST"])])


def _big_response(size: int) -> Response:
    async def chunks() -> Any:
        block, left = b"x" * 262_144, size
        while left:
            yield block[: min(left, len(block))]
            left -= min(left, len(block))

    return StreamingResponse(chunks(), headers={"content-length": str(size), "content-type": "text/csv"})


def _range_response(content: bytes, asked: str | None) -> Response:
    headers = {"content-type": "text/plain; charset=utf-8"}
    if asked is None:
        return Response(content, headers=headers)
    first, _, last = asked.removeprefix("bytes=").partition("-")
    end = int(last) if last else len(content) - 1
    if int(first) >= len(content):
        return Response(status_code=416)
    part = content[int(first) : end + 1]
    headers["content-range"] = f"bytes {first}-{end}/{len(content)}"
    return Response(part, 206, headers)


class StaticCache:
    """A metadata cache that serves the documents it is given, unchecked and unchanged."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        route = Route("/api/aquarius/assets/ddo/{did}", self._send_ddo)
        self._server = BackgroundServer(Starlette(routes=[route]))
        self.url = self._server.url

    def __enter__(self) -> StaticCache:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    async def _send_ddo(self, request: Request) -> Response:
        did = request.path_params["did"]
        level = {"c2d-indexed-block": "9" * 12}
        if did not in self.documents:
            return Response(status_code=404, headers=level)
        text = json.dumps(self.documents[did]).encode("utf-8", "surrogatepass")
        return Response(text, media_type="application/json", headers=level)


class FakeOperator:
    """A fake operator-service as the Provider sees it: jobs in memory, one unfinished job per agreement."""

    def __init__(self) -> None:
        self.environments: list[dict[str, Any]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.payloads: list[dict[str, Any]] = []
        self.granted: set[str] = set()
        self.down = False
        self.takes_no_starts = False
        """Refuse starts with 503 but answer everything else, so that a client gets as far as paying."""
        self.deaths = 0
        """Number of starts that fail with 502 after the job was made and before its grants."""
        self.provider = signatures.address_of(PROVIDER_KEY)
        self.results = {"0": b"result bytes"}
        self._waiting: list[asyncio.Queue[dict[str, Any]]] = []
        self._lock = threading.Lock()

    def operator_app(self) -> Starlette:
        prefix = "/api/v1/operator"
        return Starlette(
            routes=[
                Route(f"{prefix}/compute", self._start_job, methods=["POST"]),
                Route(f"{prefix}/compute", self._send_status, methods=["GET"]),
                Route(f"{prefix}/compute", self._stop_job, methods=["PUT"]),
                Route(f"{prefix}/compute", self._delete_job, methods=["DELETE"]),
                Route(f"{prefix}/environments", self._send_environments),
                Route(f"{prefix}/getResult", self._send_result),
                Route(f"{prefix}/events", self._send_events),
                Route(f"{prefix}/logs", self._send_logs),
            ]
        )

    def finish(self, job: str, status: int = 70) -> None:
        listed = [
            {"filename": "metrics.json", "filesize": len(content), "type": "output", "index": int(index)}
            for index, content in self.results.items()
        ]
        ended = {"statusText": "Job finished", "dateFinished": f"{time.time():.6f}", "results": listed}
        self.jobs[job].update(status=status, **ended)
        event = {"jobId": job, "status": status, "dateFinished": self.jobs[job]["dateFinished"]}
        for queue in self._waiting:
            queue.put_nowait(event)

    async def _check_signature(self, request: Request) -> bytes:
        body = await request.body()
        target = request.scope["raw_path"].decode()
        if request.scope["query_string"]:
            target += "?" + request.scope["query_string"].decode()
        nonce = request.headers["x-c2d-nonce"]
        text = f"{request.method}\n{target}\n{hashlib.sha256(body).hexdigest()}\n{nonce}"
        assert signatures.recover_signer(text, request.headers["x-c2d-signature"]) == self.provider
        return body

    def _bare(self, data: Any) -> None:
        text = f"{data['owner']}{data.get('jobId', '') if 'workflow' not in data else ''}{data['nonce']}"
        assert signatures.recover_signer(text, data["providerSignature"]) == self.provider

    async def _start_job(self, request: Request) -> Response:
        data = json.loads(await self._check_signature(request))
        self._bare(data)
        if self.down or self.takes_no_starts:
            return Response(status_code=503)
        with self._lock:
            self.payloads.append(data)
            job, orders = data["jobId"], set(data["orders"])
            running = [j for j in self.jobs.values() if orders & {*j["orders"]} and not j["dateFinished"]]
            if running and running[0]["jobId"] != job:
                return JSONResponse({"error": "`agreementId` already in use for other job."}, 400)
            if data["environment"] not in [entry["id"] for entry in self.environments]:
                return JSONResponse({"error": "Environment invalid or does not exist"}, 400)
            self.jobs.setdefault(job, _job_record(data))
            if self.deaths:
                self.deaths -= 1
                return Response(status_code=502)
            self.granted.add(job)
        return JSONResponse([self.jobs[job]])

    async def _send_status(self, request: Request) -> Response:
        await self._check_signature(request)
        self._bare(request.query_params)
        if self.down:
            return Response(status_code=503)
        found = [
            job
            for job in self.jobs.values()
            if job["owner"] == request.query_params["owner"]
            and request.query_params.get("jobId", job["jobId"]) == job["jobId"]
        ]
        return JSONResponse(found)

    async def _stop_job(self, request: Request) -> Response:
        answer = await self._send_status(request)
        for job in self.jobs.values():
            if job["jobId"] == request.query_params.get("jobId"):
                job["stopreq"] = 1
        return answer

    async def _delete_job(self, request: Request) -> Response:
        await self._check_signature(request)
        return JSONResponse("")

    async def _send_environments(self, request: Request) -> Response:
        return JSONResponse(self.environments)

    async def _send_result(self, request: Request) -> Response:
        await self._check_signature(request)
        index = request.query_params["index"]
        if index not in self.results:
            return JSONResponse({"error": f"No such index {index} in this compute job"}, 404)
        return Response(
            self.results[index],
            headers={
                "content-disposition": "attachment;filename=metrics.json",
                "content-type": "application/json",
            },
        )

    async def _send_logs(self, request: Request) -> Response:
        """Stream one log line at once and, to a follower, another when the job has ended."""
        await self._check_signature(request)
        job = self.jobs.get(request.query_params["jobId"])
        if job is None or job["owner"] != request.query_params["owner"]:
            return JSONResponse({"error": "Owner mismatch"}, 404)
        component, follow = request.query_params["component"], "follow" in request.query_params
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._waiting.append(queue)

        async def lines() -> Any:
            yield f"{component}: first\n"
            while follow and not job["dateFinished"]:
                await queue.get()
            if follow:
                yield f"{component}: last\n"

        return StreamingResponse(lines(), media_type="text/plain; charset=utf-8")

    async def _send_events(self, request: Request) -> Response:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._waiting.append(queue)

        async def stream() -> Any:
            yield ": hello\n\n"
            while True:
                yield f"data: {json.dumps(await queue.get())}\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")


def _job_record(data: dict[str, Any]) -> dict[str, Any]:
    stage = data["workflow"]["stages"][0]
    return {
        "agreementId": data["agreementId"],
        "orders": data["orders"],
        "jobId": data["jobId"],
        "owner": data["owner"],
        "status": 1,
        "statusText": "Warming up",
        "dateCreated": f"{time.time():.6f}",
        "dateFinished": None,
        "results": "",
        "stopreq": 0,
        "removed": 0,
        "algoDID": stage["algorithm"]["id"],
        "inputDID": [entry["id"] for entry in stage["input"]],
    }
