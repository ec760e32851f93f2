"""Encrypting for this Provider, and decrypting published documents for metadata caches.

Anybody may have something encrypted, since only this Provider can open it. Decrypting is bound to what was
published: the NFT has to be genuine, its state has to allow it, and the bytes have to match the hash on the
chain.
"""

from __future__ import annotations

import lzma
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from c2d_box.assets.addresses import is_address
from c2d_box.assets.crypto.ecies import DecryptionError
from c2d_box.provider.auth import signed_texts
from c2d_box.provider.auth.caller import owner_in
from c2d_box.provider.backends.chain_gateway import PublishedDocument
from c2d_box.provider.errors import ProviderRefusal
from c2d_box.provider.requests import fields
from c2d_box.provider.requests.parameters import read_parameters, read_raw_body
from c2d_box.provider.services import ProviderContext, provider_context

_TEXT = {"content-type": "text/plain"}
# Bits of the ``flags`` that the NFT's MetadataCreated and MetadataUpdated events carry.
_COMPRESSED, _ENCRYPTED = 1, 2
# Bytes of an unpacked document, far above what any DDO takes.
_MAX_DOCUMENT = 8 << 20
# Ocean's states of an NFT in which its description is not shown any more.
_STATES = {1: "Asset end of life", 2: "Asset deprecated", 3: "Asset revoked"}


async def encrypt_document(request: Request) -> Response:
    """The body's bytes under this Provider's key, as hex text; another chain is another key and refused."""
    provider = provider_context(request)
    if request.headers.get("content-type") != "application/octet-stream":
        raise ProviderRefusal("Invalid request content type: should be application/octet-stream")
    chain_id = request.query_params.get("chainId")
    if not chain_id:
        raise ProviderRefusal("Missing chainId query parameter.")
    data = await read_raw_body(request, provider.settings.limits)
    if chain_id != str(provider.chain_id):
        raise ProviderRefusal("Failed to encrypt.")
    return Response("0x" + provider.key.encrypt(data).hex(), 201, _TEXT)


async def decrypt_document(request: Request) -> Response:
    """A published document for a caller who may see it; its hash is verified before it leaves."""
    provider = provider_context(request)
    data = await read_parameters(request, provider.settings.limits)
    caller = provider.callers.verify_caller(
        data, fields.DECRYPT, signed_texts.decrypt_claim(data, provider.chain_id)
    )
    # Before the lookups, which cost requests to the chain: a repetition must not cause them again.
    caller.use_nonce(provider.nonces)
    owner, authorized = owner_in(data, "decrypterAddress"), provider.settings.authorized_decrypters
    if authorized and owner not in authorized:
        raise ProviderRefusal("Decrypter not authorized", status=403)
    nft = str(data["dataNftAddress"])
    # Anybody can deploy a contract that emits such events, so only the factory's NFTs count.
    if not is_address(nft) or not await provider.ledger.is_genuine(nft):
        raise ProviderRefusal("Asset not deployed by the data NFT factory.")
    published = await _published_document(provider, data, nft)
    state = await provider.ledger.nft_state(nft)
    if state in _STATES:
        raise ProviderRefusal(_STATES[state], status=403)
    # Active, no orders, unlisted: such assets are still read. Any other number is none of Ocean's.
    if state not in (0, 4, 5):
        raise ProviderRefusal("Invalid MetadataState")
    return Response(_open_document(provider, published), 201, _TEXT)


async def _published_document(
    provider: ProviderContext, data: Mapping[str, Any], nft: str
) -> PublishedDocument:
    """Return the document with its flags and hash: from the request itself where it brings them, else from
    the transaction. Raise Refusal where neither gives one."""
    if not data.get("transactionId"):
        try:
            document = bytes.fromhex(str(data["encryptedDocument"]).removeprefix("0x"))
            expected = bytes.fromhex(str(data["documentHash"]).removeprefix("0x"))
            return PublishedDocument(document, int(data["flags"]), "0x" + expected.hex())
        except ValueError:
            raise ProviderRefusal("Failed to convert input args to bytes.") from None
    try:
        published = await provider.ledger.published_document(str(data["transactionId"]), nft)
    except ValueError:
        published = None
    if published is None:
        raise ProviderRefusal("Failed to process transaction id.")
    return published


def _open_document(provider: ProviderContext, published: PublishedDocument) -> bytes:
    """Return the document in plain. Decrypted first and unpacked then, the reverse of how it was published;
    the hash is over the plain bytes."""
    document = published.data
    if published.flags & _ENCRYPTED:
        try:
            document = provider.key.decrypt(document)
        except DecryptionError:
            raise ProviderRefusal("Failed to decrypt.") from None
    if published.flags & _COMPRESSED:
        document = _decompress_document(document)
    # Over the plain bytes: what came out of decrypting and unpacking has to be what the chain names.
    if "0x" + sha256(document).hexdigest() != published.hash.lower():
        raise ProviderRefusal("Checksum doesn't match.")
    return document


def _decompress_document(data: bytes) -> bytes:
    """Return the unpacked document. Size and memory are limited, because a few kilobytes can unpack to
    gigabytes."""
    try:
        machine = lzma.LZMADecompressor(memlimit=128 << 20)
        document = machine.decompress(data, _MAX_DOCUMENT + 1)
    except lzma.LZMAError:
        raise ProviderRefusal("Failed to decompress") from None
    if not machine.eof or len(document) > _MAX_DOCUMENT:
        raise ProviderRefusal("Failed to decompress")
    return document
