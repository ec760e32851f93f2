"""Fetching a published document: its Provider decrypts it for this cache, whose request is signed.

The decryptor's URL was chosen by a publisher, so it goes through the one fetcher and its address rules.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from hashlib import sha256

from c2d_box.assets import signatures
from c2d_box.storage import Fetcher, StorageError
from c2d_box.storage.http1 import HttpRequest


class DocumentUnavailable(Exception):
    """Try again later: the decryptor could not be reached or failed."""


class DocumentWithheld(Exception):
    """The decryptor will not give it to us (403): nothing to try again."""


class DocumentWrong(Exception):
    """What came is not what the event's hash promises."""


@dataclass(frozen=True)
class CacheKey:
    """The key by which decryptors and validating clients know this cache."""

    private_key: str
    address: str

    @classmethod
    def of(cls, text: str) -> CacheKey:
        key = text.strip() if text.strip().startswith("0x") else "0x" + text.strip()
        return cls(key, signatures.address_of(key))

    def __repr__(self) -> str:
        return f"CacheKey({self.address})"


class Decryptor:
    def __init__(self, fetcher: Fetcher, key: CacheKey, chain_id: int, seconds: float, limit: int) -> None:
        self._fetcher = fetcher
        self._key = key
        self._chain_id = chain_id
        self._seconds = seconds
        self._limit = limit
        self._turn = asyncio.Lock()  # nonces must arrive in the order in which they were made
        self._nonce = 0

    async def document(self, decryptor_url: str, nft: str, tx: str, expected_hash: str) -> bytes:
        """The document that transaction ``tx`` published for ``nft``, its hash verified."""
        async with self._turn:
            try:
                async with asyncio.timeout(self._seconds):
                    status, body = await self._ask(decryptor_url, nft, tx)
            except TimeoutError:
                raise DocumentUnavailable("the decryptor did not answer in time") from None
            except StorageError as error:
                raise DocumentUnavailable(f"the decryptor cannot be used: {error.text}") from None
        if status == 403:
            raise DocumentWithheld("the decryptor refuses this cache")
        if status not in (200, 201):
            raise DocumentUnavailable(f"the decryptor answered with status {status}{_why(body)}")
        if "0x" + sha256(body).hexdigest() != expected_hash.lower():
            raise DocumentWrong("the document does not match the hash on the chain")
        return body

    async def _ask(self, decryptor_url: str, nft: str, tx: str) -> tuple[int, bytes]:
        self._nonce = max(time.time_ns(), self._nonce + 1)
        nonce = str(self._nonce)
        message = f"{tx}{self._key.address}{self._chain_id}{nonce}"
        payload = {
            "transactionId": tx,
            "chainId": self._chain_id,
            "decrypterAddress": self._key.address,
            "dataNftAddress": nft,
            "nonce": nonce,
            "signature": signatures.sign(self._key.private_key, message),
        }
        request = HttpRequest(
            "POST",
            decryptor_url.rstrip("/") + "/api/services/decrypt",
            {"Content-Type": "application/json"},
            json.dumps(payload).encode(),
            follow=False,
        )
        response = await self._fetcher.fetch(request)
        try:
            body = bytearray()
            async for chunk in response.chunks():
                body += chunk
                if len(body) > self._limit:
                    raise DocumentWrong("the document is too large")
            return response.status, bytes(body)
        finally:
            response.close()


def _why(body: bytes) -> str:
    """The Provider's own words, where it gave any."""
    try:
        value = json.loads(body)
    except ValueError:
        return ""
    text = value.get("error") or value.get("errors") if isinstance(value, dict) else None
    return f": {str(text)[:200]}" if text else ""
