"""A harness around the indexer: a real chain, and documents that the test supplies."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

import httpx

from c2d_box.assets.did import did_for
from c2d_box.chain import Chain, addresses
from c2d_box.chain.accounts import from_mnemonic
from c2d_box.chain.publishing import FixedRateTerms, create_asset, set_metadata
from c2d_box.metadata.documents import DocumentSource
from c2d_box.metadata.heads import HeadWatcher
from c2d_box.metadata.indexer import ChainIndexer
from c2d_box.metadata.settings import MetadataSettings
from c2d_box.metadata.store import MetadataStore
from sandbox.testchain.local_chain import LocalChain
from sandbox.testchain.settings import BARGE_MNEMONIC

PUBLISHER = from_mnemonic(BARGE_MNEMONIC, 3)


class HashedDocuments:
    """A document source by hash, in place of decryptors; ``problem`` is raised instead if it is set."""

    documents: ClassVar[dict[str, bytes]] = {}

    def __init__(self) -> None:
        self.problem: Exception | None = None

    def host_of(self, decryptor_url: str) -> str:
        return decryptor_url

    def is_configured(self, decryptor_url: str) -> bool:
        return False

    async def problem_of(self, decryptor_url: str) -> str:
        return ""

    async def read_document(self, decryptor_url: str, nft: str, tx: str, expected_hash: str) -> bytes:
        if self.problem is not None:
            raise self.problem
        return self.documents[expected_hash]


class CacheWorld:
    """An indexer with its store. It begins at the chain's head, so it ignores what other tests published."""

    def __init__(
        self,
        process: LocalChain,
        store: MetadataStore | None = None,
        documents: DocumentSource | None = None,
        chain: Chain | None = None,
        **settings: Any,
    ) -> None:
        self.chain = chain or Chain(process.url, addresses.load_addresses(process.address_file, 8996))
        self.url = process.url
        self.store = store or MetadataStore(":memory:")
        self.decryptor = HashedDocuments()
        self.client = httpx.AsyncClient(trust_env=False)
        section = {"id": 8996, "rpcUrl": process.url, "addressFile": "x"}
        self.settings = MetadataSettings.model_validate({"chain": section, "pollSeconds": 0.05, **settings})
        number = self.chain.latest_block()
        self.store.add_checkpoint(
            number, str(self.call_rpc("eth_getBlockByNumber", hex(number), False)["hash"])
        )
        heads = HeadWatcher(self.client, self.chain, process.url, 0.05)
        self.indexer = ChainIndexer(self.chain, self.store, documents or self.decryptor, heads, self.settings)

    async def close_world(self) -> None:
        self.indexer.close()
        await self.client.aclose()
        self.store.close()

    async def read_chain(self) -> None:
        await self.indexer.catch_up(self.chain.latest_block())
        await self.indexer.documents.settle_due()

    def call_rpc(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        return httpx.post(self.url, json=body, trust_env=False, timeout=30).json()["result"]

    def publish_asset(self, name: str = "A name", price: Any = None, **changes: Any) -> Any:
        made = create_asset(self.chain, PUBLISHER, "NFT", "N", price or FixedRateTerms(2 * 10**18))
        self.write_document(made, name, **changes)
        return made

    def write_document(self, made: Any, name: str, state: int = 0, **changes: Any) -> str:
        return self.write_raw(made, json.dumps(make_document(made, name, **changes)).encode(), state=state)

    def write_raw(self, made: Any, text: bytes, url: str = "http://p", state: int = 0) -> str:
        digest = hashlib.sha256(text).hexdigest()
        self.decryptor.documents["0x" + digest] = text
        return set_metadata(self.chain, PUBLISHER, made.nft, state, url, 0, text[:64], digest)

    def read_record(self, made: Any) -> Any:
        return self.store.records.get(did_for(made.nft, 8996))

    def read_outcome(self, made: Any) -> tuple[str, str]:
        """Return state and reason of the newest metadata event."""
        found = self.store.last_outcome(did_for(made.nft, 8996))
        return (str(found.state), found.error) if found else ("", "")


def make_document(made: Any, name: str, **changes: Any) -> dict[str, Any]:
    """Return a valid DDO of an asset."""
    service = {
        "id": "0",
        "type": "access",
        "datatokenAddress": made.datatoken,
        "files": "0x00",
        "timeout": 0,
        "serviceEndpoint": "http://127.0.0.1:8030",
    }
    metadata = {"name": name, "description": "Words", "type": "dataset", "author": "A", "license": "MIT"}
    return {
        "@context": ["https://w3id.org/did/v1"],
        "id": did_for(made.nft, 8996),
        "version": "4.1.0",
        "chainId": 8996,
        "nftAddress": made.nft,
        "metadata": metadata,
        "services": [service],
        **changes,
    }
