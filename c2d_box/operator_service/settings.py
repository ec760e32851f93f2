"""The service's configuration file. Secrets are not in it but in files of ``secretsDir``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from c2d_box.service.settings import ListenSection, SettingsSection
from c2d_box.units import LOCAL_CHAIN_ID
from c2d_box.workflow.environments import Environment
from c2d_box.workflow.jobtable import PostgresSettings
from c2d_box.workflow.names import JOBS_NAMESPACE
from c2d_box.workflow.result_store import IpfsStore, S3Store


class OperatorListen(ListenSection):
    """Address of the service's port."""

    port: int = 8050


class OperatorCompat(SettingsSection):
    """``bareSignatures``: take the original's signatures, which cover neither method, path nor body."""

    # Off: a signature that covers no call can be taken from one call and used for another.
    bare_signatures: bool = False


class OperatorSettings(SettingsSection):
    """The whole configuration of operator-service."""

    listen: OperatorListen = OperatorListen()
    # Jobs, their grants and their locks are in this one.
    namespace: str = JOBS_NAMESPACE
    postgres: PostgresSettings
    signature_required: bool = True
    """False only where nobody but the Provider can reach the service."""
    allowed_providers: tuple[str, ...] = ()
    """Addresses of the Providers whose signatures count."""
    # The engine has the same list in its own configuration; the chart writes both.
    environments: tuple[Environment, ...]
    result_store: Annotated[IpfsStore | S3Store, Field(discriminator="kind")]
    chain_id: int = LOCAL_CHAIN_ID
    """The one chain whose jobs this service takes."""
    address: str | None = None
    """Echoed by ``GET /``, for information only."""
    compat: OperatorCompat = OperatorCompat()
    log_bytes: int = 10 << 20
    """Most bytes of one answer with live logs."""
    body_bytes: int = 2 << 20
    """Most bytes of a request's body: a job may carry its algorithm's code."""
    secrets_dir: Path = Path("/etc/c2d/secrets")

    def find_environment(self, name: object) -> Environment | None:
        """Return the environment of this name, None where there is none; ``name`` is
        a caller's and may be anything.
        """
        return next((entry for entry in self.environments if entry.id == name), None)
