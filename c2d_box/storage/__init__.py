"""Reads file objects of every type behind one small port (``port``).

A type's own module says which HTTP request reads it (:mod:`c2d_box.assets.files`); signed requests, contract
calls and results have a module here. ``fetcher`` alone sends requests, so its address rules hold for every
byte that a publisher or consumer has the Provider read.
"""

from c2d_box.storage.addresses import AddressRules, Origin
from c2d_box.storage.errors import (
    ChainAway,
    FetchForbidden,
    FileUnusable,
    OwnAway,
    SourceRejected,
    SourceUnreachable,
    StorageError,
    TooLarge,
)
from c2d_box.storage.fetcher import Fetcher
from c2d_box.storage.http1 import FetchTimeouts
from c2d_box.storage.port import FileMeta, FileProbe, OpenFile
from c2d_box.storage.resultstore import IpfsResults, ResultStore, S3Results
from c2d_box.storage.sources import Storage

__all__ = [
    "AddressRules",
    "ChainAway",
    "FetchForbidden",
    "FetchTimeouts",
    "Fetcher",
    "FileMeta",
    "FileProbe",
    "FileUnusable",
    "IpfsResults",
    "OpenFile",
    "Origin",
    "OwnAway",
    "ResultStore",
    "S3Results",
    "SourceRejected",
    "SourceUnreachable",
    "Storage",
    "StorageError",
    "TooLarge",
]
