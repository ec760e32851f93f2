"""The Provider as its clients see it: discovery, signed requests, streams.

A signed request takes the account's stored nonce plus one. Requests of one account are therefore made one
after the other, up to the answer's first byte; when another process was faster, the nonce is read again.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from c2d_box.assets.crypto import lookup_text, signatures, status_proofs
from c2d_box.client.jobs import JobDetails
from c2d_box.client.services.http_errors import (
    answer_of,
    client_for,
    demand_success,
    json_of,
    reaching_service,
    response_error,
)
from c2d_box.errors import C2DError, Failed, Refused
from c2d_box.files import open_replacement

if TYPE_CHECKING:
    from c2d_box.chain import Signer

_OCTETS = {"Content-Type": "application/octet-stream"}
# Lost nonces in a row after which another process is clearly busier than this one.
_ATTEMPTS = 6
# Seconds after each unanswered start, before the same request is sent again.
_PAUSES = (0.2, 0.5, 1.0, 2.0)
Fields = dict[str, Any]


class Provider:
    """One Provider for one chain."""

    def __init__(self, url: str, chain_id: int, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url
        self.chain_id = chain_id
        # A start may wait for a block on a slow chain; a Provider that is away shows in 10 seconds.
        self._http = client_for(url, httpx.Timeout(120, connect=10), transport)
        self._root: Fields | None = None
        # One lock per account: nonces of different accounts do not touch each other.
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def address(self) -> str:
        """The address whose fees and encryption this Provider uses on the chain; Refused where it serves
        another one.

        A Provider tells one per chain that it serves.
        """
        address = self._discover_endpoints()["providerAddresses"].get(str(self.chain_id))
        if not address:
            raise Refused(
                "C2D-PROVIDER-CHAIN",
                f"the Provider at {self.url} does not serve chain {self.chain_id}",
                "use a Provider of that chain",
            )
        return str(address)

    def encrypt_document(self, document: bytes) -> str:
        """Return ``document`` encrypted for this Provider, as 0x hex. Only this Provider can read it
        again."""
        params = {"chainId": str(self.chain_id)}
        response = self._demand_response(
            "POST", "encrypt", "encrypting", params=params, content=document, headers=_OCTETS
        )
        return response.text

    def file_info(self, query: Fields, signer: Signer | None = None) -> list[Fields]:
        """Return what the Provider finds where the files are; ``query`` is ``{did, serviceId}`` or a file
        object.

        ``signer``: sources that are not read by a bare GET are looked at for a signed caller only, and names
        and hashes of compute-only data are told to its publisher and to callers who name an order of it.
        """
        doing = "looking at the files"
        if signer is None:
            return answer_of(self._demand_response("POST", "fileinfo", doing, json=query), "Provider", list)
        # The signed text covers what is asked, so a signature cannot be used to look elsewhere.
        request = {**query, "consumerAddress": signer.address}

        def post(proof: Fields) -> httpx.Response:
            return self._send_request("POST", "fileinfo", json={**request, **proof})

        answer = self._send_signed(signer, lookup_text.signed_text(request), doing, post)
        return answer_of(answer, "Provider", list)

    def list_environments(self) -> list[Fields]:
        """Return the compute environments of this chain, as the Provider describes them."""
        params = {"chainId": str(self.chain_id)}
        answer = self._demand_response("GET", "computeEnvironments", "listing environments", params=params)
        body: Any = answer_of(answer, "Provider", object)
        # Providers of different versions answer a list, or an object with a list per chain.
        found = body.get(str(self.chain_id), []) if isinstance(body, dict) else body
        if not isinstance(found, list):
            raise Failed("C2D-ANSWER-INVALID", "the Provider gave no list of environments", "see its log")
        return found

    def initialize(self, query: Mapping[str, str]) -> Fields:
        """Return the fee or the valid order for an access service; whatever would refuse the download
        refuses here."""
        answer = self._demand_response("GET", "initialize", "asking for the asset", params=query)
        return answer_of(answer, "Provider", dict)

    def initialize_compute(self, request: Fields) -> Fields:
        """Fees and valid orders for a job; whatever would refuse the job refuses here, before paying."""
        answer = self._demand_response("POST", "initializeCompute", "the compute job", json=request)
        return answer_of(answer, "Provider", dict)

    def start_job(self, signer: Signer, request: Fields) -> Fields:
        """Start a job. The signed request is its own identity: where the connection breaks before the answer
        it is sent again unchanged, which starts nothing twice.

        Failed C2D-START-UNCERTAIN when it stays unknown whether the job was started.
        """
        subject = signer.address + request["dataset"]["documentId"]
        broken, uncertain = False, False

        def post(proof: Fields) -> httpx.Response:
            nonlocal broken, uncertain
            # The very same bytes each time: nonce and signature identify the request to the Provider.
            for pause in (*_PAUSES, None):
                try:
                    response = self._send_request("POST", "computeStart", json={**request, **proof})
                except Failed as error:
                    problem: C2DError = error
                else:
                    # A 4xx decided something; a 5xx may have started the job or not.
                    if response.status_code < 500:
                        return self._require_certain(response, broken)
                    problem = response_error(response, "Provider", "the compute job")
                broken = True
                uncertain = uncertain or _may_have_started(problem)
                if pause is not None:
                    time.sleep(pause)
            if not uncertain:
                raise problem
            raise _start_uncertain(
                f"the Provider did not say that it started the job ({problem.message})"
            ) from problem

        answer = self._send_signed(signer, subject, "the compute job", post)
        return _first_job(answer_of(answer, "Provider", object), "started no job")

    def list_jobs(self, owner: str, job_id: str | None = None, signer: Signer | None = None) -> list[Fields]:
        """Return the jobs of an owner as the Provider reports them; ``[]`` for an unknown one. A ``signer``
        who is the owner gets them with names, reasons, exit codes and times."""
        params = {"consumerAddress": owner, **({"jobId": job_id} if job_id else {})}
        if signer is not None:
            # A proof with a time instead of a nonce: a question that is asked often must use none up.
            params |= status_proofs.status_proof(signer.key, owner, job_id, time.time())
        answer = self._demand_response("GET", "computeStatus", "asking for jobs", params=params)
        jobs: Any = answer_of(answer, "Provider", object)
        # For a single job some Providers answer the object itself.
        return list(jobs) if isinstance(jobs, list) else [jobs]

    def stop_job(self, signer: Signer, job_id: str) -> Fields:
        """Ask a job to stop. The signature names a dataset of the job: without a DID its text would be that
        of fetching a result, and a Provider takes it for neither."""
        # Asked without a proof: strangers are told the DIDs of the datasets too (ADR 0020).
        named = [
            did for job in self.list_jobs(signer.address, job_id) for did in JobDetails.parse(job).inputs
        ]
        did = named[0] if named else ""
        fields = {"consumerAddress": signer.address, "jobId": job_id, **({"documentId": did} if did else {})}

        def put(proof: Fields) -> httpx.Response:
            return self._send_request("PUT", "computeStop", json={**fields, **proof})

        answer = self._send_signed(signer, signer.address + job_id + did, "stopping the job", put)
        return _first_job(answer_of(answer, "Provider", object), "knows no such job")

    @contextmanager
    def stream_result(self, signer: Signer, job_id: str, index: int) -> Iterator[httpx.Response]:
        """Yield one result as a stream; the account's turn has passed on once the first byte is there."""
        query = {"consumerAddress": signer.address, "jobId": job_id, "index": str(index)}
        subject = f"{signer.address}{job_id}{index}"
        with self._open_stream(signer, "computeResult", subject, query, "fetching the result") as response:
            yield response

    @contextmanager
    def stream_file(self, signer: Signer, query: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Yield one file of an ordered access service as a stream.

        ``query`` is that of :func:`c2d_box.client.results.downloads.download_query` with ``fileIndex``.
        """
        with self._open_stream(signer, "download", query["documentId"], query, "the download") as response:
            yield response

    def last_nonce(self, address: str) -> int:
        """Return the last nonce the Provider has seen of ``address``."""
        answer = self._demand_response(
            "GET", "nonce", "asking for the nonce", params={"userAddress": address}
        )
        # Some Providers answer text or a number with a decimal point; floats are exact up to 2**53.
        nonce = answer_of(answer, "Provider", dict).get("nonce") or 0
        try:
            return int(float(nonce))
        except (ValueError, TypeError, OverflowError):
            raise Failed("C2D-ANSWER-INVALID", "the Provider's nonce is no number", "see its log") from None

    def _require_certain(self, response: httpx.Response, broken: bool) -> httpx.Response:
        """Raise Failed C2D-START-UNCERTAIN where the request would be signed anew after an unanswered one:
        that might start a second job."""
        # A stale nonce after a broken connection may be our own: the first copy arrived.
        if broken and _is_stale(response):
            raise _start_uncertain(
                "the Provider did not answer, and another request of this account came between"
            )
        return response

    @contextmanager
    def _open_stream(
        self, signer: Signer, name: str, subject: str, query: Mapping[str, str], doing: str
    ) -> Iterator[httpx.Response]:
        """Yield the answer to a signed GET; the connection is returned whatever the caller does with it."""

        def get(proof: Fields) -> httpx.Response:
            method, path = self._find_endpoint(name)
            request = self._http.build_request(method, path, params={**query, **proof})
            with reaching_service("Provider", self.url):
                # Streamed: a result may be larger than memory.
                return self._http.send(request, stream=True)

        response = self._send_signed(signer, subject, doing, get)
        try:
            with reaching_service("Provider", self.url):
                yield response
        finally:
            response.close()

    def _send_signed(
        self, signer: Signer, subject: str, doing: str, send: Callable[[Fields], httpx.Response]
    ) -> httpx.Response:
        """Send a request that is signed over ``subject`` and the next nonce; return the successful answer.

        ``send`` gets nonce and signature. A nonce that another process used first is read again.
        """
        # Held until the answer begins: the Provider refuses a nonce below one that it has seen.
        with self._nonce_lock(signer):
            for attempt in range(_ATTEMPTS):
                nonce = str(self.last_nonce(signer.address) + 1)
                response = send(
                    {"nonce": nonce, "signature": signatures.sign_text(signer.key, subject + nonce)}
                )
                if response.is_success:
                    return response
                # The answer may be a stream; an error's body has to be complete before it is parsed.
                response.read()
                if not _is_stale(response) or attempt == _ATTEMPTS - 1:
                    raise response_error(response, "Provider", doing)
        raise AssertionError("unreachable")

    def _demand_response(self, method: str, name: str, doing: str, **options: Any) -> httpx.Response:
        """Send a request and return its answer; raise the fitting error where it is no success."""
        return demand_success(self._send_request(method, name, **options), "Provider", doing)

    def _send_request(self, method: str, name: str, **options: Any) -> httpx.Response:
        """Send a request to the endpoint called ``name``, with the method that is given."""
        _method, path = self._find_endpoint(name)
        with reaching_service("Provider", self.url):
            return self._http.request(method, path, **options)

    def _find_endpoint(self, name: str) -> tuple[str, str]:
        """Return method and path of an endpoint by its name in the Provider's own list.

        Paths are not built in: they carry a version, and Ocean's clients discover them too.
        """
        try:
            method, path = self._discover_endpoints()["serviceEndpoints"][name]
        except (KeyError, ValueError, TypeError) as error:
            # What answers may be any web server, so every shape of a wrong answer is expected.
            raise Failed(
                "C2D-PROVIDER-UNKNOWN",
                f"what answers at {self.url} offers no {name}: it is no Provider of this generation",
                "check the address",
            ) from error
        return str(method), str(path)

    def _discover_endpoints(self) -> Fields:
        """Return the Provider's root document; it is asked once, since it changes with a deployment only."""
        if self._root is None:
            with reaching_service("Provider", self.url):
                response = demand_success(self._http.get("/"), "Provider", "service discovery")
            body = json_of(response)
            if not isinstance(body, dict) or not isinstance(body.get("providerAddresses"), dict):
                raise Failed(
                    "C2D-PROVIDER-UNKNOWN", f"no Provider answers at {self.url}", "check the address"
                )
            self._root = body
        return self._root

    def _nonce_lock(self, signer: Signer) -> threading.Lock:
        with self._guard:
            return self._turns[signer.address]


def save_response(response: httpx.Response, path: Path) -> Path:
    """Write a stream to ``path``, complete or not at all."""
    with open_replacement(path) as file:
        # 256 KiB: few system calls, little memory.
        for chunk in response.iter_bytes(1 << 18):
            file.write(chunk)
    return path


def _first_job(jobs: Any, problem: str) -> Fields:
    """Return the one job of an answer that is a list or an object; Failed where there is none."""
    job = jobs[0] if isinstance(jobs, list) and jobs else jobs
    if not isinstance(job, dict) or "jobId" not in job:
        raise Failed("C2D-PROVIDER-ANSWER", f"the Provider {problem}", "see its log")
    return job


def _may_have_started(problem: C2DError) -> bool:
    """Return whether a start that failed like this may have made a job all the same: the connection broke
    after the request went out, or the Provider failed in a way that it does not explain."""
    cause = problem.__cause__
    if isinstance(cause, httpx.HTTPError):
        return not isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout)
    return problem.code == "C2D-SERVICE-FAILED"


def _start_uncertain(text: str) -> Failed:
    """Return the error of a start of which nobody can say whether it made a job."""
    return Failed(
        "C2D-START-UNCERTAIN", text, "look at the account's jobs before starting again: c2d-box jobs"
    )


def _is_stale(response: httpx.Response) -> bool:
    """Return whether the only fault was the nonce: another request of this account came first."""
    errors = json_of(response)
    # There is no code for it; the words are "Invalid signature expected nonce (x) > current nonce (y)".
    text = errors.get("errors", {}).get("signature", "") if isinstance(errors, dict) else ""
    return isinstance(text, str) and "nonce (" in text and ">" in text
