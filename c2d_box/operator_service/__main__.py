"""``python -m c2d_box.operator_service --config FILE``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from starlette.applications import Starlette

from c2d_box.kubernetes.client import HttpCluster
from c2d_box.kubernetes.informer import Informer
from c2d_box.kubernetes.kubeconfig import find_connection
from c2d_box.operator_service.app import OperatorService, build_operator_app
from c2d_box.operator_service.callers import SignatureVerifier
from c2d_box.operator_service.database import JobDatabase
from c2d_box.operator_service.jobs import JobIndex
from c2d_box.operator_service.nonces import UsedNonces
from c2d_box.operator_service.results import StoredResults
from c2d_box.operator_service.settings import OperatorSettings
from c2d_box.service.http_server import serve
from c2d_box.service.main import run_service, service_parser
from c2d_box.workflow.resource import WORKFLOWS


def build_application(settings: OperatorSettings, kubeconfig: Path | None) -> Starlette:
    """Return the application. Its lifespan opens and closes everything that lives as long as it does.

    Without ``kubeconfig`` the pod's service account is used, see :func:`find_connection`.
    """
    access = find_connection(kubeconfig)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        cluster = HttpCluster(access, settings.namespace)
        # One watch for all callers: a status request costs Kubernetes nothing.
        informer = Informer(cluster, WORKFLOWS)
        database = JobDatabase(settings.postgres, settings.secrets_dir)
        results = StoredResults(settings)
        callers = SignatureVerifier(settings, UsedNonces(database))
        service = OperatorService(settings, cluster, JobIndex(informer, database), database, callers, results)
        # Mounted at the start and not before: the connections behind the routes
        # belong to the running event loop.
        app.mount("/", build_operator_app(service))
        # The list is not awaited: the service answers at once, and readiness says when the jobs are known.
        informer.start()
        try:
            yield
        finally:
            # In the reverse order of use: nothing may be called that is closed already.
            await informer.stop()
            await results.close()
            await database.close()
            await cluster.close()

    return Starlette(lifespan=lifespan)


def main(arguments: list[str] | None = None) -> int:
    """Run operator-service; return the exit status of the process."""
    parser = service_parser("c2d_box.operator_service", "The operator-service.")
    parser.add_argument("--kubeconfig", type=Path, help="instead of the pod's service account")
    return run_service(
        parser,
        OperatorSettings,
        lambda settings, options: partial(
            serve, build_application(settings, options.kubeconfig), settings.listen
        ),
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
