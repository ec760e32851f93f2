"""The parts of the Provider that routes use, made once per process."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request

from c2d_box.provider.auth.caller import CallerVerifier
from c2d_box.provider.auth.consumer_rights import ConsumerRights
from c2d_box.provider.auth.grants import DecidedGrants, GrantCipher
from c2d_box.provider.auth.nonces import NonceStore
from c2d_box.provider.auth.tokens import AuthTokens
from c2d_box.provider.backends.catalog import AssetCatalog
from c2d_box.provider.backends.chain_gateway import ChainGateway
from c2d_box.provider.backends.environments import EnvironmentCache
from c2d_box.provider.backends.job_liveness import JobLiveness
from c2d_box.provider.backends.operator_client import OperatorClient
from c2d_box.provider.database import ProviderDatabase
from c2d_box.provider.limits.log_followers import LogStreamLimiter
from c2d_box.provider.secrets import ProviderKey
from c2d_box.provider.settings import ProviderSettings
from c2d_box.storage import Storage


@dataclass
class ProviderContext:
    """The container of everything that a route may need. ``operator``, ``environments`` and ``liveness`` are
    None where no compute backend is configured."""

    settings: ProviderSettings
    key: ProviderKey
    # Not in ``repr``: contexts appear in tracebacks.
    job_key: bytes = field(repr=False)
    database: ProviderDatabase
    nonces: NonceStore
    tokens: AuthTokens
    callers: CallerVerifier
    # Grants are sealed and opened by the same process key, so each replica needs the same secret.
    grants: GrantCipher
    catalog: AssetCatalog
    ledger: ChainGateway
    storage: Storage
    # The three are there together or not at all.
    operator: OperatorClient | None
    environments: EnvironmentCache | None
    liveness: JobLiveness | None
    consumers: ConsumerRights
    decided: DecidedGrants = field(default_factory=dict)
    followers: LogStreamLimiter = field(default_factory=LogStreamLimiter)

    @property
    def chain_id(self) -> int:
        """The id of the one chain that this Provider serves."""
        return self.settings.chain.id


def provider_context(request: Request) -> ProviderContext:
    """Return the context of the application that answers this request."""
    found: ProviderContext = request.app.state.services
    return found
