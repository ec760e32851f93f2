"""accounts, faucet.

The keys come from a mnemonic that everybody knows: they are for test chains only.
"""

from __future__ import annotations

import click

from sandbox.cli.declare import command
from sandbox.cli.narration import perform_verb
from sandbox.cli.opening import acting_account, running_box
from sandbox.cli.output import is_wide, print_json, print_pairs, print_table


@command("c2d-box accounts\nc2d-box --as consumer2 jobs\nc2d-box accounts --datatokens", name="accounts")
@click.option("--datatokens", is_flag=True, help="The datatokens that the acting account holds.")
def accounts(datatokens: bool) -> None:
    """Accounts of the test mnemonic with roles and balances. Any of them can act: --as ROLE, INDEX or 0x
    ADDRESS.

    --json: list of {role, index, address, eth, ocean}; with --datatokens: {did, name, datatoken, amount}.
    """
    from sandbox.identifier_match import short_ids
    from sandbox.verbs.accounts import list_accounts as verb
    from sandbox.verbs.faucet import datatoken_holdings as holdings

    if datatokens:
        held = holdings(running_box(), acting_account("consumer"))
        if not print_json(held):
            short = short_ids(h.did for h in held)
            held_rows = [(h.did if is_wide() else short[h.did], h.name, h.datatoken, h.amount) for h in held]
            print_table(["asset", "name", "datatoken", "amount"], held_rows, flexible=("name", "datatoken"))
        return
    found = verb(running_box())
    if not print_json(found):
        rows = [
            (a.role or "-", a.index, a.address, _tokens_text(a.eth), _tokens_text(a.ocean)) for a in found
        ]
        print_table(["role", "#", "address", "eth", "ocean"], rows, flexible=("address",))


def _tokens_text(amount: float) -> str:
    """Return two decimals, or none of a whole amount: addresses, which are copied, then fit 80 columns."""
    return f"{amount:.2f}".removesuffix(".00")


@command("c2d-box faucet consumer\nc2d-box faucet 12 --eth 1 --ocean 500", name="faucet")
@click.argument("account", default="consumer")
@click.option("--eth", default=10.0, show_default=True, help="ETH to add.")
@click.option("--ocean", default=100.0, show_default=True, help="OCEAN to add.")
def faucet(account: str, eth: float, ocean: float) -> None:
    """Give an account test money, on the box's own chain. --json: {address, eth, ocean}."""
    from sandbox.verbs.faucet import faucet as verb

    filled = perform_verb(verb(running_box(), account, eth, ocean))
    if not print_json(filled):
        print_pairs({"address": filled.address, "ETH": filled.eth, "OCEAN": filled.ocean})
