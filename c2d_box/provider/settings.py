"""The Provider's configuration file. Secrets are not in it but in files of ``secretsDir``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, IPvAnyNetwork

from c2d_box.assets.files import FILE_TYPES
from c2d_box.service.settings import ChainSection, ListenSection, SettingsSection
from c2d_box.workflow.result_store import IpfsStore, S3Store

FirstNonce = Literal["one", "created"]
"""The value that an address reads as while it has never used a nonce: see
:mod:`c2d_box.provider.auth.nonces`."""
LONGEST_TOKEN_SECONDS = 30 * 86_400
"""The longest life of an auth token, where the configuration says nothing else."""


class ProviderListen(ListenSection):
    port: int = 8030


class FetchSection(SettingsSection):
    """Limits and exemptions for reading files from their sources.

    ``allow``: origins exempt from the public-address rule; ``aliases``: origins as seen from the host.
    ``max_checksum_length`` and ``max_algorithm_length`` are the most bytes that are hashed: of any file for
    a caller who asks, and of a file of an algorithm, to whose hashes permissions are bound.
    """

    # Empty by default: every exemption lets publishers reach an address inside the cluster.
    allow: tuple[str, ...] = ()
    aliases: dict[str, str] = Field(default_factory=dict)
    ipfs_gateway: str | None = None
    arweave_gateway: str | None = None
    # Bytes. Anybody may ask for such a hash, at the expense of the file's source.
    max_checksum_length: int = 5_242_880
    # Bytes. Larger, because publishers permit an algorithm by the hash of its files: without the hash the
    # permission cannot be checked.
    max_algorithm_length: int = 33_554_432
    timeout: float = 10.0

    @property
    def gateways(self) -> dict[str, str | None]:
        """The gateway of each type of file that is read through one."""
        return {name: getattr(self, f"{name}_gateway") for name, each in FILE_TYPES.items() if each.gateway}


class TrustSection(SettingsSection):
    """The meaning of empty trust lists of a compute service: they trust nobody or, as in the original,
    everybody."""

    # Fails closed: a publisher who lists nobody has permitted nobody.
    empty_lists: Literal["none", "all"] = "none"


class UserDataSection(SettingsSection):
    """The rule for user data: any is accepted, as in the original, which never looks, or only what publishers
    describe as consumer parameters."""

    accept: Literal["any", "described"] = "any"


class SignaturesSection(SettingsSection):
    """Tokens and nonces. ``token_seconds``: the longest life of an auth token. ``first_nonce``: the value
    with which the nonces of an address begin, which is one, or the time at which the Provider's database was
    created, so that no signature from before the loss of a database is fresh."""

    token_seconds: int = Field(default=LONGEST_TOKEN_SECONDS, gt=0)
    first_nonce: FirstNonce = "one"


class CompatSection(SettingsSection):
    """Behaviour of the original that its clients and pods rely on, each of which can be switched.

    ``client_quirks``: serve the signature slips of published ocean.js versions (stop without nonce, …).
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
    # A body that trickles in holds a connection no longer than this.
    body_seconds: float = 30.0
    # Requests of one network address; the burst is a quarter of it.
    per_minute: float = Field(default=0, ge=0)
    unknown_orders: float = Field(default=40, gt=0)
    # Empty by default, since X-Forwarded-For is written by anybody.
    proxies: tuple[IPvAnyNetwork, ...] = ()


class FreshnessSection(SettingsSection):
    """The age up to which a job may start on permissions that the metadata cache has read: the first block
    that the cache has missed may be ``seconds`` old. The cache may lack ``blocks`` in any case: set it to the
    number of confirmations that the cache waits for. ``wait_seconds``: how long a request waits for a cache
    that is behind."""

    seconds: float = Field(default=60.0, ge=0)
    blocks: int = Field(default=0, ge=0)
    wait_seconds: float = Field(default=5.0, ge=0)


class ProviderSettings(SettingsSection):
    """The whole configuration file. Only ``chain`` and ``cache_url`` have no default."""

    listen: ProviderListen = ProviderListen()
    chain: ChainSection
    cache_url: str
    operator_service_url: str | None = None
    # The first is what the API's description names. At the second, which need not be reachable from outside
    # the cluster, jobs redeem their grants.
    public_url: str = "http://127.0.0.1:8030"
    internal_url: str = "http://127.0.0.1:8030"
    # None stands for the chain's OCEAN token.
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
    """The store that is read for assets that the engine made of results; closed to every other file
    object."""
    # The longest life of a grant. It ends earlier with its job, see ``backends.job_liveness``.
    grant_seconds: int = 86_400
    database: Path = Path("/var/lib/c2d/provider.sqlite")
    secrets_dir: Path = Path("/etc/c2d/secrets")
