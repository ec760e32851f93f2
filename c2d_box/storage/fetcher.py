"""The one fetcher: every byte that the Provider reads from a source of somebody's choosing comes through
here.

Each hop of a redirect chain is checked like the first one. Headers written by a publisher may be
credentials, so they stay with the origin they were written for.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from urllib.parse import quote, urljoin, urlsplit

from c2d_box.storage.addresses import AddressRules, Origin
from c2d_box.storage.errors import FetchForbidden, FileUnusable, OwnAway, SourceUnreachable
from c2d_box.storage.http1 import NO_ANSWER, FetchTimeouts, HttpExchange, HttpRequest, exchange_request
from c2d_box.storage.places import FetchLimits

MAX_REDIRECTS = 5
"""The hops that a source may add. Honest ones need one or two."""
_REDIRECTS = {301, 302, 303, 307, 308}
# Headers that frame the message or belong to one connection. A publisher who could set them could smuggle a
# second request into the connection.
_OURS_TO_SET = {
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "accept-encoding",
    "proxy-authorization",
    "proxy-connection",
}
# All others may be credentials for the first origin.
_KEPT_ACROSS_ORIGINS = {"accept", "range", "content-type"}


class SourceResponse:
    """An answer whose body has not been read yet. It holds a connection, so close it in any case."""

    def __init__(self, made: HttpExchange, timeouts: FetchTimeouts) -> None:
        self.status = made.status
        self.headers = made.headers
        self._made = made
        self._timeouts = timeouts

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body. Raise SourceUnreachable when it ends early, stalls or trickles."""
        return self._made.read_body(self._timeouts)

    def close(self) -> None:
        """End the connection, whether the body was read or not."""
        self._made.close()


class Fetcher:
    """Sends requests under address rules, time limits and a redirect limit."""

    def __init__(
        self,
        rules: AddressRules,
        *,
        aliases: Mapping[str, str] | None = None,
        timeouts: FetchTimeouts | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``aliases`` rename origins (as seen from the host) before anything is checked."""
        self._rules = rules
        self._aliases = {
            Origin.from_url(seen): Origin.from_url(meant) for seen, meant in (aliases or {}).items()
        }
        self._timeouts = timeouts or FetchTimeouts()
        self._tls = tls or ssl.create_default_context()
        # The operator's stores have slots of their own, and more of each host: they serve every job.
        self._places, self._own_places = FetchLimits(), FetchLimits(each=64)

    def apply_aliases(self, url: str) -> str:
        """Return the URL with its origin replaced where an alias says so. An alias is the operator's, so
        it is applied before the rules look at the address."""
        meant = self._aliases.get(Origin.from_url(url))
        if meant is None:
            return url
        return urlsplit(url)._replace(scheme=meant.scheme, netloc=meant.netloc).geturl()

    def is_own(self, url: str) -> bool:
        """Return whether the URL leads to an origin that the operator allowed by name."""
        return self._rules.is_own(Origin.from_url(self.apply_aliases(url)))

    async def demand_permitted(self, url: str) -> None:
        """Raise FetchForbidden for a URL that no fetch may go to. Its name is resolved, but nothing is
        sent."""
        await self._rules.checked_addresses(Origin.from_url(self.apply_aliases(url)))

    async def fetch(self, request: HttpRequest) -> SourceResponse:
        """Send the request, follow at most five redirects, all hops within one deadline. Raise
        FetchForbidden or SourceUnreachable (OwnAway for an origin of the operator's own), with nothing of
        the URL in the text."""
        # By the first address: an outage of the operator's store is one even where the store redirects.
        own = self.is_own(request.url)
        try:
            async with asyncio.timeout(self._timeouts.opening):
                return await self._follow_redirects(request)
        except TimeoutError:
            problem = SourceUnreachable(NO_ANSWER)
        except SourceUnreachable as error:
            problem = error
        # The difference decides between 503 and a refusal: a stranger's dead server is no outage of this
        # Provider.
        raise OwnAway(problem.text) if own else problem

    async def _follow_redirects(self, request: HttpRequest) -> SourceResponse:
        """Send the request and those that redirects ask for."""
        url = self.apply_aliases(request.url)
        request = HttpRequest(
            request.method, url, permitted_headers(request.headers), request.body, request.follow
        )
        # Each hop passes the address rules anew: a public server could redirect to an internal address.
        for _ in range(MAX_REDIRECTS + 1):
            made = await self._exchange_hop(request)
            location = made.headers.get("location")
            if not (request.follow and made.status in _REDIRECTS and location):
                return SourceResponse(made, self._timeouts)
            # A redirect's own body is of no interest, and could be endless.
            made.close()
            request = redirect_request(
                request, made.status, self.apply_aliases(_join_location(request.url, location))
            )
        raise SourceUnreachable("the source redirects too often")

    async def _exchange_hop(self, request: HttpRequest) -> HttpExchange:
        """Send one request and return the exchange once the head of its answer is there."""
        origin = Origin.from_url(request.url)
        places = self._own_places if self._rules.is_own(origin) else self._places
        # The slot covers look-up, connection and head; a body that is being read holds none.
        async with places.slot_for(origin):
            addresses = await self._rules.checked_addresses(origin)
            target = request_target(request.url)
            return await exchange_request(request, origin, target, addresses, self._tls, self._timeouts)


def _join_location(url: str, location: str) -> str:
    """Return the absolute address of a Location header, which may be relative (RFC 9110)."""
    try:
        return urljoin(url, location)
    except ValueError:
        raise FileUnusable("the source redirects to what is no address") from None


def permitted_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return a publisher's headers without those that frame the message. Raise FileUnusable for a name
    that is no token of HTTP and for a value with control characters, which could begin another header."""
    kept: dict[str, str] = {}
    for name, value in headers.items():
        text = str(value)
        if (
            not name.isascii()
            or not name
            or not all(character.isalnum() or character in "!#$%&'*+-.^_`|~" for character in name)
        ):
            raise FileUnusable("a header of the file object has an invalid name")
        if any(ord(character) < 32 or ord(character) in (127,) or ord(character) > 255 for character in text):
            raise FileUnusable("a header of the file object holds control characters")
        if name.lower() not in _OURS_TO_SET:
            kept[name.lower()] = text
    return kept


def redirect_request(request: HttpRequest, status: int, url: str) -> HttpRequest:
    """Return the next hop's request. POST becomes GET as browsers do it; private headers stay with their
    origin."""
    method, body = request.method, request.body
    # 307 and 308 keep method and body (RFC 9110).
    if status == 303 or (status in (301, 302) and method == "POST"):
        method, body = ("HEAD" if method == "HEAD" else "GET"), b""
    headers = dict(request.headers)
    if Origin.from_url(url) != Origin.from_url(request.url):
        # A body can hold credentials or a query of the publisher's.
        if body:
            raise FetchForbidden("the source redirects a request with a body elsewhere")
        headers = {name: value for name, value in headers.items() if name in _KEPT_ACROSS_ORIGINS}
    return HttpRequest(method, url, headers, body, request.follow)


@lru_cache(maxsize=256)
def request_target(url: str) -> str:
    """Return path and query, percent-encoded where the writer forgot to. ``%`` counts as encoded already:
    encoding it again would name another file."""
    parts = urlsplit(url)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=-._~?[]")
    return f"{path}?{query}" if query else path
