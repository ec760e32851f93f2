"""Publishes, permits and downloads assets, for one of the box's accounts.

A local file is put into the box's private S3 first; the DDO holds its address there, encrypted to the
Provider.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from c2d_box.errors import Refused, UsageError
from sandbox.box import Box
from sandbox.install.images import ContainerImage, demand_entrypoint, find_image
from sandbox.keys import open_keys
from sandbox.objectstore import ObjectStore
from sandbox.progress import Progress, run_step
from sandbox.verbs.accounts import signer
from sandbox.verbs.sdk_connections import connection_to, open_consumer, open_publisher

if TYPE_CHECKING:
    from c2d_box.assets.permissions import EmptyLists, PermissionVerdict
    from c2d_box.client import PoolPrice, SpendingLimits
    from c2d_box.client.explanations import AlgorithmVersion

IN_CLUSTER_S3 = "http://s3.c2d.svc:9000"
"""URL of the store as the Provider sees it, whatever port it has on this machine."""


@dataclass(frozen=True, slots=True)
class AssetOffer:
    """A publisher's terms for an asset: everything besides its content."""

    name: str
    description: str = ""
    author: str = ""
    price: float = 0.0
    """OCEAN per order; 0 is free."""
    services: tuple[str, ...] = ("compute",)
    timeout: int = 0
    """Seconds an order may be used; 0 for ever."""
    pool: bool = False
    """True for an asset sold from a pool whose price begins at ``price``."""
    liquidity: float | None = None
    """OCEAN put into the pool; None: the price of a hundred datatokens."""
    disclosure: Mapping[str, Any] | None = None
    """Rules for the results of jobs on a dataset; None for none."""


@dataclass(frozen=True, slots=True)
class PublishedAsset:
    """An asset that is on the chain and in the metadata cache."""

    did: str
    name: str
    type: str
    nft: str
    datatoken: str
    price: float
    publisher: str
    pool: str | None = None


def publish_dataset(box: Box, who: str, source: str, offer: AssetOffer) -> Progress[PublishedAsset]:
    """Publish a file or URL as a dataset. Nobody may compute on it until ``permit``.

    ``source`` is a path, an ``http(s)://`` or an ``ipfs://`` URL; it is stored before anything is signed.
    """
    file = yield from _file_object(box, who, source)
    with open_publisher(box, who) as party:
        asset = yield from run_step(
            "publish.dataset",
            f"publishing {offer.name} on the chain",
            lambda: party.publish_dataset(
                offer.name,
                [file],
                price=asking_price(offer),
                services=offer.services,
                timeout=offer.timeout,
                description=offer.description,
                author=offer.author or who,
                disclosure=offer.disclosure,
            ),
        )
    return _as_published(asset, offer, "dataset", who)


def publish_algorithm(
    box: Box, who: str, source: str, image: str, entrypoint: str, offer: AssetOffer
) -> Progress[PublishedAsset]:
    """Publish a script or binary as an algorithm that runs in ``image``, which must be on the node.

    The image's digest goes into the DDO: permissions name it, so the image cannot be swapped later.
    """
    # First, because an unknown image must not leave an uploaded file behind.
    container = find_image(box, image)
    file = yield from _file_object(box, who, source)
    with open_publisher(box, who) as party:
        asset = yield from run_step(
            "publish.algorithm",
            f"publishing {offer.name} on the chain",
            lambda: party.publish_algorithm(
                offer.name,
                [file],
                container=container_section(container, entrypoint),
                price=asking_price(offer),
                services=offer.services,
                timeout=offer.timeout,
                description=offer.description,
                author=offer.author or who,
            ),
        )
    return _as_published(asset, offer, "algorithm", who)


def asking_price(offer: AssetOffer) -> float | PoolPrice:
    """Return the offer's price as the SDK takes it: a number, or a pool. Raises ``C2D-USAGE`` for liquidity
    without a pool.
    """
    from c2d_box.client import PoolPrice

    if offer.pool:
        return PoolPrice(offer.price, offer.liquidity)
    if offer.liquidity is not None:
        raise UsageError("C2D-USAGE", "liquidity is put into a pool, and there is none", "add --pool")
    return offer.price


def replace_content(
    box: Box, who: str, did: str, source: str, container: Mapping[str, str] | None = None
) -> Progress[None]:
    """Publish changed content under its DID. Owners of data who permitted the old version of an algorithm
    have to permit it anew.
    """
    file = yield from _file_object(box, who, source)
    with open_publisher(box, who) as party:
        yield from run_step(
            "publish.update",
            f"{Path(source).name} has changed: publishing it again as {did}",
            lambda: party.replace_files(did, [file], container=container),
        )


def permit_algorithm(
    box: Box, who: str, dataset: str, algorithm: str, version: AlgorithmVersion | None = None
) -> Progress[None]:
    """Put ``algorithm``, as it is now, on the dataset's list of trusted ones; with ``version``, only where it
    is that version.

    ``version`` closes a gap: what the user has read may be replaced between reading and signing.
    """
    text = f"permitting {short_did(algorithm)} on {short_did(dataset)}"
    with open_publisher(box, who) as party:
        yield from run_step("permit", text, lambda: party.permit(dataset, algorithm, version))


def revoke_algorithm(box: Box, who: str, dataset: str, algorithm: str) -> Progress[None]:
    """Take ``algorithm`` off the dataset's list."""
    text = f"revoking {short_did(algorithm)} on {short_did(dataset)}"
    with open_publisher(box, who) as party:
        yield from run_step("revoke", text, lambda: party.revoke(dataset, algorithm))


def list_assets(box: Box) -> list[dict[str, Any]]:
    """Return the DDO of every asset the cache knows."""
    with connection_to(box) as connection:
        return connection.cache.list_assets()


def read_ddo(box: Box, did: str) -> dict[str, Any]:
    """Return one asset's DDO as the cache serves it; raise Refused where it knows none."""
    with connection_to(box) as connection:
        return connection.cache.read_record(did)


def is_alive(box: Box, did: str) -> bool:
    """Return whether the box still has that asset, and it has not ended: after a reset the asset is gone."""
    try:
        record = read_ddo(box, did)
    except Refused:
        return False
    return int((record.get("nft") or {}).get("state") or 0) == 0


def permission_verdict(box: Box, dataset: str, algorithm: str) -> PermissionVerdict:
    """Return whether the algorithm may run on the dataset, with the reasons."""
    from c2d_box.client import explain_permission

    with connection_to(box) as connection:
        return explain_permission(
            connection, dataset, algorithm, cast("EmptyLists", box.settings.trust_empty_lists)
        )


def container_section(image: ContainerImage, entrypoint: str) -> dict[str, str]:
    """Return the DDO's ``container``; raise C2D-ENTRYPOINT-NEEDS-SHELL where the image is known to have no
    shell.
    """
    demand_entrypoint(image, entrypoint)
    return {"entrypoint": entrypoint, "image": image.image, "tag": image.tag, "checksum": image.checksum}


def bucket_of(who: str) -> str:
    """Return the bucket of an account. Each publishing account has its own, so that its sealed key opens
    nobody else's files.
    """
    return f"published-{signer(who).address[2:].lower()}"


def store_file(box: Box, who: str, path: Path) -> Mapping[str, Any]:
    """Put a local file into the box's S3; return the file object that belongs in a DDO.

    The key in it reads the account's bucket and does nothing else.
    """
    # The box's own key only makes the bucket and its reader; what goes into the DDO is the reader's key.
    keys, bucket = open_keys(box.home.keys_folder), bucket_of(who)
    store = ObjectStore(box.service_urls["s3"], keys["s3-access-key"], keys["s3-secret-key"])
    # Idempotent, as is ``reader_of``: the reader's key is derived anew for the same bucket.
    store.ensure_bucket(bucket)
    reader = store.reader_of(bucket)
    with path.open("rb") as file:
        # The hash keeps versions apart: a changed file gets another key, and an asset published earlier keeps
        # its content.
        name = f"{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}/{path.name}"
    store.put_file(bucket, name, path)
    access = {
        "endpoint": IN_CLUSTER_S3,
        "region": store.region,
        "bucket": bucket,
        "objectKey": name,
        "accessKeyId": reader.access_key,
        "secretAccessKey": reader.secret_key,
    }
    return {"type": "s3", "s3Access": access}


def short_did(did: str) -> str:
    """Return a DID shortened for progress output."""
    return f"{did[:14]}…{did[-4:]}" if len(did) > 24 else did


def _file_object(box: Box, who: str, source: str) -> Progress[Mapping[str, Any]]:
    """Return the file object of a source as a DDO holds it; a local file is stored first."""
    if source.startswith(("http://", "https://")):
        return {"type": "url", "url": source, "method": "GET"}
    # The Provider fetches remote content when a job needs it; nothing is copied into the box.
    if source.startswith("ipfs://"):
        return {"type": "ipfs", "hash": source.removeprefix("ipfs://")}
    path = Path(source)
    if not path.is_file():
        raise UsageError(
            "C2D-PUBLISH-NO-FILE", f"{source} is neither a file nor a URL", "give a path or a URL"
        )
    return (
        yield from run_step(
            "publish.store", f"putting {path.name} into the box's S3", lambda: store_file(box, who, path)
        )
    )


def _as_published(asset: Any, offer: AssetOffer, kind: str, who: str) -> PublishedAsset:
    return PublishedAsset(
        asset.did, offer.name, kind, asset.nft, asset.datatoken, offer.price, who, asset.pool
    )


def download_asset(
    box: Box, who: str, did: str, folder: Path, spending: SpendingLimits
) -> Progress[list[Path]]:
    """Order an ``access`` asset and bring its files to ``folder``. ``spending`` limits what the order may
    cost.
    """
    text = f"ordering and downloading {short_did(did)}"
    with open_consumer(box, who) as party:
        limits, slippage = spending.limits_for(party.connection.chain), spending.slippage
        return (
            yield from run_step(
                "download", text, lambda: party.download(did, folder, limits=limits, slippage=slippage)
            )
        )
