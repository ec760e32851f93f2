"""``faucet``: creates test money; this module also lists the datatokens that an account holds."""

from __future__ import annotations

from dataclasses import dataclass

from c2d_box.errors import Failed, UsageError
from c2d_box.units import ETHER
from sandbox.box import Box
from sandbox.progress import Progress, run_step
from sandbox.verbs.accounts import signer
from sandbox.verbs.chain_connection import chain_of
from sandbox.verbs.sdk_connections import connection_to

# Whole tokens at once: a slip of the finger should not make balances that no screen can show.
MOST = 1_000_000.0


@dataclass(frozen=True, slots=True)
class DatatokenHolding:
    """Datatokens of one service that an account holds: each unit is one order of it."""

    did: str
    name: str
    datatoken: str
    amount: float


@dataclass(frozen=True, slots=True)
class FaucetBalances:
    """An account's balances after the faucet, in whole units."""

    address: str
    eth: float
    ocean: float


def faucet(box: Box, who: str, eth: float = 10.0, ocean: float = 100.0) -> Progress[FaucetBalances]:
    """Give an account ETH (from nothing) and OCEAN (minted by its deployer); on the box's own chain only.

    Amounts are whole tokens. Raises ``C2D-FAUCET-FOREIGN`` on a chain outside the box.
    """
    if not (0 <= eth <= MOST and 0 <= ocean <= MOST):
        raise UsageError("C2D-FAUCET-AMOUNT", f"the faucet gives 0 to {MOST:,.0f} at once", "ask for less")
    if box.settings.chain.rpc_url is not None:
        raise UsageError("C2D-FAUCET-FOREIGN", "this box is on a chain outside it", "fund the account there")
    address, chain = signer(who).address, chain_of(box)

    def fill() -> FaucetBalances:
        # ``c2d_faucet`` is a method of the box's test chain; no other node has it.
        from c2d_box.chain import transactions

        if eth:
            answer = chain.web3.provider.make_request("c2d_faucet", [address, hex(int(eth * ETHER))])  # type: ignore[arg-type]
            if "error" in answer:
                raise Failed("C2D-FAUCET-FAILED", f"the chain refused: {answer['error']}", "see its log")
        if ocean:
            amount = int(ocean * ETHER)
            # OCEAN's contract lets its deployer mint; on the test chain that is an account of the mnemonic.
            deployer = signer("deployer")
            transactions.send(chain, deployer, "OceanToken", chain.addresses.ocean, "mint", address, amount)
        return FaucetBalances(
            address,
            chain.balance_of(address) / ETHER,
            chain.balance_of(address, chain.addresses.ocean) / ETHER,
        )

    return (yield from run_step("faucet", f"giving {eth:g} ETH and {ocean:g} OCEAN to {who}", fill))


def datatoken_holdings(box: Box, who: str) -> list[DatatokenHolding]:
    """Return the datatokens an account holds, of all assets the cache knows."""
    from c2d_box.chain.views import ViewCall

    address, chain = signer(who).address, chain_of(box)
    with connection_to(box) as connection:
        records = connection.cache.list_assets()
    tokens = {
        str(service["datatokenAddress"]): record for record in records for service in record["services"]
    }
    # One batch for all datatokens: a box may hold hundreds of assets.
    held = chain.read_many([ViewCall("ERC20Template", token, "balanceOf", (address,)) for token in tokens])
    return [
        DatatokenHolding(str(record["id"]), str(record["metadata"]["name"]), token, amount / ETHER)
        for (token, record), amount in zip(tokens.items(), held, strict=True)
        if amount
    ]
