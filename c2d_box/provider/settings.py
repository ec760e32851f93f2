"""The Provider's configuration file. Secrets are not in it but in files of ``secretsDir``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork
from pydantic.alias_generators import to_camel


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Listen(_Section):
    host: str = "0.0.0.0"
    port: int = 8030


class ChainSection(_Section):
    id: int = 8996
    rpc_url: str
    address_file: str


class FetchSection(_Section):
    """``allow``: origins exempt from the public-address rule; ``aliases``: origins as seen from the host."""

    allow: tuple[str, ...] = ()
    aliases: dict[str, str] = Field(default_factory=dict)
    ipfs_gateway: str | None = None
    arweave_gateway: str | None = None
    max_checksum_length: int = 5_242_880
    timeout: float = 10.0


class TrustSection(_Section):
    """Whom a compute service with empty trust lists trusts: nobody, or, as the original did, everybody."""

    empty_lists: Literal["none", "all"] = "none"


class UserDataSection(_Section):
    """Whether user data must be what publishers describe as consumer parameters; the original never looks."""

    accept: Literal["any", "described"] = "any"


class CompatSection(_Section):
    """``client_quirks``: serve the signature slips of published ocean.js versions (stop without nonce, …)."""

    client_quirks: bool = True


class LimitsSection(_Section):
    """Bytes and seconds one request may take before it is refused, and what one network address may ask for.

    ``per_minute``: requests, 0 for as many as it likes (a box has one user). ``unknown_orders``: how often a
    minute an address may have the Provider wait for a transaction that the chain does not know (yet).
    ``proxies``: networks whose X-Forwarded-For is believed.
    """

    body: int = 2 << 20
    headers: int = 64 << 10
    target: int = 32 << 10
    body_seconds: float = 30.0
    per_minute: float = Field(default=0, ge=0)
    unknown_orders: float = Field(default=40, gt=0)
    proxies: tuple[IPvAnyNetwork, ...] = ()


class Settings(_Section):
    listen: Listen = Listen()
    chain: ChainSection
    cache_url: str
    operator_service_url: str | None = None
    public_url: str = "http://127.0.0.1:8030"
    internal_url: str = "http://127.0.0.1:8030"
    fee_token: str | None = None
    fetch: FetchSection = FetchSection()
    endpoint_aliases: dict[str, str] = Field(default_factory=dict)
    trust: TrustSection = TrustSection()
    user_data: UserDataSection = UserDataSection()
    compat: CompatSection = CompatSection()
    limits: LimitsSection = LimitsSection()
    authorized_decrypters: tuple[str, ...] = ()
    grant_seconds: int = 86_400
    database: Path = Path("/var/lib/c2d/provider.sqlite")
    secrets_dir: Path = Path("/etc/c2d/secrets")
