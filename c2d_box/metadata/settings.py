"""The metadata cache's configuration file; its one secret, ``cache-key``, is a file of ``secretsDir``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Listen(_Section):
    host: str = "0.0.0.0"
    port: int = 5000


class ChainSection(_Section):
    id: int = 8996
    rpc_url: str
    address_file: str


class Settings(_Section):
    """``endpoint_aliases``: Provider URLs as publishers wrote them, and where those Providers are from
    here; their targets are the only non-public addresses the cache may ask. ``poll_seconds`` counts where
    the node has no long poll for its head; ``span`` is how many blocks one question for logs covers."""

    listen: Listen = Listen()
    chain: ChainSection
    endpoint_aliases: dict[str, str] = Field(default_factory=dict)
    database: Path = Path("/var/lib/c2d/cache.sqlite")
    secrets_dir: Path = Path("/etc/c2d/secrets")
    poll_seconds: float = 0.25
    decrypt_seconds: float = 4.0
    span: int = 2000
    allowed_publishers: tuple[str, ...] = ()
    allowed_validators: tuple[str, ...] = ()
    max_document: int = 4 << 20
