"""The errors of reading bytes from elsewhere. No message ever holds a URL, a header or a credential.

The classes divide by whose fault it is, because that decides the answer: a file that cannot be read is
reported as such, while OwnAway and ChainAway become a 503 of the Provider.

StorageError
├── FetchForbidden         an address rule refused it
├── SourceUnreachable      nothing answered, or it broke off
│   └── OwnAway            the operator's own store or gateway did not answer: nobody else's fault
├── ChainAway              the chain did not answer
├── SourceRejected         the source answered with a status that is not success
├── TooLarge               more bytes than the caller allows
└── FileUnusable           the file object cannot be fetched as it stands (user data missing, …)
"""

from __future__ import annotations


class StorageError(Exception):
    """The base of all errors here. ``text`` is safe to show to anybody."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class FetchForbidden(StorageError):
    """The address is not one that a stranger's file may lead to. Trying again does not help."""


class SourceUnreachable(StorageError):
    """The source did not answer, did not answer in time, or broke the answer off."""


class OwnAway(SourceUnreachable):
    """The source is an origin that the operator allowed by name: a file store or gateway of the Provider's
    own. Its outage is no fault of the file."""


class ChainAway(StorageError):
    """A contract could not be read because the chain does not answer."""

    def __init__(self) -> None:
        super().__init__("the chain does not answer")


class SourceRejected(StorageError):
    """The source answered with the HTTP ``status``, which is not a success."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the source answered with status {status}")
        self.status = status


class TooLarge(StorageError):
    """The file has more bytes than the caller allows, or unpacks to far more than it should."""


class FileUnusable(StorageError):
    """The file object itself cannot be fetched; its publisher or the request has to change."""
