"""The configuration file of the chain, as the chart and ``c2d-box`` write it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from c2d_box.service.settings import ListenSection, SettingsSection
from c2d_box.units import LOCAL_CHAIN_ID

BARGE_MNEMONIC = "taxi music thumb unique chat sand crew more leg another off lamp"
"""Ocean's local test mnemonic. Public: it funds accounts, it protects nothing."""

# Names under which a box's services and the chart reach the chain; others may be rebound names.
DEFAULT_HOSTS = ("localhost", "127.0.0.1", "::1", "chain", "chain.c2d", "*.svc", "*.svc.cluster.local")


class ChainNodeListen(ListenSection):
    # Not open to the network unless asked for: its accounts are unlocked and their keys are public.
    host: str = "127.0.0.1"
    # 8545 as with ganache and geth; 0 is any free port.
    port: int = Field(default=8545, ge=0, le=65535)


class ChainNodeSettings(SettingsSection):
    """``allowedHosts`` are exact names or ``*.suffix``; ``allowedOrigins`` are full origins
    (scheme://host:port).
    """

    listen: ChainNodeListen = ChainNodeListen()
    # Part of the chain's identity, with the mnemonic and the number of accounts: see node.open_node.
    chain_id: int = Field(default=LOCAL_CHAIN_ID, ge=1)
    data_dir: Path = Path("/var/lib/c2d")
    secrets_dir: Path | None = None
    mnemonic: str = BARGE_MNEMONIC
    accounts: int = Field(default=20, ge=1, le=100)
    allowed_hosts: tuple[str, ...] = DEFAULT_HOSTS
    allowed_origins: tuple[str, ...] = ()
    # False for a bare chain, as tests of the node itself want it.
    deploy_contracts: bool = True
    pool_contracts: Path | None = None
    """Folder with the compiled contracts of release 1.1.14; without it the chain has no pools."""
    body_limit: int = Field(default=5 * 1024 * 1024, ge=1024)
    """Largest request body in bytes."""
    batch_limit: int = Field(default=1000, ge=1)
    """Most requests in one batch."""
