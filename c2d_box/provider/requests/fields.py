"""Parameter validation as data: the fields that a route takes, in their order, and the exact texts that
clients see.

A field marked ``bail`` ends the validation when it fails: only it and errors collected before it are
reported. Required means present and not empty; ``0`` and ``False`` count as present. Dotted names reach
into objects.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from c2d_box.assets.files import FILE_TYPES
from c2d_box.provider.errors import InvalidParameters

# The parameters of one request as they came: text in a query, JSON values in a body.
Data = Mapping[str, Any]
# Takes the parameters and a dotted name; returns the text that clients see, None where the rule holds.
Rule = Callable[[Data, str], str | None]

# The largest integer that a JavaScript number holds exactly (``Number.MAX_SAFE_INTEGER``).
MAX_NONCE = 2**53 - 1
_PLAIN_NUMBER = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?\Z")


@dataclass(frozen=True)
class RequestField:
    """One parameter of a route, with its rules in the order in which they are tried: the first text counts.
    With ``bail`` a failure ends the validation of the whole request."""

    name: str
    rules: tuple[Rule, ...]
    bail: bool = False


@dataclass
class ValidationOutcome:
    """The outcome of a validation: the texts per field, and ``bailed`` where it ended early, so that later
    fields, the signature among them, were not looked at."""

    errors: dict[str, list[str] | str]
    bailed: bool


def check_fields(data: Data, fields: tuple[RequestField, ...]) -> ValidationOutcome:
    """Validate the parameters in the order of the fields, which decides what clients see of several
    errors."""
    errors: dict[str, list[str] | str] = {}
    for field in fields:
        text = next((text for rule in field.rules if (text := rule(data, field.name)) is not None), None)
        if text is not None:
            errors[field.name] = [text]
            if field.bail:
                return ValidationOutcome(errors, bailed=True)
    return ValidationOutcome(errors, bailed=False)


def require_fields(data: Data, fields: tuple[RequestField, ...]) -> None:
    """Raise InvalidParameters with every text that :func:`check_fields` finds. For routes that need no
    signature; the others go through ``CallerVerifier``, which reports parameters and signature together."""
    if errors := check_fields(data, fields).errors:
        raise InvalidParameters(errors)


def find_value(data: Data, name: str) -> Any:
    """Return the value at a dotted name, or None. A literal key with dots is not taken for it: the code that
    handles the request afterwards reads nested objects, and would not find the value."""
    value: Any = data
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def is_present(data: Data, name: str) -> bool:
    """Return whether the field has a value. Empty text, lists and objects count as absent, ``0`` and
    ``False`` as present."""
    value = find_value(data, name)
    return value is not None and value not in ("", [], {})


def required(data: Data, name: str) -> str | None:
    """Refuse a field that is absent or empty."""
    return None if is_present(data, name) else f"The {name} field is required."


def required_without(other: str) -> Rule:
    """Return a rule that refuses a field where it and ``other`` are both absent: one of the two is enough."""

    def rule(data: Data, name: str) -> str | None:
        if is_present(data, name) or is_present(data, other):
            return None
        return f"The {name} field is required when {other} is not present."

    return rule


def required_with_all(*others: str) -> Rule:
    """Return a rule that refuses an absent field where all of ``others`` are present."""

    def rule(data: Data, name: str) -> str | None:
        if is_present(data, name) or not all(is_present(data, other) for other in others):
            return None
        return f"The {name} field is required when {', '.join(others)} are present."

    return rule


def required_if(other: str, value: str) -> Rule:
    """Return a rule that refuses an absent field where ``other`` has exactly this value."""

    def rule(data: Data, name: str) -> str | None:
        if is_present(data, name) or find_value(data, other) != value:
            return None
        return f"The {name} field is required."

    return rule


def integer(data: Data, name: str) -> str | None:
    """Refuse a value that is no whole number. An absent one passes: ``required`` is a rule of its own."""
    value = find_value(data, name)
    if value is None or value == "" or _as_int(value) is not None:
        return None
    return f"The {name} must be an integer."


def at_least(minimum: int) -> Rule:
    """Return a rule that refuses a whole number below ``minimum``. Values that are no number are left to
    ``integer``, whose text is the one that clients know."""

    def rule(data: Data, name: str) -> str | None:
        number = _as_int(find_value(data, name))
        return None if number is None or number >= minimum else f"The {name} must be at least {minimum}."

    return rule


def numeric(data: Data, name: str) -> str | None:
    """Refuse a value that is no number, in JSON or as text. An absent one passes."""
    value = find_value(data, name)
    if value is None or value == "":
        return None
    return None if as_number(value) is not None else f"The {name} must be a number."


def plain_number(data: Data, name: str) -> str | None:
    """Refuse a nonce with leading zeros, signs or exponents. There must be one text for each nonce: otherwise
    the same signed text would be read as several."""
    text = str(find_value(data, name))
    return None if _PLAIN_NUMBER.match(text) else f"The {name} must be a number."


def countable_number(data: Data, name: str) -> str | None:
    """Refuse a nonce above ``MAX_NONCE``. Clients read the stored nonce as a floating point number and add
    one: past 2^53 they would be stuck."""
    number = as_number(find_value(data, name))
    return f"The {name} must be at most {MAX_NONCE}." if number is not None and number > MAX_NONCE else None


def one_of(*allowed: str) -> Rule:
    """Return a rule that refuses any value but these. An absent one passes."""

    def rule(data: Data, name: str) -> str | None:
        value = find_value(data, name)
        return None if value is None or value in allowed else f"The selected {name} is invalid."

    return rule


def matches_regex(pattern: str) -> Rule:
    """Return a rule that refuses text whose beginning does not match. The pattern decides about the end by
    itself: ``re.match`` is not a full match."""
    compiled = re.compile(pattern)

    def rule(data: Data, name: str) -> str | None:
        value = find_value(data, name)
        if value is None or (isinstance(value, str) and compiled.match(value)):
            return None
        return f"The {name} format is invalid."

    return rule


def future_time(data: Data, name: str) -> str | None:
    """Refuse a time, in unix seconds, that is past, absent or no whole number. Its text names no field."""
    number = _as_int(find_value(data, name))
    return None if number is not None and number > time.time() else "Invalid timestamp provided."


def as_number(value: Any) -> Decimal | None:
    """Return the number that a client sent as a JSON number or as decimal text; None for anything else, and
    for numbers too long or too large to be a nonce."""
    # bool is a subclass of int: without the test ``true`` would be the number one.
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > 64:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    # Decimal reads "NaN" and "Infinity" too, and exponents whose plain form would fill the memory.
    return number if number.is_finite() and abs(number.adjusted()) < 64 else None


def _as_int(value: Any) -> int | None:
    """Return the whole number that the value is or says, None otherwise. The length is bounded because
    ``int()`` of very long text takes time quadratic in it."""
    if isinstance(value, bool) or not isinstance(value, int | str) or len(str(value)) > 64:
        return None
    try:
        return int(value)
    except ValueError:
        return None


# Both end the validation: without them no signature can be checked, so no later text would be true.
_nonce = RequestField("nonce", (required, numeric, plain_number, countable_number), bail=True)
_consumer = RequestField("consumerAddress", (required,), bail=True)

NONCE = (RequestField("userAddress", (required,)),)

# Either the transaction that published the asset, or the document itself with flags and hash.
DECRYPT = (
    RequestField("decrypterAddress", (required,)),
    RequestField("chainId", (required,)),
    RequestField("dataNftAddress", (required,)),
    RequestField("transactionId", (required_without("encryptedDocument"),)),
    RequestField(
        "encryptedDocument", (required_without("transactionId"), required_with_all("flags", "documentHash"))
    ),
    RequestField(
        "flags",
        (required_without("transactionId"), required_with_all("encryptedDocument", "documentHash"), integer),
    ),
    RequestField(
        "documentHash", (required_without("transactionId"), required_with_all("encryptedDocument", "flags"))
    ),
    RequestField("nonce", (required, numeric, plain_number)),
)

# Either a service of an asset, or a plain file object, whose type decides which key it needs.
FILEINFO = (
    RequestField("type", (required_without("did"), one_of(*FILE_TYPES))),
    RequestField("did", (required_without("type"), matches_regex(r"^did:op"))),
    *(
        RequestField(each.required_key, (required_if("type", each.type),))
        for each in FILE_TYPES.values()
        if each.required_key
    ),
    RequestField("serviceId", (required_without("type"),)),
)

SIGNED_FILEINFO = (_consumer, _nonce)

INITIALIZE = (
    RequestField("documentId", (required,)),
    RequestField("serviceId", (required,)),
    _consumer,
    RequestField("fileIndex", (integer, at_least(0))),
)

INITIALIZE_COMPUTE = (
    RequestField("datasets", (required,)),
    RequestField("algorithm.documentId", (required_without("algorithm.meta"),)),
    RequestField("algorithm.meta", (required_without("algorithm.documentId"),)),
    RequestField("compute.env", (required,)),
    RequestField("compute.validUntil", (required, integer)),
    RequestField("consumerAddress", (required,)),
)

DOWNLOAD = (
    RequestField("documentId", (required,), bail=True),
    RequestField("serviceId", (required,)),
    _consumer,
    RequestField("transferTxId", (required,), bail=True),
    RequestField("fileIndex", (required, integer, at_least(0))),
    _nonce,
)

START = (
    RequestField("dataset.documentId", (required,), bail=True),
    RequestField("dataset.serviceId", (required,), bail=True),
    RequestField("dataset.transferTxId", (required,)),
    RequestField(
        "algorithm.documentId",
        (
            required_without("algorithm.meta"),
            required_with_all("algorithm.serviceId", "algorithm.transferTxId"),
        ),
    ),
    RequestField("algorithm.meta", (required_without("algorithm.documentId"),)),
    _consumer,
    _nonce,
)

STOP = (_consumer, _nonce)
DELETE = STOP
# Unsigned: without a proof of the owner the answer is coarse, see ``routes.compute``.
STATUS = (_consumer,)
# The job's id comes first: without it the signed text cannot be made.
RESULT = (
    RequestField("jobId", (required,), bail=True),
    RequestField("index", (required,), bail=True),
    _consumer,
    _nonce,
)
LOGS = (RequestField("jobId", (required,), bail=True), _consumer, _nonce)
CREATE_TOKEN = (
    RequestField("address", (required,), bail=True),
    RequestField("expiration", (required, integer, future_time), bail=True),
    _nonce,
    RequestField("signature", (required,)),
)
DELETE_TOKEN = (
    RequestField("address", (required,), bail=True),
    RequestField("token", (required,), bail=True),
    _nonce,
    RequestField("signature", (required,)),
)
