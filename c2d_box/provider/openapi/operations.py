"""One description per endpoint, of what cannot be read from its validation rules and its handler."""

from __future__ import annotations

from dataclasses import dataclass, field

from c2d_box.assets.files import FILE_TYPES
from c2d_box.provider.openapi import schemas as s
from c2d_box.provider.openapi.schemas import Schema, array_schema, object_schema, schema_ref
from c2d_box.provider.requests import fields

JSON, TEXT, ANY = "application/json", "text/plain", "*/*"

# One schema per name, because a name means the same in every call.
PARAMETERS: dict[str, Schema] = {
    "address": s.ADDRESS,
    "agreementId": {**s.STRING, "description": "understood, and not used to filter"},
    "chainId": {"type": ["string", "integer"], "description": "decimal"},
    "checksum": {**s.BOOLEAN, "description": "hash each file that is not too large"},
    "component": {
        "enum": ["algorithm", "configuration", "isolation", "judge", "publishing"],
        "description": "whose log; algorithm when not given",
    },
    "consumerAddress": s.ADDRESS,
    "dataNftAddress": s.ADDRESS,
    "decrypterAddress": s.ADDRESS,
    "did": s.DID,
    "documentHash": s.HEX,
    "documentId": s.DID,
    "encryptedDocument": s.HEX,
    "environment": s.STRING,
    "expiration": {**s.INTEGER, "description": "unix seconds, in the future"},
    "fileIndex": {**s.INTEGER, "minimum": 0},
    "flags": {**s.INTEGER, "description": "1 compressed, 2 encrypted, 3 both, 0 neither"},
    "follow": {**s.BOOLEAN, "description": "go on until the component ends"},
    "hash": s.STRING,
    "index": {**s.INTEGER, "description": "place in the job's list of results"},
    "jobId": s.JOB,
    "nonce": s.NONCE,
    "serviceId": s.STRING,
    "signature": s.SIGNATURE,
    "token": s.STRING,
    "transactionId": s.TX,
    "transferTxId": s.TX,
    "type": {"enum": list(FILE_TYPES)},
    "url": s.STRING,
    "userAddress": s.ADDRESS,
    "userdata": s.USER_DATA,
    "validUntil": {**s.INTEGER, "description": "unix seconds"},
}


@dataclass(frozen=True)
class SuccessResponse:
    """A successful answer: its media type and, for JSON, its schema."""

    text: str
    content: str = JSON
    schema: Schema = field(default_factory=dict)


@dataclass(frozen=True)
class ApiOperation:
    """The description of one endpoint. ``signed`` names the parts of the signed text before the nonce;
    ``takes`` says where parameters may stand (a query wins over a body); ``body`` replaces the schema made
    from the parameters."""

    # The tag under which page and document list the endpoint.
    group: str
    title: str
    rules: tuple[fields.RequestField, ...] = ()
    # Parameters that are read but that no validation rule demands.
    optional: tuple[str, ...] = ()
    signed: str = ""
    takes: tuple[str, ...] = ("query",)
    body: Schema | None = None
    body_type: str = JSON
    answers: dict[int, SuccessResponse] = field(default_factory=dict)
    # Statuses with which the handler itself refuses; the middleware's are added by ``document``.
    refusals: tuple[int, ...] = (400,)
    # Those of them that have no body.
    bodiless: tuple[int, ...] = ()


# Answers that several endpoints share.
_JOBS = {200: SuccessResponse("the jobs", schema=array_schema(schema_ref("Job")))}
_FILE = {
    200: SuccessResponse("the file", ANY),
    206: SuccessResponse("the part asked for by a Range header", ANY),
}
_BOTH = ("query", "body")
_COMPUTE = (400, 404, 503)

ROOT = ApiOperation(
    "Discovery",
    "What this Provider is, and where its endpoints are",
    answers={
        200: SuccessResponse(
            "the Provider",
            schema=object_schema(
                ("software", "version", "providerAddresses", "chainIds", "serviceEndpoints"),
                software=s.STRING,
                version=s.STRING,
                providerAddresses={"type": "object", "additionalProperties": s.ADDRESS},
                chainIds=array_schema(s.INTEGER),
                serviceEndpoints={"type": "object", "additionalProperties": array_schema(s.STRING)},
            ),
        )
    },
    refusals=(),
)
LIVE = ApiOperation(
    "Discovery",
    "Whether the process turns",
    answers={200: SuccessResponse("it does", schema=object_schema(("live",), live=s.BOOLEAN))},
    refusals=(),
)
READY = ApiOperation(
    "Discovery",
    "Whether this Provider can be used, and which service it needs is away",
    answers={
        200: SuccessResponse(
            "ready", schema=object_schema(("ready",), ready=s.BOOLEAN, away=array_schema(s.STRING))
        )
    },
    refusals=(503,),
)
HEALTH = ApiOperation(
    "Discovery",
    "Whether the chain can be asked",
    answers={200: SuccessResponse("ready", schema=object_schema(("ready",), ready=s.BOOLEAN))},
    refusals=(503,),
)
SPEC = ApiOperation(
    "Discovery",
    "This description",
    answers={200: SuccessResponse("OpenAPI", schema={"type": "object"})},
    refusals=(),
)
PAGE = ApiOperation(
    "Discovery",
    "This description, to be read",
    answers={200: SuccessResponse("a page", "text/html")},
    refusals=(),
)
NONCE = ApiOperation(
    "Account",
    "The last used nonce of an address",
    fields.NONCE,
    answers={200: SuccessResponse("the nonce as text", schema=object_schema(("nonce",), nonce=s.STRING))},
)
CREATE_TOKEN = ApiOperation(
    "Account",
    "A token that stands in for signatures",
    fields.CREATE_TOKEN,
    signed="address",
    answers={200: SuccessResponse("the token", schema=object_schema(("token",), token=s.STRING))},
)
DELETE_TOKEN = ApiOperation(
    "Account",
    "End a token before it expires",
    fields.DELETE_TOKEN,
    signed="address",
    takes=_BOTH,
    answers={200: SuccessResponse("done", schema=object_schema(("success",), success=s.STRING))},
)
ENCRYPT = ApiOperation(
    "Publishing",
    "Encrypt bytes for this Provider",
    (fields.RequestField("chainId", (fields.required,)),),
    # Raw bytes, not JSON: the document is encrypted exactly as it was sent.
    body=s.BYTES,
    body_type="application/octet-stream",
    answers={201: SuccessResponse("0x and hex", TEXT)},
)
DECRYPT = ApiOperation(
    "Publishing",
    "A published document, for metadata caches",
    fields.DECRYPT,
    optional=("signature",),
    signed="transactionId (or dataNftAddress) + decrypterAddress + chainId",
    takes=_BOTH,
    answers={201: SuccessResponse("the document", TEXT)},
    refusals=(400, 403, 503),
)
FILE_INFO = ApiOperation(
    "Publishing",
    "What can be said about files without showing where they are",
    body={
        "anyOf": [
            object_schema(
                ("did", "serviceId"),
                did=s.DID,
                serviceId=s.STRING,
                checksum=s.BOOLEAN,
                userdata=s.USER_DATA,
                transferTxId=s.TX,
                consumerAddress=s.ADDRESS,
                nonce=s.NONCE,
                signature=s.SIGNATURE,
            ),
            schema_ref("FileObject"),
        ]
    },
    # Ocean defines no text for fileinfo, so this one is ours.
    signed='where it is signed, "fileinfo" + sha256 of the request as sorted compact JSON without proof',
    answers={200: SuccessResponse("one entry per file", schema=array_schema(schema_ref("FileInfo")))},
    refusals=(400, 503),
)
VALIDATE_CONTAINER = ApiOperation(
    "Publishing",
    "Whether a container section can be used",
    body=schema_ref("Container"),
    answers={200: SuccessResponse("the same section", schema={"type": "object"})},
)
INITIALIZE = ApiOperation(
    "Access",
    "A fee to order an access service with",
    fields.INITIALIZE,
    optional=("transferTxId", "userdata", "environment", "validUntil"),
    answers={
        200: SuccessResponse(
            "a quote, or the order that is still good",
            schema={
                "anyOf": [
                    object_schema(
                        ("datatoken", "nonce", "providerFee"),
                        datatoken=s.ADDRESS,
                        nonce={"type": ["string", "null"]},
                        providerFee=schema_ref("ProviderFee"),
                    ),
                    object_schema(("validOrder",), validOrder=s.TX),
                ]
            },
        )
    },
    refusals=(400, 503),
)
DOWNLOAD = ApiOperation(
    "Access",
    "One file of an ordered service",
    fields.DOWNLOAD,
    optional=("userdata",),
    signed="documentId",
    answers=_FILE,
    # 502: the file's source failed, 503: a service of the operator's is away.
    refusals=(400, 416, 502, 503),
    bodiless=(416,),
)
ENVIRONMENTS = ApiOperation(
    "Compute",
    "Where jobs can run",
    optional=("chainId",),
    answers={
        200: SuccessResponse(
            "environments by chain id",
            schema={"type": "object", "additionalProperties": array_schema(schema_ref("Environment"))},
        )
    },
    refusals=(404, 503),
)
INITIALIZE_COMPUTE = ApiOperation(
    "Compute",
    "What is still to be paid before a job can start",
    fields.INITIALIZE_COMPUTE,
    takes=("body",),
    body=object_schema(
        ("datasets", "algorithm", "compute", "consumerAddress"),
        datasets=array_schema(schema_ref("Dataset"), 1),
        algorithm=schema_ref("Algorithm"),
        compute=object_schema(
            ("env", "validUntil"), env=s.STRING, validUntil=s.INTEGER, networkAccess=s.NETWORK
        ),
        consumerAddress=s.ADDRESS,
    ),
    answers={
        200: SuccessResponse(
            "one entry per dataset, and one for a published algorithm",
            schema=object_schema(
                ("datasets",), datasets=array_schema(schema_ref("Quoted"), 1), algorithm=schema_ref("Quoted")
            ),
        )
    },
    refusals=_COMPUTE,
)
START = ApiOperation(
    "Compute",
    "Start a job",
    fields.START,
    signed="consumerAddress + dataset.documentId",
    takes=("body",),
    body=object_schema(
        ("consumerAddress", "nonce", "dataset", "algorithm"),
        consumerAddress=s.ADDRESS,
        nonce=s.NONCE,
        signature=s.SIGNATURE,
        environment=s.STRING,
        networkAccess=s.NETWORK,
        seconds=s.INTEGER,
        dataset=schema_ref("Dataset"),
        algorithm=schema_ref("Algorithm"),
        additionalDatasets=array_schema(schema_ref("Dataset")),
        output={"type": ["object", "string"]},
    ),
    answers=_JOBS,
    refusals=_COMPUTE,
)
STATUS = ApiOperation(
    "Compute",
    "Jobs of an owner; names, sizes, reasons, exit codes and exact times only to the owner",
    fields.STATUS,
    optional=("jobId", "documentId", "agreementId", "nonce", "signature"),
    answers=_JOBS,
    refusals=_COMPUTE,
)
STOP = ApiOperation(
    "Compute",
    "Ask a job to stop",
    fields.STOP,
    optional=("jobId", "documentId"),
    signed="consumerAddress + jobId + documentId",
    takes=_BOTH,
    answers=_JOBS,
    refusals=_COMPUTE,
)
DELETE = ApiOperation(
    "Compute",
    "Forget a job",
    fields.DELETE,
    optional=("jobId", "documentId"),
    signed="consumerAddress + jobId + documentId",
    takes=_BOTH,
    answers={200: SuccessResponse("done", schema={})},
    refusals=_COMPUTE,
)
RESULT = ApiOperation(
    "Compute",
    "One result of a job",
    fields.RESULT,
    signed="consumerAddress + jobId + index",
    answers=_FILE,
    refusals=(400, 404, 416, 503),
)
LOGS = ApiOperation(
    "Compute",
    "A log of a job, live while it runs",
    fields.LOGS,
    optional=("component", "follow"),
    signed="consumerAddress + jobId + component",
    answers={200: SuccessResponse("the log", TEXT)},
    refusals=(400, 404, 429, 503),
)
GRANT = ApiOperation(
    "Jobs",
    "Redeem a grant: how inputs reach a job",
    answers=_FILE,
    # 410: the job or the time of the grant is over, which a pod can tell from a grant that is false (401).
    refusals=(401, 403, 410, 416, 502, 503),
)
