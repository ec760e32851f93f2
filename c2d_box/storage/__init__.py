"""Where bytes come from: url, ipfs, arweave, graphql, contract call and s3 behind one small port.

Each type's module turns a file object into one HTTP request (a contract call aside); :mod:`fetcher` alone
sends it.
"""

from c2d_box.storage.addresses import AddressRules, Origin
from c2d_box.storage.errors import (
    ChainAway,
    Forbidden,
    OwnAway,
    Rejected,
    StorageError,
    TooLarge,
    Unreachable,
    Unusable,
)
from c2d_box.storage.fetcher import Fetcher
from c2d_box.storage.http1 import Timeouts
from c2d_box.storage.port import Meta, OpenFile, Probe
from c2d_box.storage.resultstore import IpfsResults, ResultStore, S3Results
from c2d_box.storage.sources import Gateways, Storage

__all__ = [
    "AddressRules",
    "ChainAway",
    "Fetcher",
    "Forbidden",
    "Gateways",
    "IpfsResults",
    "Meta",
    "OpenFile",
    "Origin",
    "OwnAway",
    "Probe",
    "Rejected",
    "ResultStore",
    "S3Results",
    "Storage",
    "StorageError",
    "Timeouts",
    "TooLarge",
    "Unreachable",
    "Unusable",
]
