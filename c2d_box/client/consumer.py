"""Consuming: check, quote, order, start; then watch a job and fetch what it left.

Whatever can be refused is refused before anything is paid: the Provider judges permissions in
initializeCompute, prices and balances are looked at before the first transaction.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2d_box.assets import ecies
from c2d_box.assets.ddo import ACCESS, COMPUTE, DDO, Service
from c2d_box.client import downloads, outcomes, unsealing, verification
from c2d_box.client.answers import is_outage
from c2d_box.client.computing_time import end_of_time, end_within, orders_of
from c2d_box.client.connection import Connection
from c2d_box.client.jobs import Job, id_of, is_finished
from c2d_box.client.ordering import Item, Quote, earlier_order, quoted
from c2d_box.client.paying import Payment, pay, telling
from c2d_box.client.provider import save
from c2d_box.client.verification import Verification
from c2d_box.errors import Failed, Refused
from c2d_box.retry import Backoff
from c2d_box.workflow.manifests import SEALED

if TYPE_CHECKING:
    from c2d_box.chain import Signer
    from c2d_box.chain.orders import ConsumeMarketFee

READ_BYTES = 64 << 20
Algorithm = str | Mapping[str, Any]
"""A published algorithm's DID, or a raw one: ``{"rawcode" or "url", "container": {…}}``."""


class Consumer:
    """Orders and runs as one account."""

    def __init__(self, connection: Connection, signer: Signer) -> None:
        self.connection = connection
        self.signer = signer

    def quote(
        self,
        did: str,
        algorithm: Algorithm,
        additional_dids: Sequence[str] = (),
        *,
        environment: str | None = None,
        seconds: int | None = None,
        userdata: Mapping[str, Mapping[str, Any]] | None = None,
        algocustomdata: Mapping[str, Any] | None = None,
        reuse: bool = True,
        market: ConsumeMarketFee | None = None,
    ) -> Quote:
        """Return what the job would cost, or raise the refusal it would meet. Pays nothing.

        One order carries one job at a time: orders of jobs that still run are not offered for reuse. Where
        orders of a start that broke off still pay for at least half of the time, the job gets what is left of
        it (``valid_until`` of the quote) instead of being paid twice. ``market`` is the fee of the market
        through which the consumer orders.
        """
        chosen = self._environment(environment)
        longest = int(chosen.get("maxJobDuration") or 3600)
        seconds = min(3600, longest) if seconds is None else seconds
        jobs = self._jobs_unless_away() if reuse else None
        busy = None if jobs is None else orders_of([job for job in jobs if not is_finished(job)])
        data = userdata or {}
        items = [self._item(each, COMPUTE, data, busy) for each in (did, *additional_dids)]
        if isinstance(algorithm, str):
            items.append(self._item(algorithm, None, data, busy, algocustomdata))
        end = end_of_time(self.connection.chain, items, str(chosen["id"]), seconds, jobs or [])
        return self._quoted_until(end, items, algorithm, chosen, market)

    def start(
        self,
        did: str,
        algorithm: Algorithm,
        additional_dids: Sequence[str] = (),
        *,
        environment: str | None = None,
        seconds: int | None = None,
        userdata: Mapping[str, Mapping[str, Any]] | None = None,
        algocustomdata: Mapping[str, Any] | None = None,
        output: Mapping[str, Any] | None = None,
        limits: Mapping[str, int] | None = None,
        slippage: float = 0.0,
        reuse: bool = True,
        market: ConsumeMarketFee | None = None,
    ) -> Job:
        """Run ``algorithm`` on ``did`` and the additional datasets; the started job.

        ``environment`` defaults to the cheapest one, ``seconds`` of compute time to an hour or its limit.
        ``userdata`` is keyed by DID. ``limits`` are the most to pay per token over everything, in base units:
        what would cost more, or anything of a token that is not named, is refused before the first
        transaction. A limit that was quoted suffices: where the Provider asks a little more now, because it
        counts a second more, the job gets up to ten seconds less. Orders that are still good are reused, so
        where a start breaks off (``paid`` in the error's details), the same call goes on from there.
        ``output["publish"]`` (name, description, license, tags, free) makes the results an asset of this
        account's, where every dataset's publisher allows it; ``output["encrypt"]`` (a public key, or True for
        this account's own) encrypts them, so that nobody else can read them.
        """
        if output is not None and output.get("encrypt") is True:
            output = {**output, "encrypt": ecies.public_key_of(self.signer.key)}
        if output is not None and output.get("publish"):
            if output.get("encrypt"):
                raise Refused(
                    "C2D-RESULTS-NOT-PUBLISHABLE",
                    "results that are encrypted for one reader cannot become an asset",
                    "start the job with one of publish and encrypt",
                )
            self._demand_publishable((did, *additional_dids))
        before = self.jobs()
        quote = self.quote(
            did,
            algorithm,
            additional_dids,
            environment=environment,
            seconds=seconds,
            userdata=userdata,
            algocustomdata=algocustomdata,
            reuse=reuse,
            market=market,
        )
        if (end := end_within(quote, limits)) is not None:
            quote = self._quoted_until(end, quote.items, algorithm, quote.environment or {}, market)
        assert quote.environment is not None
        consumer, payments = str(quote.environment["consumerAddress"]), list[Payment]()
        proofs = pay(self.connection.chain, self.signer, quote, consumer, limits, slippage, payments)
        paid = [item.request(tx) for item, tx in zip(quote.items, proofs, strict=True)]
        count = 1 + len(additional_dids)
        request: dict[str, Any] = {
            "consumerAddress": self.signer.address,
            "environment": quote.environment["id"],
            "seconds": seconds,  # a reused order may have been paid for longer
            "dataset": paid[0],
            "algorithm": paid[count] if isinstance(algorithm, str) else {"meta": dict(algorithm)},
        }
        if additional_dids:
            request["additionalDatasets"] = paid[1:count]
        if output is not None:
            request["output"] = dict(output)
        with telling(payments):
            details = self._post(request, before)
        return Job(str(details["jobId"]), quote.costs, details)

    def get_job_details(self, job: Job | str) -> dict[str, Any]:
        """Return the job as the Provider reports it; Refused C2D-JOB-UNKNOWN if this account has
        no such job."""
        found = self.connection.provider.jobs(self.signer.address, id_of(job), self.signer)
        match = next((j for j in found if j.get("jobId") == id_of(job)), None)
        if match is None:
            raise Refused(
                "C2D-JOB-UNKNOWN",
                f"{self.signer.address} has no job {id_of(job)}",
                "see them: c2d-box jobs; a job is its owner's alone (--as)",
            )
        return match

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs of this account."""
        return self.connection.provider.jobs(self.signer.address, signer=self.signer)

    def verify(self, job: Job | str) -> Verification:
        """Compare the job's evidence with chain, descriptions, files, image and results."""
        return verification.verify(self, id_of(job))

    def explain(self, job: Job | str) -> str:
        """Return two sentences: how the job ended and what to do about it."""
        return outcomes.explain(self.get_job_details(job))

    def stop(self, job: Job | str) -> dict[str, Any]:
        """Ask the job to stop; what it wrote until then is published."""
        return self.connection.provider.stop(self.signer, id_of(job))

    def wait(self, job: Job | str, timeout: float = 3600) -> dict[str, Any]:
        """Return the job's details once it has ended; Failed C2D-JOB-SLOW after ``timeout`` seconds."""
        deadline, backoff = time.monotonic() + timeout, Backoff(0.1, 2.0, 1.3)
        while True:
            details = self.get_job_details(job)
            if is_finished(details):
                return details
            if time.monotonic() > deadline:
                state = str(details.get("statusText", "")).strip()
                raise Failed(
                    "C2D-JOB-SLOW", f"job {id_of(job)} is still: {state}", f"c2d-box job {id_of(job)}"
                )
            time.sleep(min(backoff.next_pause(), max(0.0, deadline - time.monotonic())))

    def results(self, job: Job | str) -> list[dict[str, Any]]:
        """Return the job's results: ``filename, filesize, type, index``; empty until they are published."""
        listed = self.get_job_details(job).get("results") or []
        return [{"index": position, **entry} for position, entry in enumerate(listed)]

    def download_result(self, job: Job | str, index: int, to: str | Path) -> Path:
        """Write one result to the file ``to`` (or into the folder ``to`` under its own name), decrypted where
        it was encrypted for this account. One that was encrypted for another reader stays beside it as it
        came."""
        sealed = self._is_sealed(job, index)
        with self.connection.provider.result(self.signer, id_of(job), index) as response:
            path = Path(to)
            if path.is_dir():
                name = downloads.name_of(response, f"result-{index}")
                path = path / (name.removesuffix(SEALED) if sealed else name)
            if not sealed:
                return save(response, path)
            received = save(response, path.with_name(path.name + SEALED))
        unsealing.open_file(self.signer.key, received, path)
        received.unlink()
        return path

    fetch_result = download_result

    def read_result(self, job: Job | str, index: int, most: int = READ_BYTES) -> bytes:
        """Return one result as bytes, for small ones such as logs; decrypted where it is encrypted for this
        account.

        Refused C2D-RESULT-LARGE beyond ``most`` bytes: :meth:`download_result` takes results of any size.
        """
        content = bytearray()
        with self.connection.provider.result(self.signer, id_of(job), index) as response:
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > most:
                    raise Refused(
                        "C2D-RESULT-LARGE",
                        f"result {index} of job {id_of(job)} is larger than {most} bytes",
                        "fetch it into a file: c2d-box results JOB INDEX --to FOLDER",
                    )
        if self._is_sealed(job, index):
            return unsealing.opened(self.signer.key, bytes(content))
        return bytes(content)

    def result_sha256(self, job: Job | str, index: int) -> str:
        """Return the SHA-256 of a result, decrypted where it is encrypted for this account, in bounded
        memory."""
        with tempfile.TemporaryDirectory(prefix="c2d-result-") as scratch:
            path = self.download_result(job, index, Path(scratch) / "result")
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

    def _is_sealed(self, job: Job | str, index: int) -> bool:
        listed = self.results(job)
        return 0 <= index < len(listed) and unsealing.is_sealed(listed[index])

    def logs(self, job: Job | str, kind: str = "algorithmLog") -> str:
        """Return the logs of one type among the results (``algorithmLog``, ``configrationLog``,
        ``publishLog``)."""
        listed = [entry for entry in self.results(job) if entry["type"] == kind]
        if not listed:
            raise Refused(
                "C2D-LOG-NONE", f"job {id_of(job)} has no such log yet", f"c2d-box job {id_of(job)}"
            )
        return "".join(self.read_result(job, e["index"]).decode(errors="replace") for e in listed)

    def quote_download(
        self,
        did: str,
        *,
        userdata: Mapping[str, Any] | None = None,
        market: ConsumeMarketFee | None = None,
    ) -> Quote:
        """Return what downloading ``did`` would cost now, or raise the refusal it would meet. Pays
        nothing."""
        ddo = self.connection.cache.ddo(did)
        service = ddo.first(ACCESS)
        if service is None:
            raise Refused(
                "C2D-DOWNLOAD-COMPUTE-ONLY", f"{did} can be computed on, not downloaded", "start a job on it"
            )
        previous = earlier_order(
            self.connection.chain, self.signer.address, service, ddo.index_of(service.id) or 0, set()
        )
        item = Item(ddo, service, previous, userdata)
        answer = self.connection.provider.initialize(downloads.query(item, self.signer.address))
        provider = self.connection.provider.address
        return quoted(self.connection.chain, self.signer.address, [item], [answer], provider, market=market)

    def download(
        self,
        did: str,
        folder: str | Path,
        *,
        userdata: Mapping[str, Any] | None = None,
        limits: Mapping[str, int] | None = None,
        slippage: float = 0.0,
        market: ConsumeMarketFee | None = None,
    ) -> list[Path]:
        """Order an access service where no earlier order is good, and fetch its files into ``folder``."""
        quote, payments = self.quote_download(did, userdata=userdata, market=market), list[Payment]()
        chain, who = self.connection.chain, self.signer
        (order,) = pay(chain, who, quote, who.address, limits, slippage, payments)
        with telling(payments):
            return downloads.fetch_all(self.connection.provider, who, quote.items[0], order, Path(folder))

    def _quoted_until(
        self,
        valid_until: int,
        items: Sequence[Item],
        algorithm: Algorithm,
        environment: Mapping[str, Any],
        market: ConsumeMarketFee | None,
    ) -> Quote:
        """Return the Provider's quote for ``items``, the published algorithm last, with the
        chain's prices."""
        asked = [item.request() for item in items]
        published = asked.pop() if isinstance(algorithm, str) else {"meta": dict(algorithm)}
        request: dict[str, Any] = {
            "datasets": asked,
            "compute": {"env": environment["id"], "validUntil": valid_until},
            "consumerAddress": self.signer.address,
            "algorithm": published,
        }
        answer = self.connection.provider.initialize_compute(request)
        answers = [*answer.get("datasets", []), *([answer["algorithm"]] if answer.get("algorithm") else [])]
        chain, provider = self.connection.chain, self.connection.provider.address
        return quoted(chain, self.signer.address, items, answers, provider, environment, valid_until, market)

    def _post(self, request: dict[str, Any], before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Start the job; where it stays uncertain whether it started, the job that appeared for these orders
        is the one."""
        try:
            return self.connection.provider.start(self.signer, request)
        except Failed as error:
            if error.code != "C2D-START-UNCERTAIN":
                raise
            items = [request["dataset"], request["algorithm"], *request.get("additionalDatasets", [])]
            orders = {item.get("transferTxId") for item in items} - {None}
            known = {job.get("jobId") for job in before}
            for job in self.jobs():
                if job.get("agreementId") in orders and job.get("jobId") not in known:
                    return job
            raise

    def _jobs_unless_away(self) -> list[dict[str, Any]] | None:
        """Return the account's jobs; None, whereupon no order is reused, while nobody can list them: the cost
        of a job can be told without them."""
        try:
            return self.jobs()
        except Failed as error:
            if is_outage(error):
                return None
            raise

    def _demand_publishable(self, dids: Sequence[str]) -> None:
        for did in dids:
            service = _service(self.connection.cache.ddo(did), COMPUTE)
            if service.trust.get("allowPublishedResults") is not True:
                raise Refused(
                    "C2D-RESULTS-NOT-PUBLISHABLE",
                    f"the publisher of {did} does not allow results to become assets",
                    "start the job without publishing, or ask the publisher",
                )

    def _environment(self, wanted: str | None) -> dict[str, Any]:
        found = self.connection.provider.environments()
        if wanted is not None:
            found = [environment for environment in found if environment.get("id") == wanted]
        if not found:
            raise Refused(
                "C2D-ENVIRONMENT-UNKNOWN",
                f"the Provider offers no compute environment{f' {wanted}' if wanted else ''}",
                "see GET /api/services/computeEnvironments of the Provider",
            )
        return min(found, key=lambda environment: float(environment.get("priceMin") or 0))

    def _item(
        self,
        did: str,
        preferred: str | None,
        userdata: Mapping[str, Mapping[str, Any]],
        busy: set[str] | None,
        algocustomdata: Mapping[str, Any] | None = None,
    ) -> Item:
        """Return ``did`` with the service to order: of the ``preferred`` type, else its first."""
        ddo = self.connection.cache.ddo(did)
        service = _service(ddo, preferred)
        index = ddo.index_of(service.id) or 0
        previous = None
        if busy is not None:
            previous = earlier_order(self.connection.chain, self.signer.address, service, index, busy)
        return Item(ddo, service, previous, userdata.get(did), algocustomdata)


def _service(ddo: DDO, preferred: str | None) -> Service:
    service = ddo.first(preferred) if preferred else None
    if service is None:
        service = next(iter(ddo.services), None)
    if service is None:
        raise Refused("C2D-ASSET-NO-SERVICE", f"{ddo.id} offers no service", "ask its publisher")
    return service
