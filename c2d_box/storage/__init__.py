"""Reads file objects of every type behind one small port.

A type's own module says which HTTP request reads it (:mod:`c2d_box.assets.files`); signed requests, contract
calls and results have a module here. :mod:`fetcher` alone sends requests.
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
from c2d_box.storage.sources import Storage

__all__ = [
    "AddressRules",
    "ChainAway",
    "Fetcher",
    "Forbidden",
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
