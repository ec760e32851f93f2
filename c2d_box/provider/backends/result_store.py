"""Builds the result store that this Provider's settings name, and closes its gateway to other file
objects."""

from __future__ import annotations

from pathlib import Path

from c2d_box.provider.settings import ProviderSettings
from c2d_box.storage import AddressRules, Fetcher, FetchTimeouts, IpfsResults, Origin, ResultStore, S3Results
from c2d_box.storage.sigv4 import S3Credentials
from c2d_box.workflow.result_store import IpfsStore


def result_store(settings: ProviderSettings) -> ResultStore | None:
    """Return the configured result store, None where none is configured. Its keys are files of the secrets
    folder, needed for result assets only.
    """
    store = settings.result_store
    if store is None:
        return None
    place: IpfsResults | S3Results
    # IPFS content is addressed by its hash and its gateway has no keys; S3 needs a key that may read the
    # bucket.
    if isinstance(store, IpfsStore):
        place = IpfsResults(store.gateway)
    else:
        access, secret = (
            _read_secret(settings.secrets_dir, f"s3-{part}-key") for part in ("access", "secret")
        )
        # Half a key is none. The store is then known, but result assets cannot be read.
        credentials = S3Credentials(access, secret, store.region) if access and secret else None
        place = S3Results(store.endpoint, store.bucket, credentials)
    # A fetcher of its own, which reaches the store and nothing else.
    fetcher = Fetcher(AddressRules([place.origin]), timeouts=FetchTimeouts(head=settings.fetch.timeout))
    return ResultStore(place, _read_secret(settings.secrets_dir, "result-secret"), fetcher)


def open_origins(settings: ProviderSettings, results: ResultStore | None) -> list[str]:
    """Return ``fetch.allow`` without the gateway of the result store: a URL file object must not reach
    results that an IPFS file object may not reach by their CID.

    The origin of an S3 store stays: whoever reads from there needs a key of its own.
    """
    allowed = list(settings.fetch.allow)
    if results is None or not isinstance(results.place, IpfsResults):
        return allowed
    # Compared as origins, so that another spelling of the same address is closed too.
    closed = Origin.from_url(results.place.gateway)
    return [entry for entry in allowed if Origin.from_url(entry) != closed]


def _read_secret(folder: Path, name: str) -> str | None:
    """Return a secret file's text, None where it is missing or empty: results are an option, so that is no
    error."""
    try:
        return (folder / name).read_text().strip() or None
    except OSError:
        return None
