"""The parts of the Provider that routes use, made once per process."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request

from c2d_box.provider.caller import Callers
from c2d_box.provider.catalog import Catalog
from c2d_box.provider.database import Database
from c2d_box.provider.environments import Environments
from c2d_box.provider.followers import Followers
from c2d_box.provider.grants import Grants
from c2d_box.provider.ledger import Ledger
from c2d_box.provider.liveness import Liveness
from c2d_box.provider.nonces import Nonces
from c2d_box.provider.operator import Operator
from c2d_box.provider.secrets import ProviderKey
from c2d_box.provider.settings import Settings
from c2d_box.provider.tokens import Tokens
from c2d_box.storage import Storage


@dataclass
class Services:
    """The container of everything that a route may need. ``operator``, ``environments`` and ``liveness`` are
    None where no compute backend is configured."""

    settings: Settings
    key: ProviderKey
    job_key: bytes = field(repr=False)
    database: Database
    nonces: Nonces
    tokens: Tokens
    callers: Callers
    grants: Grants
    catalog: Catalog
    ledger: Ledger
    storage: Storage
    operator: Operator | None
    environments: Environments | None
    liveness: Liveness | None
    decided: dict[tuple[str, str, str], float] = field(default_factory=dict)
    """The time, by the monotonic clock, at which the grants of a job for a service of an asset were last
    found good; see :mod:`compute.redeeming`."""
    followers: Followers = field(default_factory=Followers)

    @property
    def chain_id(self) -> int:
        return self.settings.chain.id


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found
