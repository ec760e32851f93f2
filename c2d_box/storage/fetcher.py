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
_REDIRECTS = {301, 302, 303, 307, 308}
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
_KEPT_ACROSS_ORIGINS = {"accept", "range", "content-type"}


class SourceResponse:
    """An answer whose body has not been read yet. Close it in any case."""

    def __init__(self, made: HttpExchange, timeouts: FetchTimeouts) -> None:
        self.status = made.status
        self.headers = made.headers
        self._made = made
        self._timeouts = timeouts

    def chunks(self) -> AsyncIterator[bytes]:
        return self._made.read_body(self._timeouts)

    def close(self) -> None:
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
        self._places, self._own_places = FetchLimits(), FetchLimits(each=64)

    def apply_aliases(self, url: str) -> str:
        """The URL with its origin replaced where an alias says so."""
        meant = self._aliases.get(Origin.from_url(url))
        if meant is None:
            return url
        return urlsplit(url)._replace(scheme=meant.scheme, netloc=meant.netloc).geturl()

    def is_own(self, url: str) -> bool:
        """Whether the URL leads to an origin that the operator allowed by name."""
        return self._rules.is_own(Origin.from_url(self.apply_aliases(url)))

    async def demand_permitted(self, url: str) -> None:
        """Raises Forbidden for a URL that no fetch may go to; nothing is sent."""
        await self._rules.checked_addresses(Origin.from_url(self.apply_aliases(url)))

    async def fetch(self, request: HttpRequest) -> SourceResponse:
        """Follows at most five redirects, all hops within one deadline. Raises Forbidden or Unreachable
        (OwnAway for an origin of the operator's own), with nothing of the URL in the text."""
        own = self.is_own(request.url)
        try:
            async with asyncio.timeout(self._timeouts.opening):
                return await self._follow_redirects(request)
        except TimeoutError:
            problem = SourceUnreachable(NO_ANSWER)
        except SourceUnreachable as error:
            problem = error
        raise OwnAway(problem.text) if own else problem

    async def _follow_redirects(self, request: HttpRequest) -> SourceResponse:
        url = self.apply_aliases(request.url)
        request = HttpRequest(
            request.method, url, permitted_headers(request.headers), request.body, request.follow
        )
        for _ in range(MAX_REDIRECTS + 1):
            made = await self._exchange_hop(request)
            location = made.headers.get("location")
            if not (request.follow and made.status in _REDIRECTS and location):
                return SourceResponse(made, self._timeouts)
            made.close()
            request = redirect_request(
                request, made.status, self.apply_aliases(_join_location(request.url, location))
            )
        raise SourceUnreachable("the source redirects too often")

    async def _exchange_hop(self, request: HttpRequest) -> HttpExchange:
        """One hop, up to the head of its answer."""
        origin = Origin.from_url(request.url)
        places = self._own_places if self._rules.is_own(origin) else self._places
        async with places.slot_for(origin):
            addresses = await self._rules.checked_addresses(origin)
            target = request_target(request.url)
            return await exchange_request(request, origin, target, addresses, self._tls, self._timeouts)


def _join_location(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise FileUnusable("the source redirects to what is no address") from None


def permitted_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """A publisher's headers without those that frame the message; a control character in one is refused."""
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
    """The next hop's request: POST becomes GET as browsers do it, private headers stay with their origin."""
    method, body = request.method, request.body
    if status == 303 or (status in (301, 302) and method == "POST"):
        method, body = ("HEAD" if method == "HEAD" else "GET"), b""
    headers = dict(request.headers)
    if Origin.from_url(url) != Origin.from_url(request.url):
        if body:
            raise FetchForbidden("the source redirects a request with a body elsewhere")
        headers = {name: value for name, value in headers.items() if name in _KEPT_ACROSS_ORIGINS}
    return HttpRequest(method, url, headers, body, request.follow)


@lru_cache(maxsize=256)
def request_target(url: str) -> str:
    """Path and query, percent-encoded where the writer forgot to."""
    parts = urlsplit(url)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=-._~?[]")
    return f"{path}?{query}" if query else path
