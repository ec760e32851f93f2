"""The configuration file of the chain, as the chart and ``c2d-box`` write it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from c2d_box.service.settings import ListenSection, SettingsSection
from c2d_box.units import LOCAL_CHAIN_ID

BARGE_MNEMONIC = "taxi music thumb unique chat sand crew more leg another off lamp"
"""Ocean's local test mnemonic. Public: it funds accounts, it protects nothing."""

DEFAULT_HOSTS = ("localhost", "127.0.0.1", "::1", "chain", "chain.c2d", "*.svc", "*.svc.cluster.local")


class ChainNodeListen(ListenSection):
    host: str = "127.0.0.1"
    port: int = Field(default=8545, ge=0, le=65535)


class ChainNodeSettings(SettingsSection):
    """``allowedHosts`` are exact names or ``*.suffix``; ``allowedOrigins`` are full origins
    (scheme://host:port).
    """

    listen: ChainNodeListen = ChainNodeListen()
    chain_id: int = Field(default=LOCAL_CHAIN_ID, ge=1)
    data_dir: Path = Path("/var/lib/c2d")
    secrets_dir: Path | None = None
    mnemonic: str = BARGE_MNEMONIC
    accounts: int = Field(default=20, ge=1, le=100)
    allowed_hosts: tuple[str, ...] = DEFAULT_HOSTS
    allowed_origins: tuple[str, ...] = ()
    deploy_contracts: bool = True
    pool_contracts: Path | None = None
    """Folder with the compiled contracts of release 1.1.14; without it the chain has no pools."""
    body_limit: int = Field(default=5 * 1024 * 1024, ge=1024)
    """Largest request body in bytes."""
    batch_limit: int = Field(default=1000, ge=1)
    """Most requests in one batch."""
