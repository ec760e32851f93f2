"""The six services as their packages make them, with nothing behind them: no chain, cluster or database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from c2d_box.kubernetes.informer import Informer
from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.metadata.app import build_cache_app as metadata_application
from c2d_box.metadata.settings import MetadataSettings as MetadataSettings
from c2d_box.operator_engine.pod_api.evidence_signer import EvidenceSigner
from c2d_box.operator_engine.pod_api.routes import pod_application as engine_application
from c2d_box.operator_service.app import OperatorService
from c2d_box.operator_service.app import build_operator_app as operator_application
from c2d_box.operator_service.callers import SignatureVerifier
from c2d_box.operator_service.jobs import JobIndex
from c2d_box.operator_service.results import StoredResults
from c2d_box.provider.app import build_provider_app as provider_application
from c2d_box.provider.settings import ProviderSettings as ProviderSettings
from c2d_box.service.http_server import EmbeddedServer, server_config
from c2d_box.volumes.serving import provisioner_application as volumes_application
from c2d_box.workflow.resource import WORKFLOWS
from sandbox.testchain.node import open_node
from sandbox.testchain.server import NodeServer as ChainServer
from sandbox.testchain.settings import ChainNodeSettings as ChainSettings
from tests.harness.fake_services import PROVIDER_KEY
from tests.unit.operator_engine.conftest import EngineStack
from tests.unit.operator_engine.conftest import make_settings as engine_settings
from tests.unit.operator_service.conftest import NoDatabase, RememberedNonces
from tests.unit.operator_service.conftest import settings_for as operator_settings

JOB = "0123456789abcdef0123456789abcdef"
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class ServiceCase:
    """A service, a call of its that takes JSON, and the statuses with which it refuses a bad body."""

    name: str
    module: str
    application: Callable[[Path], AbstractAsyncContextManager[Starlette]]
    path: str
    malformed: int = 400
    deep: int = 400
    too_large: int = 413
    body_bytes: int = 2 << 20
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


@asynccontextmanager
async def running(app: Starlette) -> AsyncIterator[tuple[str, int]]:
    """The application on the server that each service runs on, at the address that is given."""
    server = EmbeddedServer(server_config(app, "127.0.0.1", 0, stop_seconds=1))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
        await asyncio.sleep(0.01)
    try:
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield str(host), int(port)
    finally:
        server.should_exit = True
        await task


def _chain(folder: Path) -> dict[str, Any]:
    return {"id": 8996, "rpcUrl": "http://127.0.0.1:1", "addressFile": str(folder / "none.json")}


@asynccontextmanager
async def provider(folder: Path) -> AsyncIterator[Starlette]:
    (folder / "provider-key").write_text(PROVIDER_KEY)
    (folder / "token-secret").write_text("a secret of the test, long enough")
    values = {
        "chain": _chain(folder),
        "cacheUrl": "http://127.0.0.1:1",
        "operatorServiceUrl": "http://127.0.0.1:1",
        "database": str(folder / "provider.sqlite"),
        "secretsDir": str(folder),
    }
    yield provider_application(ProviderSettings.model_validate(values))


@asynccontextmanager
async def metadata(folder: Path) -> AsyncIterator[Starlette]:
    values = {"chain": _chain(folder), "secretsDir": str(folder), "database": str(folder / "cache.sqlite")}
    yield metadata_application(MetadataSettings.model_validate(values))


@asynccontextmanager
async def operator_service(folder: Path) -> AsyncIterator[Starlette]:
    settings, cluster = operator_settings(folder), MemoryCluster()
    database, results = NoDatabase(settings.postgres, settings.secrets_dir), StoredResults(settings)
    jobs = JobIndex(Informer(cluster, WORKFLOWS), database)
    yield operator_application(
        OperatorService(
            settings, cluster, jobs, database, SignatureVerifier(settings, RememberedNonces()), results
        )
    )
    await results.close()


@asynccontextmanager
async def operator_engine(folder: Path) -> AsyncIterator[Starlette]:
    """Its one job is there, so that whoever has the job's token is heard."""
    (folder / "upload-token").write_text("kubo-token\n")
    stack = EngineStack(engine_settings(), folder)
    await stack.start()
    await stack.submit(JOB)
    await stack.node.until(lambda: stack.controller.job_cache.workflow(JOB) is not None)
    signer = EvidenceSigner(stack.settings, {}, stack.pod_reports)
    app = engine_application(stack.controller, stack.pod_reports, signer, is_current=lambda: True)
    app.state.token = stack.tokens.token_for("ocean-compute", JOB, "judge")
    yield app
    await stack.stop()


@asynccontextmanager
async def volumes(folder: Path) -> AsyncIterator[Starlette]:
    yield volumes_application(lambda: True)


@asynccontextmanager
async def chain(folder: Path) -> AsyncIterator[Starlette]:
    node = open_node(ChainSettings(data_dir=folder / "chain", deploy_contracts=False))
    yield ChainServer(node).build_app()
    node.store.close()


SERVICES = (
    ServiceCase("provider", "c2d_box.provider", provider, "/api/services/initializeCompute"),
    # Aquarius answers whatever is wrong with a body with 400.
    ServiceCase(
        "metadata cache",
        "c2d_box.metadata",
        metadata,
        "/api/aquarius/assets/query",
        too_large=400,
        body_bytes=4 << 20,
    ),
    ServiceCase("operator-service", "c2d_box.operator_service", operator_service, "/api/v1/operator/compute"),
    ServiceCase(
        "operator-engine",
        "c2d_box.operator_engine",
        operator_engine,
        f"/v1/jobs/{JOB}/judge/report",
        body_bytes=24 << 20,
    ),
    # Takes no body at all: its one port answers the probes.
    ServiceCase("provisioner", "c2d_box.volumes", volumes, "/readyz", malformed=405, deep=405, too_large=405),
    # JSON-RPC tells what is wrong with a request inside of an answer that is 200.
    ServiceCase("chain", "sandbox.testchain", chain, "/", malformed=200, deep=200, body_bytes=5 << 20),
)
