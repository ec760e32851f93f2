"""``trust``, ``edit``, ``end`` and ``simulate``: changes a publisher's statements about a published asset,
and shows what they would mean for a consumer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from c2d_box.errors import Refused, UsageError
from sandbox.box import Box
from sandbox.progress import Progress, run_step
from sandbox.verbs.compute.quotes import AssetPrice, quote
from sandbox.verbs.publishing.assets import short_did
from sandbox.verbs.sdk_connections import open_publisher


@dataclass(frozen=True, slots=True)
class TrustChange:
    """Changes of a dataset's rules; None leaves a rule as it is."""

    publishers: tuple[str, ...] | None = None
    markets: tuple[str, ...] | None = None
    all_published: bool | None = None
    raw: bool | None = None
    network: bool | None = None

    @property
    def is_empty(self) -> bool:
        return self == TrustChange()


@dataclass(frozen=True, slots=True)
class TrustRules:
    """The parties and algorithms that a dataset trusts, as its DDO says now."""

    algorithms: tuple[str, ...]
    publishers: tuple[str, ...]
    markets: tuple[str, ...]
    all_published: bool
    raw: bool
    network: bool


@dataclass(frozen=True, slots=True)
class JobSimulation:
    """The answer that a consumer would get. ``reasons`` is the Provider's tree; nothing was paid."""

    consumer: str
    allowed: bool
    code: str = ""
    text: str = ""
    next_step: str = ""
    reasons: Mapping[str, Any] | None = None
    prices: tuple[AssetPrice, ...] = ()


WARNINGS = {
    "raw": "anyone may send code nobody has seen: it can copy every row into its outputs",
    "network": "an algorithm may send what it reads to any public address while it runs",
    "all_published": "every algorithm anybody ever publishes may run: nobody looks at it before",
    "publishers": "whatever these accounts publish, now or later, may run without another look",
    "markets": "whatever is published through these markets, now or later, may run without another look",
}
"""The consequence of each switch for the data, in plain words."""


def rules_of(ddo: Mapping[str, Any]) -> TrustRules:
    """Return the rules of a dataset's compute service; those of its first service where it has none.

    A flag counts only if it is literally true: a DDO is a stranger's JSON, and ``"false"`` is a true text.
    """
    services = ddo.get("services") or [{}]
    # Trust is a matter of compute services; access gives the file away and trusts nobody.
    service = next((each for each in services if each.get("type") == "compute"), services[0])
    compute = service.get("compute") or {}
    # Two rules are this project's additions; Ocean's schema leaves room for them in
    # ``additionalInformation``.
    more = (service.get("additionalInformation") or {}).get("c2d") or {}
    listed = compute.get("publisherTrustedAlgorithms") or []
    return TrustRules(
        tuple(str(entry.get("did")) for entry in listed if isinstance(entry, dict)),
        tuple(map(str, compute.get("publisherTrustedAlgorithmPublishers") or [])),
        tuple(map(str, more.get("trustedMarkets") or [])),
        more.get("trustAllPublished") is True,
        compute.get("allowRawAlgorithm") is True,
        compute.get("allowNetworkAccess") is True,
    )


def change_trust(box: Box, who: str, dataset: str, wanted: TrustChange) -> Progress[None]:
    """Change whom a dataset trusts; signed by ``who`` and written on the chain. Raises ``C2D-TRUST-NOTHING``
    for an empty change, which would cost a transaction.
    """
    if wanted.is_empty:
        raise UsageError("C2D-TRUST-NOTHING", "nothing is to be changed", box.command_line("trust --help"))
    with open_publisher(box, who) as party:
        yield from run_step(
            "trust",
            f"changing whom {short_did(dataset)} trusts",
            lambda: party.trust(
                dataset,
                publishers=wanted.publishers,
                markets=wanted.markets,
                all_published=wanted.all_published,
                raw=wanted.raw,
                network=wanted.network,
            ),
        )


def edit_asset(box: Box, who: str, did: str, name: str | None, description: str | None) -> Progress[None]:
    """Change an asset's name or description; empty values leave a field as it is. Signed by ``who``."""
    wanted = {key: value for key, value in {"name": name, "description": description}.items() if value}
    if not wanted:
        raise UsageError("C2D-EDIT-NOTHING", "nothing is to be changed", box.command_line("edit --help"))
    with open_publisher(box, who) as party:
        yield from run_step(
            "edit",
            f"publishing {short_did(did)} with {', '.join(wanted)} changed",
            # Applied to the document as the cache has it now, not to a copy that the user looked at.
            lambda: party.edit(did, lambda document: document["metadata"].update(wanted)),
        )


def end_asset(box: Box, who: str, did: str) -> Progress[None]:
    """Declare an asset's end of life: nobody can order or use it any more. Jobs that run go on."""
    with open_publisher(box, who) as party:
        yield from run_step("end", f"ending {short_did(did)}", lambda: party.end(did))


def simulate_job(
    box: Box, who: str, dataset: str, algorithm: str, additional: Sequence[str] = ()
) -> JobSimulation:
    """Ask the Provider itself what ``who`` would get on starting this job now; nothing is paid.

    A refusal becomes a value; any other error (a service that is away) is raised, as it is no answer to the
    question.
    """
    from c2d_box.client import JobRequest

    try:
        prices = quote(box, who, JobRequest(dataset, algorithm, tuple(additional)))
    except Refused as refusal:
        tree = refusal.details.get("reasons")
        reasons = tree if isinstance(tree, Mapping) else None
        return JobSimulation(who, False, refusal.code, refusal.message, refusal.next_step, reasons)
    return JobSimulation(who, True, prices=tuple(prices))
