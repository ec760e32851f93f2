"""One paid order on the real cluster, started two hundred times at once: one job, by Lease and WorkFlow."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from c2d_box.assets.crypto import signatures
from c2d_box.client.payment.paying import pay_quote
from sandbox.box import Box
from sandbox.verbs.compute import jobs
from sandbox.verbs.sdk_connections import open_consumer

from .conftest import ComputePair, finish_verb

LASTING = "import time; time.sleep(20); open('/data/outputs/done.txt', 'w').write('done')"
STARTS, AT_ONCE = 200, 40


def test_two_hundred_starts_with_one_order_are_one_job(
    box: Box, publish_pair: Callable[[str, str], ComputePair], request: pytest.FixtureRequest
) -> None:
    """A hundred requests of their own, and one of them another hundred times."""
    if not request.config.getoption("--full"):
        pytest.skip("the lock itself is asked in tests/unit/operator_service; here with --full")
    pair = publish_pair("a\n", LASTING)
    with open_consumer(box, "consumer") as consumer:
        connection, signer = consumer.connection, consumer.signer
        quote = consumer.quote(pair.dataset, pair.algorithm, reuse=False)
        assert quote.environment is not None
        proofs = pay_quote(
            connection.chain, signer, quote, str(quote.environment["consumerAddress"]), None, 0.0
        )
        dataset, algorithm = [item.as_request(tx) for item, tx in zip(quote.items, proofs, strict=True)]
        first = connection.provider.last_nonce(signer.address) + 1

        def signed(nonce: int) -> dict[str, Any]:
            text = f"{signer.address}{pair.dataset}{nonce}"
            return {
                "consumerAddress": signer.address,
                "environment": quote.environment["id"] if quote.environment else "",
                "dataset": dataset,
                "algorithm": algorithm,
                "nonce": str(nonce),
                "signature": signatures.sign_text(signer.key, text),
            }

        url = f"{connection.provider.url}/api/services/compute"
        asked = [signed(first + at // 2 if at % 2 else first) for at in range(STARTS)]
        with httpx.Client(trust_env=False, timeout=120) as client, ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda body: client.post(url, json=body), asked))
        started = {answer.json()[0]["jobId"] for answer in answers if answer.status_code == 200}
        refused = [answer for answer in answers if answer.status_code != 200]
        assert len(started) == 1, [answer.text for answer in refused][:5]
        assert {answer.status_code for answer in refused} <= {400}
        mine = [job for job in connection.provider.list_jobs(signer.address) if job["agreementId"] in proofs]
        assert [job["jobId"] for job in mine] == list(started)
        end = finish_verb(jobs.follow(box, "consumer", started.pop(), timeout=180))
        assert end.status == 70, end
