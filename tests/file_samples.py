"""A usable file object of each type, from which the tests of all types are made."""

from __future__ import annotations

from typing import Any

VIEW = {"name": "text", "type": "function", "stateMutability": "view", "inputs": [], "outputs": []}


def sample_files(origin: str, secret: str = "secret") -> dict[str, dict[str, Any]]:
    """Return file objects by type: read from ``origin``, with ``secret`` wherever none may leak."""
    return {
        "url": {"type": "url", "url": f"{origin}/{secret}/data.json", "headers": {"x-key": secret}},
        "ipfs": {"type": "ipfs", "hash": f"Qm{secret}", "headers": {"x-key": secret}},
        "arweave": {"type": "arweave", "transactionId": secret, "headers": {"x-key": secret}},
        "graphql": {"type": "graphql", "url": f"{origin}/{secret}", "query": f"{{ {secret} }}"},
        "smartcontract": {"type": "smartcontract", "address": "0x" + "11" * 20, "chainId": 0, "abi": VIEW},
        "s3": {
            "type": "s3",
            "s3Access": {
                "endpoint": origin,
                "region": "us-east-1",
                "bucket": "bucket",
                "objectKey": f"{secret}/data.json",
                "accessKeyId": f"{secret}-id",
                "secretAccessKey": f"{secret}-key",
            },
        },
    }
