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
    if isinstance(store, IpfsStore):
        place = IpfsResults(store.gateway)
    else:
        access, secret = (
            _read_secret(settings.secrets_dir, f"s3-{part}-key") for part in ("access", "secret")
        )
        credentials = S3Credentials(access, secret, store.region) if access and secret else None
        place = S3Results(store.endpoint, store.bucket, credentials)
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
    closed = Origin.from_url(results.place.gateway)
    return [entry for entry in allowed if Origin.from_url(entry) != closed]


def _read_secret(folder: Path, name: str) -> str | None:
    try:
        return (folder / name).read_text().strip() or None
    except OSError:
        return None
