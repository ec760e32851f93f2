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
from c2d_box.storage.errors import Forbidden, OwnAway, Unreachable, Unusable
from c2d_box.storage.http1 import NO_ANSWER, Exchange, HttpRequest, Timeouts, exchange
from c2d_box.storage.places import FetchPlaces

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


class Response:
    """An answer whose body has not been read yet. Close it in any case."""

    def __init__(self, made: Exchange, timeouts: Timeouts) -> None:
        self.status = made.status
        self.headers = made.headers
        self._made = made
        self._timeouts = timeouts

    def chunks(self) -> AsyncIterator[bytes]:
        return self._made.body(self._timeouts)

    def close(self) -> None:
        self._made.close()


class Fetcher:
    """Sends requests under address rules, time limits and a redirect limit."""

    def __init__(
        self,
        rules: AddressRules,
        *,
        aliases: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``aliases`` rename origins (as seen from the host) before anything is checked."""
        self._rules = rules
        self._aliases = {Origin.of(seen): Origin.of(meant) for seen, meant in (aliases or {}).items()}
        self._timeouts = timeouts or Timeouts()
        self._tls = tls or ssl.create_default_context()
        self._places, self._own_places = FetchPlaces(), FetchPlaces(each=64)

    def renamed(self, url: str) -> str:
        """The URL with its origin replaced where an alias says so."""
        meant = self._aliases.get(Origin.of(url))
        if meant is None:
            return url
        return urlsplit(url)._replace(scheme=meant.scheme, netloc=meant.netloc).geturl()

    def is_own(self, url: str) -> bool:
        """Whether the URL leads to an origin that the operator allowed by name."""
        return self._rules.is_own(Origin.of(self.renamed(url)))

    async def demand_permitted(self, url: str) -> None:
        """Raises Forbidden for a URL that no fetch may go to; nothing is sent."""
        await self._rules.checked(Origin.of(self.renamed(url)))

    async def fetch(self, request: HttpRequest) -> Response:
        """Follows at most five redirects, all hops within one deadline. Raises Forbidden or Unreachable
        (OwnAway for an origin of the operator's own), with nothing of the URL in the text."""
        own = self.is_own(request.url)
        try:
            async with asyncio.timeout(self._timeouts.opening):
                return await self._followed(request)
        except TimeoutError:
            problem = Unreachable(NO_ANSWER)
        except Unreachable as error:
            problem = error
        raise OwnAway(problem.text) if own else problem

    async def _followed(self, request: HttpRequest) -> Response:
        url = self.renamed(request.url)
        request = HttpRequest(
            request.method, url, permitted_headers(request.headers), request.body, request.follow
        )
        for _ in range(MAX_REDIRECTS + 1):
            made = await self._exchanged(request)
            location = made.headers.get("location")
            if not (request.follow and made.status in _REDIRECTS and location):
                return Response(made, self._timeouts)
            made.close()
            request = redirected(request, made.status, self.renamed(_joined(request.url, location)))
        raise Unreachable("the source redirects too often")

    async def _exchanged(self, request: HttpRequest) -> Exchange:
        """One hop, up to the head of its answer."""
        origin = Origin.of(request.url)
        places = self._own_places if self._rules.is_own(origin) else self._places
        async with places.of(origin):
            addresses = await self._rules.checked(origin)
            target = request_target(request.url)
            return await exchange(request, origin, target, addresses, self._tls, self._timeouts)


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise Unusable("the source redirects to what is no address") from None


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
            raise Unusable("a header of the file object has an invalid name")
        if any(ord(character) < 32 or ord(character) in (127,) or ord(character) > 255 for character in text):
            raise Unusable("a header of the file object holds control characters")
        if name.lower() not in _OURS_TO_SET:
            kept[name.lower()] = text
    return kept


def redirected(request: HttpRequest, status: int, url: str) -> HttpRequest:
    """The next hop's request: POST becomes GET as browsers do it, private headers stay with their origin."""
    method, body = request.method, request.body
    if status == 303 or (status in (301, 302) and method == "POST"):
        method, body = ("HEAD" if method == "HEAD" else "GET"), b""
    headers = dict(request.headers)
    if Origin.of(url) != Origin.of(request.url):
        if body:
            raise Forbidden("the source redirects a request with a body elsewhere")
        headers = {name: value for name, value in headers.items() if name in _KEPT_ACROSS_ORIGINS}
    return HttpRequest(method, url, headers, body, request.follow)


@lru_cache(maxsize=256)
def request_target(url: str) -> str:
    """Path and query, percent-encoded where the writer forgot to."""
    parts = urlsplit(url)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=-._~?[]")
    return f"{path}?{query}" if query else path
