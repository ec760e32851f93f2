"""Fetches a published document: its Provider decrypts it for this cache, whose request is signed.

The decryptor's URL was chosen by a publisher, so it goes through the one fetcher and its address rules.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from c2d_box.assets.crypto import signatures
from c2d_box.storage import Fetcher, StorageError
from c2d_box.storage.addresses import Origin
from c2d_box.storage.errors import FetchForbidden
from c2d_box.storage.http1 import HttpRequest
from c2d_box.strict_json import JsonRefused, parse_json

_BUFFERED_BYTES = 32 << 20
"""Bytes of all documents that are being read, together. With many hosts at once the limit of one document
alone would not bound the memory."""
_LONGEST_URL = 2048
"""Characters of a decryptor's URL. The chain would carry far longer ones."""


class DocumentUnavailable(Exception):
    """The decryptor could not be reached, or failed: the document is to be asked for again later."""


class DecryptorUnreachable(DocumentUnavailable):
    """Nothing came from the decryptor's host in time, so its other documents need not be asked for now."""


class DocumentWithheld(Exception):
    """The decryptor refuses the document to this cache (403). Asking again would not help."""


class DocumentWrong(Exception):
    """The document cannot be the one that the event announced: its hash differs, it is too large, or its
    decryptor's address is no URL."""


@dataclass(frozen=True)
class CacheKey:
    """The key by which decryptors and validating clients know this cache."""

    private_key: str
    address: str

    @classmethod
    def from_text(cls, text: str) -> CacheKey:
        """Read a key from a file's text, with or without 0x. Raise ValueError for what is no key."""
        key = text.strip() if text.strip().startswith("0x") else "0x" + text.strip()
        return cls(key, signatures.address_of(key))

    def __repr__(self) -> str:
        return f"CacheKey({self.address})"


class DocumentSource(Protocol):
    """A source of published documents."""

    def host_of(self, decryptor_url: str) -> str:
        """Return the host that answers for this URL; for a text that is no URL, any text."""

    def is_configured(self, decryptor_url: str) -> bool:
        """Return whether the operator of this cache has configured that host."""

    async def problem_of(self, decryptor_url: str) -> str:
        """Return the reason why this cache may never ask that host; empty where it may."""

    async def read_document(self, decryptor_url: str, nft: str, tx: str, expected_hash: str) -> bytes:
        """Return the document that transaction ``tx`` published for ``nft``, its hash verified."""


class DocumentDecryptor:
    """Asks the Providers that publishers named. Calls for one host must not overlap: nonces arrive there in
    the order in which they are made here."""

    def __init__(
        self,
        fetcher: Fetcher,
        key: CacheKey,
        chain_id: int,
        seconds: float,
        limit: int,
        configured: Iterable[str] = (),
    ) -> None:
        self._fetcher = fetcher
        self._key = key
        self._chain_id = chain_id
        self._seconds = seconds
        self._limit = limit
        # By host as it is reached, after aliases: publishers may write the same Provider in several ways.
        self._configured = {self.host_of(url) for url in configured}
        # Starts below the clock, which the first request takes over.
        self._nonce = 0
        self._buffered = 0

    def host_of(self, decryptor_url: str) -> str:
        """Return the origin that answers for this URL; empty for what is no URL that can be fetched."""
        try:
            origin = Origin.from_url(self._fetcher.apply_aliases(decryptor_url[:_LONGEST_URL]))
        except StorageError:
            return ""
        return f"{origin.scheme}://{origin.netloc}"

    def is_configured(self, decryptor_url: str) -> bool:
        """Return whether the operator named this Provider in ``endpointAliases``."""
        return self.host_of(decryptor_url) in self._configured

    async def problem_of(self, decryptor_url: str) -> str:
        """Return the problem that the address itself has; nothing is sent to the host. A name that cannot be
        resolved now is not reported, because that may pass."""
        if len(decryptor_url) > _LONGEST_URL or not self.host_of(decryptor_url):
            return "the address is not a URL that can be asked"
        try:
            await self._fetcher.demand_permitted(decryptor_url)
        except FetchForbidden as error:
            return error.text
        except StorageError:
            return ""
        return ""

    async def read_document(self, decryptor_url: str, nft: str, tx: str, expected_hash: str) -> bytes:
        """Return the document, its hash verified. Each exception tells the queue what to do: ask again
        later, leave the host alone for a while, or never ask again."""
        if len(decryptor_url) > _LONGEST_URL or not self.host_of(decryptor_url):
            raise DocumentWrong("the decryptor's address is not a URL that can be asked")
        try:
            # One deadline for the whole exchange: a server that sends a byte a second must not hold its slot.
            async with asyncio.timeout(self._seconds):
                status, body = await self._ask_decryptor(decryptor_url, nft, tx)
        except TimeoutError:
            raise DecryptorUnreachable("the decryptor did not answer in time") from None
        except StorageError as error:
            raise DecryptorUnreachable(f"the decryptor cannot be used: {error.text}") from None
        # The Provider's words for a decrypter that it does not serve, and for an asset that its publisher
        # ended.
        if status == 403:
            raise DocumentWithheld("the decryptor refuses this cache")
        # Any other status may be a fault that passes.
        if status not in (200, 201):
            raise DocumentUnavailable(f"the decryptor answered with status {status}{_error_text(body)}")
        # The chain holds the hash, so a decryptor cannot give this cache another document than the published
        # one.
        if "0x" + sha256(body).hexdigest() != expected_hash.lower():
            raise DocumentWrong("the document does not match the hash on the chain")
        return body

    async def _ask_decryptor(self, decryptor_url: str, nft: str, tx: str) -> tuple[int, bytes]:
        """Send one signed request and return status and body. Raise StorageError where the host cannot be
        reached, DocumentWrong for a body that is too large."""
        # Nanoseconds that never repeat: Providers keep a scale of their own for decrypters.
        self._nonce = max(time.time_ns(), self._nonce + 1)
        nonce = str(self._nonce)
        # Ocean's text for a decryption, without separators.
        message = f"{tx}{self._key.address}{self._chain_id}{nonce}"
        payload = {
            "transactionId": tx,
            "chainId": self._chain_id,
            "decrypterAddress": self._key.address,
            "dataNftAddress": nft,
            "nonce": nonce,
            "signature": signatures.sign_text(self._key.private_key, message),
        }
        request = HttpRequest(
            "POST",
            decryptor_url.rstrip("/") + "/api/services/decrypt",
            {"Content-Type": "application/json"},
            json.dumps(payload).encode(),
            # A redirect would carry the signature to a host that the publisher did not name on the chain.
            follow=False,
        )
        response = await self._fetcher.fetch(request)
        body = bytearray()
        try:
            # Counted while it is read, because the announced length proves nothing.
            async for chunk in response.chunks():
                body += chunk
                self._buffered += len(chunk)
                if len(body) > self._limit:
                    raise DocumentWrong("the document is too large")
                # Small documents go on even then, so that large ones cannot stop everybody's.
                if self._buffered > _BUFFERED_BYTES and len(body) > _BUFFERED_BYTES // 64:
                    raise DocumentUnavailable("too much is being read at once")
            return response.status, bytes(body)
        finally:
            self._buffered -= len(body)
            response.close()


def _error_text(body: bytes) -> str:
    """Return the error text that the Provider sent, where it sent any."""
    try:
        value = parse_json(body)
    except JsonRefused:
        return ""
    text = value.get("error") or value.get("errors") if isinstance(value, dict) else None
    return f": {str(text)[:200]}" if text else ""
