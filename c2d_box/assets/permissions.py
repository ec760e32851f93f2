"""Decides whether one dataset may be computed on by one algorithm: a pure decision with its reasons.

Everything the answer depends on is a value in the request; the caller has read the facts (the algorithm's
current NFT owner, its datatoken's publishing market, the checksums of what would really run) from the chain
and from the files themselves. The verdict's ``code`` is the wire code; its reason tree says in plain words
why each rule answered as it did.

Every list a publisher filled must be satisfied: publishers, algorithms and markets restrict one another. So
the box's own settings (``trustedMarkets``, ``trustAllPublished``) can only open what the two lists of the DDO
leave open, never what they close, and a Provider that knows only those lists agrees wherever they are filled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from c2d_box.assets.addresses import is_address, same_hex
from c2d_box.assets.documents.ddo import COMPUTE, ComputeRules, DdoService

EmptyLists = Literal["none", "all"]
ANY = "*"
"""The entry that stands for everybody in a list."""


@dataclass(frozen=True)
class PublishedAlgorithm:
    """Facts about a registered algorithm, read at the time of asking.

    ``owner`` is the NFT's current owner, ``market`` the publishing market of the ordered datatoken; checksums
    as in :mod:`c2d_box.assets.checksums`, of the files and container that would run now. ``files_readable``:
    this Provider holds its files (an algorithm offered for compute only runs nowhere else).
    """

    did: str
    owner: str
    market: str = ""
    files_checksum: str = ""
    container_checksum: str = ""
    service_type: str = "access"
    files_readable: bool = True


@dataclass(frozen=True)
class RawAlgorithm:
    """Code sent with the request: nobody has published it, so no list can name it."""


Algorithm = PublishedAlgorithm | RawAlgorithm


@dataclass(frozen=True)
class PermissionRequest:
    """One dataset service, one algorithm. ``main``: it is the job's first dataset. ``network_wanted`` and
    ``network_operator`` are two of the three yeses to network access; the third is the service's own."""

    dataset: str
    service: DdoService
    algorithm: Algorithm
    empty_lists: EmptyLists = "none"
    main: bool = True
    files_readable: bool = True
    network_wanted: bool = False
    network_operator: bool = False


@dataclass(frozen=True)
class PermissionReason:
    """The answer of one rule, in words; ``because`` are the rules it rests on."""

    rule: str
    allowed: bool
    text: str
    because: tuple[PermissionReason, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the tree as it stands in the Provider's answer; a rule without inner rules has no
        ``because``."""
        value: dict[str, Any] = {"rule": self.rule, "allowed": self.allowed, "text": self.text}
        return {**value, "because": [r.as_dict() for r in self.because]} if self.because else value

    def text_lines(self, depth: int = 0) -> Iterator[str]:
        """Yield the tree as indented text, one line per rule."""
        yield f"{'  ' * depth}{'yes' if self.allowed else 'no '} {self.text}"
        for reason in self.because:
            yield from reason.text_lines(depth + 1)


@dataclass(frozen=True)
class PermissionVerdict:
    """``code`` is empty when allowed. On the wire a refusal stands under ``about``: the dataset's own key
    plus ``suffix``, or ``algorithm``. ``network``: the job gets network access."""

    allowed: bool
    code: str
    reasons: PermissionReason
    suffix: str = ""
    about: Literal["dataset", "algorithm"] = "dataset"
    network: bool = False

    @property
    def deciding_reason(self) -> PermissionReason:
        """The innermost rule that refused, or the whole tree when nothing did."""
        reason = self.reasons
        while denied := next((r for r in reason.because if not r.allowed), None):
            reason = denied
        return reason


@dataclass(frozen=True)
class _RuleAnswer:
    """The answer of one rule with its wire code."""

    reason: PermissionReason
    code: str = ""
    suffix: str = ""
    about: Literal["dataset", "algorithm"] = "dataset"

    @property
    def allowed(self) -> bool:
        """Return whether the rule allows, which its reason says."""
        return self.reason.allowed


def decide_permission(request: PermissionRequest) -> PermissionVerdict:
    """Decide whether the algorithm may run on the service; the first refusal, in wire order, gives
    the code."""
    # All three are asked, so that the reasons are complete; the order says which code is answered.
    answers = [_check_service(request), _check_trust(request), _check_network(request)]
    first = next((a for a in answers if not a.allowed), None)
    name = _algorithm_name(request.algorithm)
    text = f"{name} may {'' if first is None else 'not '}run on {request.dataset}"
    tree = PermissionReason("permission", first is None, text, tuple(a.reason for a in answers))
    if first:
        return PermissionVerdict(False, first.code, tree, first.suffix, first.about)
    # Wanted is granted here: a missing yes would have been a refusal above.
    return PermissionVerdict(True, "", tree, network=request.network_wanted)


def _check_service(request: PermissionRequest) -> _RuleAnswer:
    """Judge the service itself: its type, and that the files it needs are held by this very Provider."""
    service, algorithm = request.service, request.algorithm
    if service.type not in ("access", COMPUTE):
        text = f"service {service.id} is of type {service.type or 'nothing'}: neither access nor compute"
        return _no("service", "service_not_access_compute", text, ".serviceId")
    # Further datasets may be of access services, whose files their buyer may download anyway.
    if request.main and service.type != COMPUTE:
        text = f"service {service.id} is for access; a job's main dataset needs a compute service"
        return _no("service", "main_service_compute", text, ".serviceId")
    if service.type == COMPUTE and not request.files_readable:
        text = f"the files of service {service.id} are encrypted for another Provider"
        return _no("service", "compute_services_not_in_same_provider", text, ".serviceId")
    # An algorithm for access is fetched from its own Provider, wherever that is; one for compute only has to
    # be ours.
    private = isinstance(algorithm, PublishedAlgorithm) and algorithm.service_type == COMPUTE
    if private and isinstance(algorithm, PublishedAlgorithm) and not algorithm.files_readable:
        text = "the algorithm is offered for compute only, and another Provider holds its files"
        return _RuleAnswer(
            PermissionReason("service", False, text),
            "compute_services_not_in_same_provider",
            about="algorithm",
        )
    return _yes("service", f"service {service.id} can be computed on here")


def _check_trust(request: PermissionRequest) -> _RuleAnswer:
    """Judge whether the publisher trusts the algorithm. Every list that is filled has to agree."""
    # A service without rules allows no raw algorithm, and its lists count as empty.
    rules = request.service.compute or ComputeRules()
    if isinstance(request.algorithm, RawAlgorithm):
        return _check_raw(rules)
    answers = list(_check_lists(request, rules, request.algorithm))
    # The first list that refuses gives the code, in the order publishers, algorithms, markets.
    denied = next((a for a in answers if not a.allowed), None)
    text = "the publisher trusts this algorithm" if denied is None else "the publisher does not trust it"
    reason = PermissionReason("trust", denied is None, text, tuple(a.reason for a in answers))
    return _RuleAnswer(reason, denied.code if denied else "")


def _check_raw(rules: ComputeRules) -> _RuleAnswer:
    """Judge an algorithm that was sent along. Only the literal true allows it: ``"true"`` or 1 is somebody's
    mistake."""
    if rules.allow_raw_algorithm is True:
        return _yes("raw", "the publisher allows raw algorithms (allowRawAlgorithm is true)")
    stands = "absent" if rules.allow_raw_algorithm is None else "not the literal true"
    return _no("raw", "no_raw_algo_allowed", f"raw algorithms are refused: allowRawAlgorithm is {stands}")


def _check_lists(
    request: PermissionRequest, rules: ComputeRules, algorithm: PublishedAlgorithm
) -> Iterator[_RuleAnswer]:
    """Yield one answer per filled list; where none is filled, that of the one rule for empty lists."""
    extension = request.service.trust_settings
    publishers, algorithms = rules.publisher_trusted_algorithm_publishers, rules.publisher_trusted_algorithms
    markets = extension.get("trustedMarkets")
    if not (publishers or algorithms or markets):
        yield _nothing_listed(request, extension.get("trustAllPublished"))
        return
    if publishers:
        yield _check_publishers(publishers, algorithm)
    if algorithms:
        yield _check_algorithms(algorithms, algorithm)
    if markets:
        yield _check_markets(markets, algorithm)


def _nothing_listed(request: PermissionRequest, trust_all: object) -> _RuleAnswer:
    """Answer where no list is filled: by the publisher's ``trustAllPublished``, else by the Provider's own
    setting."""
    if trust_all is True:
        return _yes("all published", "the publisher trusts every published algorithm (trustAllPublished)")
    if request.empty_lists == "all":
        return _yes("empty lists", "no list is filled, and this Provider reads that as everybody")
    return _no(
        "empty lists", "not_trusted_algo", "no list is filled: nobody may compute until its owner permits"
    )


def _check_publishers(listed: object, algorithm: PublishedAlgorithm) -> _RuleAnswer:
    """Judge the algorithm's owner. The NFT's current owner counts, not the author that its description
    names."""
    rule, code = "publishers", "not_trusted_algo_publisher"
    if not isinstance(listed, list):
        return _no(rule, code, "publisherTrustedAlgorithmPublishers is not a list")
    # The wildcard before the address: an owner who is not known passes too.
    if ANY in listed:
        return _yes(rule, "every publisher is trusted (*)")
    if is_address(algorithm.owner) and any(same_hex(algorithm.owner, entry) for entry in listed):
        return _yes(rule, f"its owner {algorithm.owner} is one of {len(listed)} trusted publishers")
    return _no(rule, code, f"its owner {algorithm.owner or '(unknown)'} is not among the trusted publishers")


def _check_markets(listed: object, algorithm: PublishedAlgorithm) -> _RuleAnswer:
    """Judge the marketplace on which the algorithm's datatoken was ordered."""
    rule, code = "markets", "not_trusted_algo"
    if not isinstance(listed, list):
        return _no(rule, code, "trustedMarkets is not a list")
    if ANY in listed:
        return _yes(rule, "every marketplace is trusted (*)")
    if is_address(algorithm.market) and any(same_hex(algorithm.market, entry) for entry in listed):
        return _yes(rule, f"it was published on the trusted marketplace {algorithm.market}")
    return _no(rule, code, f"its marketplace {algorithm.market or '(none)'} is not among the trusted ones")


def _check_algorithms(listed: object, algorithm: PublishedAlgorithm) -> _RuleAnswer:
    """Judge the algorithm itself: a DID with checksums may be listed several times, one for each permitted
    version."""
    rule = "algorithms"
    if not isinstance(listed, list):
        return _no(rule, "no_publisherTrustedAlgorithms", "publisherTrustedAlgorithms is not a list")
    if any(e == ANY or (isinstance(e, dict) and e.get("did") == ANY) for e in listed):
        return _yes(rule, "every algorithm is trusted (*)")
    # Refused and not skipped: nobody can say whom the damaged entry was to let in.
    if not all(isinstance(e, dict) and isinstance(e.get("did"), str) and e["did"] for e in listed):
        text = "publisherTrustedAlgorithms has an entry without a did; its owner has to repair the list"
        return _no(rule, "no_publisherTrustedAlgorithms", text)
    # Compared as they are: a DID has one spelling, with lower-case digits.
    entries = [e for e in listed if e["did"] == algorithm.did]
    if not entries:
        return _no(rule, "not_trusted_algo", f"{algorithm.did} is not among {len(listed)} trusted algorithms")
    answers = [_check_checksums(entry, algorithm) for entry in entries]
    # Of several versions the reason of the last one listed is told.
    return next((a for a in answers if a.allowed), answers[-1])


def _check_checksums(entry: dict[str, Any], algorithm: PublishedAlgorithm) -> _RuleAnswer:
    """Compare checksums: the permission was given to particular bytes, which must still be those that would
    run."""
    rule = "algorithms"
    files, container = entry.get("filesChecksum"), entry.get("containerSectionChecksum")
    # An empty checksum compares nothing: the permission was given to whatever the DID names.
    if files and str(files).lower() != algorithm.files_checksum.lower():
        change = f"{_short_checksum(files)} then, {_short_checksum(algorithm.files_checksum)} now"
        text = f"its files changed since they were permitted: {change}"
        return _no(rule, "algorithm_file_checksum_mismatch", text)
    if container and container != algorithm.container_checksum:
        change = f"{_short_checksum(container)} then, {_short_checksum(algorithm.container_checksum)} now"
        text = f"its container changed since it was permitted: {change}"
        return _no(rule, "algorithm_container_checksum_mismatch", text)
    return _yes(rule, f"{algorithm.did} is listed, with {_compared_text(files, container)}")


def _check_network(request: PermissionRequest) -> _RuleAnswer:
    """Judge network access, which needs three yeses: of the job, of the environment's operator and of every
    input."""
    if not request.network_wanted:
        return _yes("network", "the algorithm runs without network")
    rules = request.service.compute or ComputeRules()
    if rules.allow_network_access is not True:
        return _no("network", "network_not_allowed", "the dataset's publisher does not allow network access")
    if not request.network_operator:
        return _no(
            "network", "network_not_allowed", "the environment's operator does not grant network access"
        )
    return _yes("network", "job, operator and publisher all say yes to network access")


def _yes(rule: str, text: str) -> _RuleAnswer:
    """Return the answer of a rule that allows."""
    return _RuleAnswer(PermissionReason(rule, True, text))


def _no(rule: str, code: str, text: str, suffix: str = "") -> _RuleAnswer:
    """Return the answer of a rule that refuses, with its wire code."""
    return _RuleAnswer(PermissionReason(rule, False, text), code, suffix)


def _algorithm_name(algorithm: Algorithm) -> str:
    """Return the algorithm's name in reasons."""
    return "a raw algorithm" if isinstance(algorithm, RawAlgorithm) else algorithm.did


def _short_checksum(checksum: object) -> str:
    """Return the beginning of a checksum, enough to see a difference by eye."""
    text = str(checksum)
    return f"{text[:12]}…" if len(text) > 12 else text or "(none)"


def _compared_text(files: object, container: object) -> str:
    """Return in words which checksums a permission had."""
    compared = [name for name, given in (("files", files), ("container", container)) if given]
    return f"{' and '.join(compared)} unchanged" if compared else "no checksum to compare"
