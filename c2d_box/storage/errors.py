"""What can go wrong with bytes from elsewhere. No message ever holds a URL, a header or a credential.

StorageError
├── Forbidden     an address rule said no
├── Unreachable   nothing answered, or it broke off
│   └── OwnAway   the operator's own store or gateway did not answer: nobody else's fault
├── ChainAway     the chain did not answer
├── Rejected      the source answered with a status that is not success
├── TooLarge      more bytes than the caller allows
└── Unusable      the file object cannot be fetched as it stands (user data missing, …)
"""

from __future__ import annotations


class StorageError(Exception):
    """``text`` is safe to show to anybody."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class FetchForbidden(StorageError):
    pass


class SourceUnreachable(StorageError):
    pass


class OwnAway(SourceUnreachable):
    """An origin that the operator allowed by name: a file store or gateway that belongs to the Provider."""


class ChainAway(StorageError):
    """A contract could not be read because the chain does not answer."""

    def __init__(self) -> None:
        super().__init__("the chain does not answer")


class SourceRejected(StorageError):
    """``status`` is the HTTP status of the source."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the source answered with status {status}")
        self.status = status


class TooLarge(StorageError):
    pass


class FileUnusable(StorageError):
    pass
