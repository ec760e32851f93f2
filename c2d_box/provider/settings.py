"""The Provider's configuration file. Secrets are not in it but in files of ``secretsDir``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, IPvAnyNetwork

from c2d_box.provider.nonces import Start
from c2d_box.provider.tokens import LONGEST_SECONDS
from c2d_box.service.settings import ChainSection, ListenSection, SettingsSection
from c2d_box.workflow.result_store import IpfsStore, S3Store


class Listen(ListenSection):
    port: int = 8030


class FetchSection(SettingsSection):
    """``allow``: origins exempt from the public-address rule; ``aliases``: origins as seen from the host.

    Bytes that are hashed at most: of any file for who asks, and of an algorithm's, which permissions pin.
    """

    allow: tuple[str, ...] = ()
    aliases: dict[str, str] = Field(default_factory=dict)
    ipfs_gateway: str | None = None
    arweave_gateway: str | None = None
    max_checksum_length: int = 5_242_880
    max_algorithm_length: int = 33_554_432
    timeout: float = 10.0


class TrustSection(SettingsSection):
    """Whom a compute service with empty trust lists trusts: nobody, or, as the original did, everybody."""

    empty_lists: Literal["none", "all"] = "none"


class UserDataSection(SettingsSection):
    """Whether user data must be what publishers describe as consumer parameters; the original never looks."""

    accept: Literal["any", "described"] = "any"


class SignaturesSection(SettingsSection):
    """``token_seconds``: the longest life of an auth token. ``first_nonce``: where the nonces of an address
    begin: at one, or at the time at which the Provider's database was created, so that no signature from
    before its loss is fresh."""

    token_seconds: int = Field(default=LONGEST_SECONDS, gt=0)
    first_nonce: Start = "one"


class CompatSection(SettingsSection):
    """``client_quirks``: serve the signature slips of published ocean.js versions (stop without nonce, …).
    ``unsigned_sources``: look at any source for anybody, as the original does; that makes the Provider a
    relay for POST requests and headers of strangers.
    ``environment_downloads``: let an environment's key fetch what was ordered for computing, as the
    original's pods do; without it that key opens nothing.
    """

    client_quirks: bool = True
    unsigned_sources: bool = False
    environment_downloads: bool = False


class LimitsSection(SettingsSection):
    """Bytes and seconds one request may take before it is refused, and what one network address may ask for.

    ``per_minute``: requests, 0 for as many as it likes (a box has one user; the chart has a default);
    redeemed grants and decryption for caches count only where they are refused. ``unknown_orders``: how often
    a minute an address may have the Provider wait for a transaction that the chain does not know (yet).
    ``proxies``: networks whose X-Forwarded-For is believed.
    """

    body: int = 2 << 20
    headers: int = 64 << 10
    target: int = 32 << 10
    body_seconds: float = 30.0
    per_minute: float = Field(default=0, ge=0)
    unknown_orders: float = Field(default=40, gt=0)
    proxies: tuple[IPvAnyNetwork, ...] = ()


class FreshnessSection(SettingsSection):
    """How old permissions may be on which a job starts: the first block that the metadata cache has missed
    may be ``seconds`` old. ``blocks`` it may lack in any case: as many as it waits for confirmations.
    ``wait_seconds``: how long a request waits for a cache that is behind."""

    seconds: float = Field(default=60.0, ge=0)
    blocks: int = Field(default=0, ge=0)
    wait_seconds: float = Field(default=5.0, ge=0)


class Settings(SettingsSection):
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
    signatures: SignaturesSection = SignaturesSection()
    limits: LimitsSection = LimitsSection()
    freshness: FreshnessSection = FreshnessSection()
    authorized_decrypters: tuple[str, ...] = ()
    result_store: Annotated[IpfsStore | S3Store, Field(discriminator="kind")] | None = None
    """Read for assets that the engine made of results, and closed to every other file object."""
    grant_seconds: int = 86_400
    database: Path = Path("/var/lib/c2d/provider.sqlite")
    secrets_dir: Path = Path("/etc/c2d/secrets")
