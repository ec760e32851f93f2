"""The JSON-RPC methods, one module for each family; importing a family registers its methods."""

from __future__ import annotations

from sandbox.testchain.methods import chain, developer, logs, signing, state, transactions
from sandbox.testchain.methods.registry import METHODS, Lane, Method

__all__ = ["METHODS", "Lane", "Method", "chain", "developer", "logs", "signing", "state", "transactions"]
