"""The shapes of the API as JSON Schema: what goes in is described closely enough to be generated, what comes
out closely enough to be checked."""

from __future__ import annotations

from typing import Any

from c2d_box.assets.files import FILE_TYPES

Schema = dict[str, Any]
"""A JSON Schema as OpenAPI 3.1 takes it."""


def schema_ref(name: str) -> Schema:
    """Return a reference to one of ``SCHEMAS``."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_schema(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """Return the schema of an object. Further properties are allowed: the API may add some."""
    described: Schema = {"type": "object", "properties": properties}
    return {**described, "required": list(required)} if required else described


def array_schema(items: Schema, least: int = 0) -> Schema:
    """Return the schema of a list with at least so many items."""
    return {"type": "array", "items": items, **({"minItems": least} if least else {})}


STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}
NETWORK: Schema = {
    "type": "boolean",
    "description": "network for the algorithm; needs a yes of every publisher and of the operator too",
}
ANYTHING: Schema = {}
# Any case: checksummed spelling is accepted and not demanded.
ADDRESS: Schema = {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"}
TX: Schema = {"type": "string", "pattern": "^0x[0-9a-fA-F]{64}$"}
DID: Schema = {"type": "string", "pattern": "^did:op:[0-9a-f]{64}$"}
HEX: Schema = {"type": "string", "pattern": "^0x[0-9a-fA-F]*$"}
# 65 bytes: r, s and v.
SIGNATURE: Schema = {"type": "string", "pattern": "^0x[0-9a-fA-F]{130}$"}
NONCE: Schema = {"type": ["string", "integer"], "description": "a number above the last used one"}
JOB: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
BYTES: Schema = {"type": "string", "format": "binary"}
USER_DATA: Schema = {"type": ["object", "string"], "description": "an object, or its JSON text in a query"}

_FEE = object_schema(
    (
        "providerFeeAddress",
        "providerFeeToken",
        "providerFeeAmount",
        "providerData",
        "v",
        "r",
        "s",
        "validUntil",
    ),
    providerFeeAddress=ADDRESS,
    providerFeeToken=ADDRESS,
    providerFeeAmount={"type": "string", "pattern": "^[0-9]+$", "description": "base units of the token"},
    providerData=HEX,
    # Ethereum's recovery id with its offset, as the contract's ecrecover takes it.
    v={"type": "integer", "enum": [27, 28]},
    r=TX,
    s=TX,
    validUntil={"type": "integer", "description": "unix seconds; 0 for access services"},
)

_FILE = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": list(FILE_TYPES)},
        **{key: schema for each in FILE_TYPES.values() for key, schema in each.properties.items()},
        "checksum": BOOLEAN,
        "userdata": USER_DATA,
        "consumerAddress": ADDRESS,
        "nonce": NONCE,
        "signature": SIGNATURE,
    },
}

_CONTAINER = object_schema(entrypoint=STRING, image=STRING, tag=STRING, checksum=STRING)

# Nothing is required: an algorithm is given by URL or as code.
_RAW = object_schema(
    url=STRING,
    rawcode=STRING,
    language=STRING,
    version=STRING,
    container=schema_ref("Container"),
)

# ``transferTxId`` is missing where the order is still to be paid (initializeCompute).
_ITEM = object_schema(
    ("documentId", "serviceId"),
    documentId=DID,
    serviceId=STRING,
    transferTxId=TX,
    userdata=USER_DATA,
)

_ALGORITHM = {
    "type": "object",
    "description": "published (documentId, serviceId), or raw (meta)",
    "properties": {
        "documentId": DID,
        "serviceId": STRING,
        "transferTxId": TX,
        "meta": schema_ref("RawAlgorithm"),
        "userdata": USER_DATA,
        "algouserdata": USER_DATA,
        "algocustomdata": USER_DATA,
    },
    "anyOf": [{"required": ["documentId"]}, {"required": ["meta"]}],
}

_QUOTED = object_schema(
    datatoken=ADDRESS,
    providerFee=schema_ref("ProviderFee"),
    validOrder=TX,
)

_JOB = object_schema(
    ("jobId", "agreementId", "owner", "status", "statusText", "dateCreated", "dateFinished"),
    jobId=STRING,
    agreementId=STRING,
    owner=STRING,
    status=INTEGER,
    statusText=STRING,
    # Unix seconds as text.
    dateCreated=STRING,
    dateFinished={"type": ["string", "null"], "description": "unix seconds as text; null until it ends"},
    # Text until there are results, then their list.
    results={"anyOf": [{"type": "string"}, array_schema(schema_ref("Result")), {"type": "null"}]},
    stopreq=INTEGER,
    removed=INTEGER,
    algoDID={"type": ["string", "null"]},
    inputDID=array_schema(STRING),
)

_RESULT = object_schema(
    ("filename", "filesize", "type"),
    filename=STRING,
    filesize=INTEGER,
    # "configrationLog" is the original's spelling, which clients compare.
    type={"enum": ["output", "algorithmLog", "configrationLog", "filteringLog", "publishLog"]},
    index=INTEGER,
)

_ENVIRONMENT = object_schema(
    ("id", "priceMin", "consumerAddress", "feeToken"),
    id=STRING,
    desc=STRING,
    priceMin={"type": "number", "description": "whole fee tokens per minute"},
    consumerAddress=ADDRESS,
    feeToken=ADDRESS,
    maxJobDuration={"type": "number", "description": "seconds"},
    storageExpiry={"type": "number", "description": "seconds"},
    currentJobs=INTEGER,
    maxJobs=INTEGER,
)

_FILE_INFO = object_schema(
    ("index", "valid", "type"),
    index=INTEGER,
    valid=BOOLEAN,
    type=STRING,
    # A number for contracts, text for all other files.
    contentLength={"type": ["string", "integer", "null"]},
    contentType=STRING,
    filename=STRING,
    checksum=STRING,
    checksumType={"const": "sha256"},
    reason={"type": "string", "description": "of a file that is not valid: why it cannot be read"},
)

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "description": "a text, or the refused part of a compute request and its code",
            "anyOf": [STRING, {"type": "object", "additionalProperties": STRING}],
        },
        "reasons": {"description": "why, beside the code"},
        "away": {"type": "string", "description": "of a 503: the service that does not answer"},
        "context": {"type": "object"},
    },
}

_INVALID = object_schema(
    ("errors", "message", "success"),
    errors={
        "type": "object",
        "description": "texts per parameter; a wrong signature is one text",
        "additionalProperties": {"anyOf": [STRING, array_schema(STRING, 1)]},
    },
    message={"const": "Validation error"},
    success={"const": False},
)

SCHEMAS: dict[str, Schema] = {
    "Algorithm": _ALGORITHM,
    "Container": _CONTAINER,
    "Dataset": _ITEM,
    "Environment": _ENVIRONMENT,
    "Error": _ERROR,
    "FileInfo": _FILE_INFO,
    "FileObject": _FILE,
    "Invalid": _INVALID,
    "Job": _JOB,
    "ProviderFee": _FEE,
    "Quoted": _QUOTED,
    "RawAlgorithm": _RAW,
    "Result": _RESULT,
}
