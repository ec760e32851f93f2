"""Consuming: check, quote, order, start; :mod:`c2d_box.client.job_owner` has what comes after.

Whatever can be refused is refused before anything is paid: the Provider judges permissions in
initializeCompute, prices and balances are looked at before the first transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2d_box.assets.crypto import ecies
from c2d_box.assets.documents.ddo import ACCESS, COMPUTE, DDO, DdoService
from c2d_box.client.evidence import verification
from c2d_box.client.evidence.verification import JobVerification
from c2d_box.client.job_owner import JobOwner
from c2d_box.client.job_request import Algorithm, JobRequest
from c2d_box.client.jobs import Job, JobDetails, id_of
from c2d_box.client.payment.computing_time import end_of_time, end_within, orders_of
from c2d_box.client.payment.paying import PaymentTransaction, pay_quote, reporting_payments
from c2d_box.client.payment.quotes import OrderItem, OrderQuote, build_quote, earlier_order
from c2d_box.client.payment.spending import SpendingLimits
from c2d_box.client.results import downloads
from c2d_box.client.services.http_errors import is_outage
from c2d_box.errors import Failed, Refused

if TYPE_CHECKING:
    from c2d_box.chain.orders import ConsumeMarketFee


class Consumer(JobOwner):
    """Orders and runs as one account."""

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
    ) -> OrderQuote:
        """Return what the job would cost, or raise the refusal it would meet. Pays nothing.

        One order carries one job at a time: orders of jobs that still run are not offered for reuse. Where
        orders of a start that broke off still pay for at least half of the time, the job gets what is left of
        it (``valid_until`` of the quote) instead of being paid twice. ``market`` is the fee of the market
        through which the consumer orders.
        """
        return self.quote_job(
            JobRequest(
                did,
                algorithm,
                tuple(additional_dids),
                environment=environment,
                seconds=seconds,
                userdata=userdata,
                parameters=algocustomdata,
                reuse=reuse,
                market=market,
            )
        )

    def quote_job(self, wanted: JobRequest) -> OrderQuote:
        """Return what :meth:`quote` returns, for a :class:`JobRequest`."""
        chosen = self._choose_environment(wanted.environment)
        # The default is an hour, or less where the environment ends jobs sooner: nobody pays for more.
        longest = int(chosen.get("maxJobDuration") or 3600)
        seconds = min(3600, longest) if wanted.seconds is None else wanted.seconds
        # The account's jobs tell which orders are in use: an order carries one job at a time.
        jobs = self._jobs_unless_away() if wanted.reuse else None
        busy = None if jobs is None else orders_of([job for job in jobs if not job.has_ended])
        data = wanted.userdata or {}
        # The order of the items is the order of the Provider's answers: main dataset, additional ones,
        # algorithm.
        items = [self._order_item(each, COMPUTE, data, busy) for each in wanted.datasets]
        if isinstance(wanted.algorithm, str):
            items.append(self._order_item(wanted.algorithm, None, data, busy, wanted.parameters))
        end = end_of_time(self.connection.chain, items, str(chosen["id"]), seconds, jobs or [])
        return self._quoted_until(end, items, wanted, chosen)

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
        return self.start_job(
            JobRequest(
                did,
                algorithm,
                tuple(additional_dids),
                environment=environment,
                seconds=seconds,
                userdata=userdata,
                parameters=algocustomdata,
                output=output,
                spending=SpendingLimits(slippage=slippage, limits=limits),
                reuse=reuse,
                market=market,
            )
        )

    def start_job(self, wanted: JobRequest) -> Job:
        """Start what :meth:`start` starts, from a :class:`JobRequest`; the started job."""
        chain = self.connection.chain
        limits = wanted.spending.limits_for(chain)
        # All that can be refused without asking for a price comes first.
        output = self._demand_output(wanted)
        # Listed before the start: a job that appears later for these orders must be the new one.
        before = self.jobs()
        quote = self.quote_job(wanted)
        # The limit was the sum of an earlier quote: ask again for a few seconds less (computing_time).
        if (end := end_within(quote, limits)) is not None:
            quote = self._quoted_until(end, quote.items, wanted, quote.environment or {})
        assert quote.environment is not None
        # Compute orders are made for the environment's address, which runs the job on the account's behalf.
        consumer, payments = str(quote.environment["consumerAddress"]), list[PaymentTransaction]()
        proofs = pay_quote(chain, self.signer, quote, consumer, limits, wanted.spending.slippage, payments)
        # One proof per item, in the items' order; a raw algorithm has none.
        paid = [item.as_request(tx) for item, tx in zip(quote.items, proofs, strict=True)]
        count = len(wanted.datasets)
        request: dict[str, Any] = {
            "consumerAddress": self.signer.address,
            "environment": quote.environment["id"],
            "seconds": wanted.seconds,  # a reused order may have been paid for longer
            "dataset": paid[0],
            "algorithm": _published_or_raw(wanted, paid[count:]),
        }
        if wanted.additional:
            request["additionalDatasets"] = paid[1:count]
        if output is not None:
            request["output"] = output
        # Paid by now: an error from here on has to say so.
        with reporting_payments(payments):
            details = self._post_start(request, before)
        return Job(details.id, quote.costs, details)

    def verify(self, job: Job | str) -> JobVerification:
        """Compare the job's evidence with chain, descriptions, files, image and results.

        Raises Refused C2D-EVIDENCE-NONE while the job has published none, C2DError where a source does not
        answer.
        """
        return verification.verify_job(self, id_of(job))

    def quote_download(
        self,
        did: str,
        *,
        userdata: Mapping[str, Any] | None = None,
        market: ConsumeMarketFee | None = None,
    ) -> OrderQuote:
        """Return what downloading ``did`` would cost now, or raise the refusal it would meet. Pays
        nothing."""
        ddo = self.connection.cache.read_ddo(did)
        service = ddo.first_service(ACCESS)
        if service is None:
            raise Refused(
                "C2D-DOWNLOAD-COMPUTE-ONLY", f"{did} can be computed on, not downloaded", "start a job on it"
            )
        # No set of busy orders: a download does not lock its order.
        previous = earlier_order(
            self.connection.chain, self.signer.address, service, ddo.index_of(service.id) or 0, set()
        )
        item = OrderItem(ddo, service, previous, userdata)
        answer = self.connection.provider.initialize(downloads.download_query(item, self.signer.address))
        provider = self.connection.provider.address
        return build_quote(
            self.connection.chain, self.signer.address, [item], [answer], provider, market=market
        )

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
        """Order an access service where no earlier order is good, and fetch its files into ``folder``.

        ``limits`` and ``slippage`` are those of :meth:`start`. Returns the paths in the files' order.
        Where the fetch breaks off, the same call uses the order that was paid.
        """
        quote, payments = (
            self.quote_download(did, userdata=userdata, market=market),
            list[PaymentTransaction](),
        )
        chain, who = self.connection.chain, self.signer
        (order,) = pay_quote(chain, who, quote, who.address, limits, slippage, payments)
        with reporting_payments(payments):
            return downloads.fetch_all(self.connection.provider, who, quote.items[0], order, Path(folder))

    def _quoted_until(
        self,
        valid_until: int,
        items: Sequence[OrderItem],
        wanted: JobRequest,
        environment: Mapping[str, Any],
    ) -> OrderQuote:
        """Return the Provider's quote for ``items``, the published algorithm last, with the
        chain's prices."""
        asked, count = [item.as_request() for item in items], len(wanted.datasets)
        request: dict[str, Any] = {
            "datasets": asked[:count],
            "compute": {"env": environment["id"], "validUntil": valid_until},
            "consumerAddress": self.signer.address,
            "algorithm": _published_or_raw(wanted, asked[count:]),
        }
        answer = self.connection.provider.initialize_compute(request)
        # The Provider leaves the algorithm's answer out for a raw one.
        answers = [*answer.get("datasets", []), *([answer["algorithm"]] if answer.get("algorithm") else [])]
        chain, provider = self.connection.chain, self.connection.provider.address
        who, market = self.signer.address, wanted.market
        return build_quote(chain, who, items, answers, provider, environment, valid_until, market)

    def _post_start(self, request: dict[str, Any], before: Sequence[JobDetails]) -> JobDetails:
        """Start the job; where it stays uncertain whether it started, the job that appeared for these orders
        is the one."""
        try:
            return JobDetails.parse(self.connection.provider.start_job(self.signer, request))
        except Failed as error:
            # Any other failure decided that there is no job.
            if error.code != "C2D-START-UNCERTAIN":
                raise
            # A new job with one of our orders can only be ours: an order is locked by its job.
            items = [request["dataset"], request["algorithm"], *request.get("additionalDatasets", [])]
            orders = {item.get("transferTxId") for item in items} - {None}
            known = {job.id for job in before}
            # A Provider that cannot list jobs now must not hide that there may be one.
            with suppress(Failed):
                for job in self.jobs():
                    if job.agreement in orders and job.id not in known:
                        return job
            raise

    def _jobs_unless_away(self) -> list[JobDetails] | None:
        """Return the account's jobs; None, whereupon no order is reused, while nobody can list them: the cost
        of a job can be told without them."""
        try:
            return self.jobs()
        except Failed as error:
            # Any other failure (a wrong answer, a refusal) must not pass for "there are no jobs".
            if is_outage(error):
                return None
            raise

    def _demand_output(self, wanted: JobRequest) -> dict[str, Any] | None:
        """Return the wish for the results as the Provider takes it; raise Refused where it cannot be
        granted."""
        if wanted.output is None:
            return None
        output = dict(wanted.output)
        # The public half only: the Provider and the pod need nothing secret to encrypt.
        if output.get("encrypt") is True:
            output["encrypt"] = ecies.public_key_of(self.signer.key)
        if output.get("publish"):
            if output.get("encrypt"):
                raise Refused(
                    "C2D-RESULTS-NOT-PUBLISHABLE",
                    "results that are encrypted for one reader cannot become an asset",
                    "start the job with one of publish and encrypt",
                )
            self._demand_publishable(wanted.datasets)
        return output

    def _demand_publishable(self, dids: Sequence[str]) -> None:
        """Raise Refused where a dataset's publisher does not allow results to become assets.

        The Provider decides the same; here it is found out before anything is paid.
        """
        for did in dids:
            service = _choose_service(self.connection.cache.read_ddo(did), COMPUTE)
            # Exactly True: a text such as "no" must not count as consent.
            if service.trust_settings.get("allowPublishedResults") is not True:
                raise Refused(
                    "C2D-RESULTS-NOT-PUBLISHABLE",
                    f"the publisher of {did} does not allow results to become assets",
                    "start the job without publishing, or ask the publisher",
                )

    def _choose_environment(self, wanted: str | None) -> dict[str, Any]:
        """Return the environment called ``wanted``, or the cheapest one; Refused where there is none."""
        found = self.connection.provider.list_environments()
        if wanted is not None:
            found = [environment for environment in found if environment.get("id") == wanted]
        if not found:
            raise Refused(
                "C2D-ENVIRONMENT-UNKNOWN",
                f"the Provider offers no compute environment{f' {wanted}' if wanted else ''}",
                "see GET /api/services/computeEnvironments of the Provider",
            )
        return min(found, key=lambda environment: float(environment.get("priceMin") or 0))

    def _order_item(
        self,
        did: str,
        preferred: str | None,
        userdata: Mapping[str, Mapping[str, Any]],
        busy: set[str] | None,
        algocustomdata: Mapping[str, Any] | None = None,
    ) -> OrderItem:
        """Return ``did`` with the service to order: of the ``preferred`` type, else its first."""
        ddo = self.connection.cache.read_ddo(did)
        service = _choose_service(ddo, preferred)
        index = ddo.index_of(service.id) or 0
        previous = None
        # Without the list of jobs an order might be in use, and its reuse refused after paying the others.
        if busy is not None:
            previous = earlier_order(self.connection.chain, self.signer.address, service, index, busy)
        return OrderItem(ddo, service, previous, userdata.get(did), algocustomdata)


def _published_or_raw(wanted: JobRequest, published: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the algorithm of a request: the ordered one, or else the raw one."""
    return {"meta": dict(wanted.algorithm)} if not isinstance(wanted.algorithm, str) else published[0]


def _choose_service(ddo: DDO, preferred: str | None) -> DdoService:
    """Return the first service of the ``preferred`` type, else the first one; Refused where there is none."""
    service = ddo.first_service(preferred) if preferred else None
    if service is None:
        service = next(iter(ddo.services), None)
    if service is None:
        raise Refused("C2D-ASSET-NO-SERVICE", f"{ddo.id} offers no service", "ask its publisher")
    return service
