"""``env``: the variables that Ocean's clients read, with this box's values."""

from __future__ import annotations

from sandbox.box import Box


def shell_exports(box: Box) -> dict[str, str]:
    """Return the variables that ocean.js, ocean.py and ocean-cli read, and a few of ours. Several
    hold the same address: each client reads another name.
    """
    urls = box.service_urls
    return {
        "NETWORK_NAME": "development",
        "CHAIN_ID": str(box.settings.chain.chain_id),
        "NODE_URI": urls["chain"],
        "RPC": urls["chain"],
        "RPC_URL": urls["chain"],
        "OCEAN_NETWORK_URL": urls["chain"],
        "AQUARIUS_URL": urls["cache"],
        "METADATA_CACHE_URI": urls["cache"],
        "PROVIDER_URL": urls["provider"],
        "ADDRESS_FILE": str(box.home.address_file),
        "IPFS_GATEWAY": urls["ipfs-gateway"],
        "IPFS_API": urls["ipfs-api"],
        "IPFS_TOKEN_FILE": str(box.home.keys_folder / "ipfs-admin-token"),
        "S3_ENDPOINT": urls["s3"],
        "OPERATOR_SERVICE_URL": urls["operator-service"],
        "KUBECONFIG": str(box.home.kubeconfig),
    }
