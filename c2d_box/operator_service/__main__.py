"""``python -m c2d_box.operator_service --config FILE``."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from c2d_box.errors import C2DError
from c2d_box.operator_service.app import Service, application
from c2d_box.operator_service.callers import Callers
from c2d_box.operator_service.database import Database
from c2d_box.operator_service.jobs import Jobs
from c2d_box.operator_service.nonces import Nonces
from c2d_box.operator_service.results import Results
from c2d_box.operator_service.settings import Settings
from c2d_box.workflow import connection, logs
from c2d_box.workflow.cluster import WORKFLOWS
from c2d_box.workflow.informer import Informer
from c2d_box.workflow.kubernetes import Kubernetes


def build(settings: Settings, kubeconfig: Path | None) -> Starlette:
    """The application and, as its lifespan, everything that lives as long as it does."""
    access = connection.find(kubeconfig)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        cluster = Kubernetes(access, settings.namespace)
        informer = Informer(cluster, WORKFLOWS)
        database = Database(settings.postgres, settings.secrets_dir)
        results = Results(settings)
        callers = Callers(settings, Nonces(database))
        service = Service(settings, cluster, Jobs(informer, database), database, callers, results)
        app.mount("/", application(service))
        informer.start()
        try:
            yield
        finally:
            await informer.stop()
            await results.close()
            await database.close()
            await cluster.close()

    return Starlette(lifespan=lifespan)


def main() -> int:
    parser = argparse.ArgumentParser(prog="c2d_box.operator_service")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--kubeconfig", type=Path, help="instead of the pod's service account")
    options = parser.parse_args()
    logs.to_stdout()
    try:
        settings = Settings.model_validate_json(options.config.read_text())
        uvicorn.run(
            build(settings, options.kubeconfig),
            host=settings.listen.host,
            port=settings.listen.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    except C2DError as error:
        print(json.dumps(error.as_dict()), file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
