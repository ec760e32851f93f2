"""The four transactions that make results an asset, each sent at most once however often this is started.

    create ─► describe ─► stock (free assets only) ─► hand over

Handing the NFT to the owner is what takes the register's own roles away; that is checked before success is
reported, since an asset of which a stranger keeps a key is not its owner's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from c2d_box.assets.documents.drafting import (
    build_ddo,
    compact_json,
    demand_valid,
    metadata_section,
    service_section,
)
from c2d_box.chain import Chain, Signer, addresses, nfts, publishing
from c2d_box.chain.transactions import UnsignedTransaction, send_idempotent
from c2d_box.errors import Failed
from c2d_box.pods.engine import EngineClient
from c2d_box.units import ETHER

STOCK = 1000
"""Datatokens a free asset starts with: its dispenser cannot mint once the NFT has changed hands."""
_ENCRYPTED = 2
"""Flag of ``setMetaData`` on the NFT: the description is encrypted for a Provider (1 means compressed)."""


class AssetRegistration:
    """Registers the results of one job. ``order``: what the engine's go-ahead said."""

    def __init__(self, engine: EngineClient, order: Mapping[str, Any], signer: Signer) -> None:
        self._engine = engine
        self._order = order
        self._signer = signer
        # Transactions that an earlier run of this container has signed; the engine keeps them.
        self._recorded: dict[str, str] = dict(order.get("transactions") or {})
        found = addresses.parse_addresses(order["addresses"], int(order["chainId"]))
        # The pod cannot reach a node: the engine relays the few calls that registering takes.
        self._chain = Chain(
            engine.stage_url("rpc"),
            found,
            30,
            {"Content-Type": "application/json", **engine.authorization_header},
        )

    def run_steps(self) -> dict[str, str]:
        """Register the results; return the report: DID, NFT and datatoken. Raises C2DError or GivenUp; can be
        called again after that."""
        wish = self._order["publish"]
        free = bool(wish.get("free"))
        name = str(wish.get("name") or f"Results of job {self._engine.job}")
        # Without ``free`` no sale of datatokens is set up.
        price = publishing.DispenserTerms() if free else None
        made = publishing.read_creation(
            self._send_once(
                "create",
                publishing.creation_transaction(self._chain, self._signer, name, "C2D-RESULT", price),
            )
        )
        # The DID follows from the NFT, so the description can only be written once that exists.
        document = self._asset_document(name, made, wish)
        self._send_once("describe", self._description_call(made, document))
        if free:
            # Before the transfer, which takes away the dispenser's right to mint.
            dispenser = self._chain.addresses.dispenser
            stock = publishing.mint_transaction(made.datatoken, dispenser, STOCK * ETHER)
            self._send_once("stock", stock)
        self._send_once(
            "transfer", publishing.transfer_transaction(self._signer, made.nft, str(self._order["owner"]))
        )
        # Read from the chain: that the transfer succeeded does not say which roles it removed.
        if nfts.holds_roles(self._chain, made.nft, made.datatoken, self._signer.address):
            raise Failed(
                "C2D-REGISTER-ROLES", "the NFT was handed over and the register kept a role", "do not use it"
            )
        return {"did": str(document["id"]), "nft": made.nft, "datatoken": made.datatoken}

    def _send_once(self, step: str, call: UnsignedTransaction) -> Any:
        """Send the transaction of a step, or the recorded one where there is one, and return its receipt. It
        is recorded at the engine before it is sent: a register that dies in between sends the very same one
        again."""

        def record(raw: str, replaces: str | None) -> None:
            self._engine.post_request("intent", {"step": step, "raw": raw, "replaces": replaces})
            # After the engine has it: a record that failed must not count as one.
            self._recorded[step] = raw

        return send_idempotent(self._chain, self._signer, call, self._recorded.get(step), record)

    def _asset_document(
        self, name: str, made: publishing.CreatedAsset, wish: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the DDO of the results. The Provider seals where the files are, for this NFT and datatoken
        alone; no address and no key of the store is seen here."""
        sealed = self._engine.post_request(f"seal?nft={made.nft}&datatoken={made.datatoken}", b"")["sealed"]
        origin = dict(self._order["origin"])
        metadata = metadata_section(
            "dataset",
            name,
            str(wish.get("description") or f"Results of Compute-to-Data job {self._engine.job}"),
            str(self._order["owner"]),
            str(wish.get("license") or "CC-BY-4.0"),
            {"tags": [str(tag) for tag in wish.get("tags") or ()], "additionalInformation": {"c2d": origin}},
        )
        service = service_section(
            "access",
            datatoken=made.datatoken,
            endpoint=str(self._order["provider"]),
            files=str(sealed),
            timeout=0,
        )
        document = build_ddo(made.nft, self._chain.chain_id, metadata, [service])
        # An invalid description would be refused by metadata caches, after its transaction was paid.
        demand_valid(document)
        return document

    def _description_call(
        self, made: publishing.CreatedAsset, document: dict[str, Any]
    ) -> UnsignedTransaction:
        """Return the transaction of the description. It is sealed anew at each attempt, which only matters
        for the one that goes on record."""
        content = compact_json(document)
        sealed = str(self._engine.post_request("seal", content)["sealed"])
        return publishing.metadata_transaction(
            made.nft,
            0,
            str(self._order["provider"]),
            _ENCRYPTED,
            bytes.fromhex(sealed.removeprefix("0x")),
            # The hash of the plain text, with which a metadata cache checks what the Provider decrypts.
            "0x" + hashlib.sha256(content).hexdigest(),
            decryptor_address=self._signer.address,
        )
