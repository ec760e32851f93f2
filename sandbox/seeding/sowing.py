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
from sandbox.progress import Event, Progress
from sandbox.seeding.declaration import AccountSeed, AssetSeed, Declaration
from sandbox.verbs import assets, trust
from sandbox.verbs.accounts import signer
from sandbox.verbs.chain_connection import chain_of
from sandbox.verbs.faucet import faucet
from sandbox.verbs.identity import asset_mark

FIXED = ("type", "owner", "price", "services", "timeout")


@dataclass(frozen=True, slots=True)
class Planted:
    """An asset of a list as it was last applied; ``mark`` tells it from any other that has its DID."""

    did: str
    content: str
    fixed: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Sown:
    """The result of ``seed``: DIDs by the names of the list, and what this run had to do for it."""

    assets: Mapping[str, str]
    changed: tuple[str, ...]


def seed(box: Box, declared: Declaration) -> Progress[Sown]:
    """Apply ``declared``; raises ``C2D-SEED-FIXED`` where it contradicts what is published."""
    record = _Record(box.home.seed_file)
    living = {name: planted for name, planted in record.all().items() if _lives(box, planted)}
    _demand_unfixed(declared, living)
    changed: list[str] = []
    for who, least in declared.accounts.items():
        changed += [who] if (yield from _fill(box, who, least)) else []
    dids: dict[str, str] = {}
    algorithms_first = sorted(declared.assets.items(), key=lambda entry: entry[1].type != "algorithm")
    for name, asset in algorithms_first:
        planted, did_something = yield from _plant(box, declared, name, asset, living.get(name))
        record.put(name, replace(planted, mark=asset_mark(box, planted.did)))
        dids[name] = planted.did
        changed += [name] if did_something else []
    for name, asset in declared.assets.items():
        if asset.type == "dataset" and (yield from _rule(box, name, asset, dids)):
            changed.append(name)
    yield from take_baseline(box)
    return Sown(dids, tuple(dict.fromkeys(changed)))


class _Record:
    """``seed.json``: the assets that lists have published in this box, by name. If it is lost, assets get new
    DIDs.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def all(self) -> dict[str, Planted]:
        try:
            return {name: Planted(**entry) for name, entry in json.loads(self._file.read_text()).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def put(self, name: str, planted: Planted) -> None:
        entries = {known: asdict(entry) for known, entry in {**self.all(), name: planted}.items()}
        replace_file(self._file, json.dumps(entries, indent=2) + "\n")


def _lives(box: Box, planted: Planted) -> bool:
    """Return whether the box still has the asset. After a chain was taken back its DID may belong to another
    asset.
    """
    return bool(planted.mark) and asset_mark(box, planted.did) == planted.mark


def _demand_unfixed(declared: Declaration, living: Mapping[str, Planted]) -> None:
    for name, asset in declared.assets.items():
        planted = living.get(name)
        if planted is not None and planted.fixed != _fixed(asset):
            raise StateProblem(
                "C2D-SEED-FIXED",
                f"{name} is published with another {', '.join(_differing(planted.fixed, asset))}, "
                "which stays as it is for the life of an asset",
                "give it another name in the list, or forget the box's assets: c2d-box reset",
            )


def _differing(before: str, asset: AssetSeed) -> list[str]:
    known, wanted = json.loads(before), json.loads(_fixed(asset))
    return [key for key in FIXED if known.get(key) != wanted[key]]


def _fixed(asset: AssetSeed) -> str:
    values = {**asset.model_dump(include=set(FIXED)), "services": asset.offered}
    return json.dumps(values, sort_keys=True)


def _fill(box: Box, who: str, least: AccountSeed) -> Progress[bool]:
    """Raise an account's balances to the least; return False where it has them."""
    chain, address = chain_of(box), signer(who).address
    eth = max(0.0, least.eth - chain.balance(address) / ETHER)
    ocean = max(0.0, least.ocean - chain.balance(address, chain.addresses.ocean) / ETHER)
    if not eth and not ocean:
        yield Event("seed.account", "skipped", f"{who} has enough")
        return False
    yield from faucet(box, who, eth, ocean)
    return True


def _plant(
    box: Box, declared: Declaration, name: str, asset: AssetSeed, before: Planted | None
) -> Progress[tuple[Planted, bool]]:
    source, content = declared.source(asset), _content(box, declared, asset)
    if before is not None and before.content == content:
        yield Event(f"seed.{asset.type}", "skipped", f"{name} is published as it is: {before.did}")
        return before, False
    if before is not None:
        container = _container(box, asset)
        yield from assets.replace(box, asset.owner, before.did, source, container)
        return Planted(before.did, content, before.fixed), True
    offer = assets.Offer(
        asset.name or name,
        asset.description,
        price=asset.price,
        services=asset.offered,
        timeout=asset.timeout,
    )
    if asset.type == "dataset":
        made = yield from assets.publish_dataset(box, asset.owner, source, offer)
    else:
        made = yield from assets.publish_algorithm(
            box, asset.owner, source, asset.image, asset.entrypoint, offer
        )
    return Planted(made.did, content, _fixed(asset)), True


def _content(box: Box, declared: Declaration, asset: AssetSeed) -> str:
    """Return a hash of what is published: the file's bytes or the URL, and the container."""
    digest = hashlib.sha256(json.dumps(_container(box, asset), sort_keys=True).encode())
    if asset.url:
        digest.update(asset.url.encode())
        return digest.hexdigest()
    with Path(declared.source(asset)).open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _container(box: Box, asset: AssetSeed) -> dict[str, str] | None:
    if asset.type == "dataset":
        return None
    return assets.container_section(find_image(box, asset.image), asset.entrypoint)


def _rule(box: Box, name: str, asset: AssetSeed, dids: Mapping[str, str]) -> Progress[bool]:
    """Make a dataset's rules those of the list; return False where they are already."""
    did = dids[name]
    rules, changed = trust.rules_of(assets.asset(box, did)), False
    wanted = [dids.get(algorithm, algorithm) for algorithm in asset.permit]
    for algorithm in wanted:
        if algorithm not in rules.algorithms or not assets.verdict(box, did, algorithm).allowed:
            yield from assets.permit(box, asset.owner, did, algorithm)
            changed = True
    for algorithm in rules.algorithms:
        if algorithm not in wanted:
            yield from assets.revoke(box, asset.owner, did, algorithm)
            changed = True
    wider = trust.Trust(
        tuple(_address(who) for who in asset.trust.publishers),
        tuple(_address(who) for who in asset.trust.markets),
        asset.trust.all_published,
        asset.trust.raw,
        asset.trust.network,
    )
    now = trust.Trust(rules.publishers, rules.markets, rules.all_published, rules.raw, rules.network)
    if wider != now:
        yield from trust.trust(box, asset.owner, did, wider)
        changed = True
    return changed


def _address(who: str) -> str:
    return who if who.startswith("0x") else signer(who).address
