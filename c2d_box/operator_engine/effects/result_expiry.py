"""Deletes a job's results from the store when they expire (an environment's ``storageExpiry``).

Safe to repeat: a result that is gone already counts as deleted. On IPFS the job's folder is unpinned and what
nothing else pins is collected; a node with peers may have given copies away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote, urlsplit

import httpx

from c2d_box.assets.results import object_key
from c2d_box.kubernetes.port import ClusterError
from c2d_box.storage.s3_client import S3Endpoint
from c2d_box.storage.sigv4 import S3Credentials
from c2d_box.workflow.resource import JobResult
from c2d_box.workflow.result_store import IpfsStore, S3Store

_NOT_PINNED = "not pinned"
"""Kubo answers 500 with this text for a folder that is not pinned (any more); it has no code for that."""
Secret = Callable[[str], str]
"""Returns the secret of a name; it is read only for the store that is in use."""


async def delete_results(
    store: IpfsStore | S3Store, secret: Secret, job: str, results: Sequence[JobResult]
) -> None:
    """Delete ``results`` from the store. Raises ClusterError where the store does not answer or refuses.

    In S3 only what lies below the job's own prefix is deleted.
    """
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=30.0) as client:
            if isinstance(store, IpfsStore):
                places = [urlsplit(result.url) for result in results]
                # All results of a job lie in one folder, so this is one root, but
                # an old status may name more.
                roots = sorted({place.netloc for place in places if place.scheme == "ipfs"})
                await _unpin_from_ipfs(client, store, secret("expiry-token"), roots)
            else:
                # The status is not trusted with the store's keys: an address outside of
                # the job's prefix is skipped.
                found = {object_key(result.url, bucket=store.bucket, job=job) for result in results}
                keys = sorted(key for key in found if key is not None)
                credentials = S3Credentials(secret("s3-access-key"), secret("s3-secret-key"), store.region)
                await _delete_from_s3(client, S3Endpoint(store.endpoint, credentials), store.bucket, keys)
    except httpx.HTTPError as error:
        raise ClusterError(f"the result store could not be reached ({type(error).__name__})") from error


async def _unpin_from_ipfs(client: httpx.AsyncClient, store: IpfsStore, token: str, roots: list[str]) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    base = f"{store.api.rstrip('/')}/api/v0"
    for root in roots:
        answer = await client.post(f"{base}/pin/rm?arg={quote(root)}", headers=headers)
        if answer.status_code != 200 and _NOT_PINNED not in answer.text:
            raise ClusterError(f"IPFS answered {answer.status_code} to unpinning a job's results")
    if roots:
        # Collecting walks through all blocks of the store, hence ten minutes.
        answer = await client.post(f"{base}/repo/gc?quiet=true", headers=headers, timeout=600.0)
        if answer.status_code != 200:
            raise ClusterError(f"IPFS answered {answer.status_code} to collecting what is not pinned")


async def _delete_from_s3(
    client: httpx.AsyncClient, endpoint: S3Endpoint, bucket: str, keys: list[str]
) -> None:
    for key in keys:
        request = endpoint.sign_request("DELETE", bucket, key)
        answer = await client.delete(request.url, headers=request.headers)
        # S3 answers 204 also for an object that is not there; some stores answer 404.
        if answer.status_code not in (200, 204, 404):
            raise ClusterError(f"S3 answered {answer.status_code} to deleting a result")
