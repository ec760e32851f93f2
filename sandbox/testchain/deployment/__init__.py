"""Ocean's contracts on a chain, on our own node or on anvil."""
