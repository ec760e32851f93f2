"""The SDK: a :class:`Publisher` and a :class:`Consumer`, both synchronous and usable from many threads.

    connection = Connection(provider_url, cache_url, rpc_url, "address.json")
    dataset = Publisher(connection, publisher).publish_dataset("Cells", [file], price=2)
    job = Consumer(connection, consumer).start(dataset.did, algorithm.did)

Every refusal is a :class:`c2d_box.errors.Refused` carrying the Provider's own code and reasons.
"""

from c2d_box.client.connection import Connection
from c2d_box.client.consumer import Consumer
from c2d_box.client.explanations import explain_permission
from c2d_box.client.job_owner import JobOwner
from c2d_box.client.job_request import JobRequest
from c2d_box.client.jobs import Job, JobDetails
from c2d_box.client.payment.prices import PoolPrice
from c2d_box.client.payment.quotes import ItemCost, OrderQuote
from c2d_box.client.payment.spending import SpendingLimits
from c2d_box.client.publisher import PublishedAsset, Publisher

__all__ = [
    "Connection",
    "Consumer",
    "ItemCost",
    "Job",
    "JobDetails",
    "JobOwner",
    "JobRequest",
    "OrderQuote",
    "PoolPrice",
    "PublishedAsset",
    "Publisher",
    "SpendingLimits",
    "explain_permission",
]
