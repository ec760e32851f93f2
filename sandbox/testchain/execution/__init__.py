"""Execution: transactions, calls and blocks on py-evm. One writer makes blocks."""
