"""``seed``: applies a list to the box. A second run does only what differs.

Content and container of a changed asset are published again under its DID; permissions are set to exactly
what the list says. Price, type and services of a published asset are fixed: a list that changes them is
refused before anything is done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from c2d_box.errors import StateProblem
from c2d_box.files import replace_file
from c2d_box.units import ETHER
from sandbox.box import Box
from sandbox.install.baseline import take_baseline
from sandbox.install.images import find_image
from sandbox.progress import Progress, ProgressEvent
from sandbox.seeding.declaration import AccountSeed, AssetSeed, Declaration
from sandbox.verbs.accounts import signer
from sandbox.verbs.chain_connection import chain_of
from sandbox.verbs.faucet import faucet
from sandbox.verbs.publishing import assets, trust
from sandbox.verbs.publishing.asset_identity import asset_mark

FIXED = ("type", "owner", "price", "services", "timeout")
"""Fields that stay for the life of a published asset; a list that changes one is refused."""


@dataclass(frozen=True, slots=True)
class SeededAsset:
    """An asset of a list as it was last applied. ``content`` is a hash of what is published, ``fixed`` the
    values that cannot change, ``mark`` tells it from any other that has its DID.
    """

    did: str
    content: str
    fixed: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class SeedReport:
    """The result of ``seed``: DIDs by the names of the list, and what this run had to do for it."""

    assets: Mapping[str, str]
    changed: tuple[str, ...]


def seed(box: Box, declared: Declaration) -> Progress[SeedReport]:
    """Apply ``declared``; raises ``C2D-SEED-FIXED`` where it contradicts what is published."""
    record = _SeedRecord(box.home.seed_file)
    # After a reset the record names assets that are gone, or that are others by now.
    living = {name: planted for name, planted in record.read_all().items() if _is_alive(box, planted)}
    # The whole list is checked before the first change, so a refusal leaves the box as it was.
    _demand_unfixed(declared, living)
    changed: list[str] = []
    for who, least in declared.accounts.items():
        changed += [who] if (yield from _fill_account(box, who, least)) else []
    dids: dict[str, str] = {}
    # In this order a dataset exists only once its algorithms do.
    algorithms_first = sorted(declared.assets.items(), key=lambda entry: entry[1].type != "algorithm")
    for name, asset in algorithms_first:
        planted, did_something = yield from _publish_asset(box, declared, name, asset, living.get(name))
        # After each asset: an interrupted run goes on where it was and publishes no recorded asset again.
        record.put_asset(name, replace(planted, mark=asset_mark(box, planted.did)))
        dids[name] = planted.did
        changed += [name] if did_something else []
    # Rules in a second pass: by now every asset of the list has a DID.
    for name, asset in declared.assets.items():
        if asset.type == "dataset" and (yield from _apply_rules(box, name, asset, dids)):
            changed.append(name)
    yield from take_baseline(box)
    # An asset that was published and got rules is named once.
    return SeedReport(dids, tuple(dict.fromkeys(changed)))


class _SeedRecord:
    """``seed.json``: the assets that lists have published in this box, by name. If it is lost, assets get new
    DIDs.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def read_all(self) -> dict[str, SeededAsset]:
        """Return the recorded assets by name; {} where the file is missing or broken."""
        try:
            return {name: SeededAsset(**entry) for name, entry in json.loads(self._file.read_text()).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            # A record that cannot be read costs new DIDs and nothing else.
            return {}

    def put_asset(self, name: str, planted: SeededAsset) -> None:
        """Record an asset. The file is replaced as a whole, so a crash leaves the old one."""
        entries = {known: asdict(entry) for known, entry in {**self.read_all(), name: planted}.items()}
        replace_file(self._file, json.dumps(entries, indent=2) + "\n")


def _is_alive(box: Box, planted: SeededAsset) -> bool:
    """Return whether the box still has the asset. After a chain was taken back its DID may belong to another
    asset.
    """
    return bool(planted.mark) and asset_mark(box, planted.did) == planted.mark


def _demand_unfixed(declared: Declaration, living: Mapping[str, SeededAsset]) -> None:
    """Raise an error where the list gives a published asset other fixed values."""
    for name, asset in declared.assets.items():
        planted = living.get(name)
        if planted is not None and planted.fixed != _fixed_values(asset):
            raise StateProblem(
                "C2D-SEED-FIXED",
                f"{name} is published with another {', '.join(_differing_keys(planted.fixed, asset))}, "
                "which stays as it is for the life of an asset",
                "give it another name in the list, or forget the box's assets: c2d-box reset",
            )


def _differing_keys(before: str, asset: AssetSeed) -> list[str]:
    """Return the fixed fields whose values differ from those of the published asset."""
    known, wanted = json.loads(before), json.loads(_fixed_values(asset))
    return [key for key in FIXED if known.get(key) != wanted[key]]


def _fixed_values(asset: AssetSeed) -> str:
    """Return the fixed fields as JSON, in one spelling, for the record and for comparison."""
    values = {**asset.model_dump(include=set(FIXED)), "services": asset.offered_services}
    return json.dumps(values, sort_keys=True)


def _fill_account(box: Box, who: str, least: AccountSeed) -> Progress[bool]:
    """Raise an account's balances to the least; return False where it has them. Nothing is taken away."""
    chain, address = chain_of(box), signer(who).address
    eth = max(0.0, least.eth - chain.balance_of(address) / ETHER)
    ocean = max(0.0, least.ocean - chain.balance_of(address, chain.addresses.ocean) / ETHER)
    if not eth and not ocean:
        yield ProgressEvent("seed.account", "skipped", f"{who} has enough")
        return False
    yield from faucet(box, who, eth, ocean)
    return True


def _publish_asset(
    box: Box, declared: Declaration, name: str, asset: AssetSeed, before: SeededAsset | None
) -> Progress[tuple[SeededAsset, bool]]:
    """Publish an asset, or its new content; return it, and whether something was done."""
    source, content = declared.content_source(asset), _content(box, declared, asset)
    # By content: applying a list twice sends no transaction.
    if before is not None and before.content == content:
        yield ProgressEvent(f"seed.{asset.type}", "skipped", f"{name} is published as it is: {before.did}")
        return before, False
    if before is not None:
        container = _container_section(box, asset)
        yield from assets.replace_content(box, asset.owner, before.did, source, container)
        return SeededAsset(before.did, content, before.fixed), True
    offer = assets.AssetOffer(
        asset.name or name,
        asset.description,
        price=asset.price,
        services=asset.offered_services,
        timeout=asset.timeout,
    )
    if asset.type == "dataset":
        made = yield from assets.publish_dataset(box, asset.owner, source, offer)
    else:
        made = yield from assets.publish_algorithm(
            box, asset.owner, source, asset.image, asset.entrypoint, offer
        )
    return SeededAsset(made.did, content, _fixed_values(asset)), True


def _content(box: Box, declared: Declaration, asset: AssetSeed) -> str:
    """Return a hash of what is published: the file's bytes or the URL, and the container."""
    digest = hashlib.sha256(json.dumps(_container_section(box, asset), sort_keys=True).encode())
    if asset.url:
        # The address only: what a URL serves is not fetched for this, and may change unnoticed.
        digest.update(asset.url.encode())
        return digest.hexdigest()
    with Path(declared.content_source(asset)).open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _container_section(box: Box, asset: AssetSeed) -> dict[str, str] | None:
    """Return the container of an algorithm's description; None for a dataset."""
    if asset.type == "dataset":
        return None
    return assets.container_section(find_image(box, asset.image), asset.entrypoint)


def _apply_rules(box: Box, name: str, asset: AssetSeed, dids: Mapping[str, str]) -> Progress[bool]:
    """Make a dataset's rules those of the list; return False where they are already."""
    did = dids[name]
    rules, changed = trust.rules_of(assets.read_ddo(box, did)), False
    # Names of the list become DIDs; a DID stands for itself.
    wanted = [dids.get(algorithm, algorithm) for algorithm in asset.permit]
    for algorithm in wanted:
        # A permission names a version: after an edit of the algorithm it has to be given again.
        if algorithm not in rules.algorithms or not assets.permission_verdict(box, did, algorithm).allowed:
            yield from assets.permit_algorithm(box, asset.owner, did, algorithm)
            changed = True
    # The list is complete, so a permission that it does not have is taken back.
    for algorithm in rules.algorithms:
        if algorithm not in wanted:
            yield from assets.revoke_algorithm(box, asset.owner, did, algorithm)
            changed = True
    wider = trust.TrustChange(
        tuple(_account_address(who) for who in asset.trust.publishers),
        tuple(_account_address(who) for who in asset.trust.markets),
        asset.trust.all_published,
        asset.trust.raw,
        asset.trust.network,
    )
    now = trust.TrustChange(rules.publishers, rules.markets, rules.all_published, rules.raw, rules.network)
    # Compared first: each change is a transaction.
    if wider != now:
        yield from trust.change_trust(box, asset.owner, did, wider)
        changed = True
    return changed


def _account_address(who: str) -> str:
    """Return an address: the one given, or that of an account of the box."""
    return who if who.startswith("0x") else signer(who).address
