"""accounts."""

from __future__ import annotations

from sandbox.cli.declare import command
from sandbox.cli.opening import the_box
from sandbox.cli.output import document, table


@command("c2d-box accounts\nc2d-box --as consumer2 jobs", name="accounts")
def accounts() -> None:
    """Accounts of the test mnemonic with roles and balances. Any of them can act: --as ROLE, INDEX or 0x
    ADDRESS.

    --json: list of {role, index, address, eth, ocean}.
    """
    from sandbox.verbs.accounts import accounts as verb

    found = verb(the_box())
    if not document(found):
        rows = [(a.role or "-", a.index, a.address, a.eth, a.ocean) for a in found]
        table(["role", "index", "address", "eth", "ocean"], rows)
