"""Access control of the served screens: one browser that was given the token, and no other site's pages.

127.0.0.1 is not a trust boundary: every page a user visits may send requests there, and a name that resolves
to it makes them look like its own (DNS rebinding). So four things must hold: the Host header is literally
ours, the Origin (which a browser cannot leave out of a WebSocket) is literally ours, the browser does not say
that another site asks (Sec-Fetch-Site), and a session cookie proves that the token was presented. The token
opens one session and is then worthless.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

SESSION_SECONDS = 12 * 3600
"""Seconds after which both the browser and the server end the session."""
R = TypeVar("R", bound=web.StreamResponse)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AccessGuard:
    """The middleware that checks every request to ``host:port``; the first visit must bring ``token``.

    Both secrets exist in this process only, so a restart of the server ends all sessions.
    """

    def __init__(self, port: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.token = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self._used = False
        self._clock, self._session_end = clock, 0.0
        self._port = port
        # Browsers do not separate cookies by port: without it in the name, two boxes would overwrite each
        # other's.
        self.cookie = f"c2d-box-{port}"

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The values of the Host header that are served, with the port as browsers send it."""
        return f"127.0.0.1:{self._port}", f"localhost:{self._port}"

    @property
    def page_url(self) -> str:
        """The address that the user opens, with the token."""
        return f"http://127.0.0.1:{self._port}/?token={self.token}"

    @property
    def seconds_left(self) -> float:
        """The seconds until the session ends; not positive where there is none."""
        return self._session_end - self._clock() if self._used else 0.0

    @web.middleware
    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer 403 to foreign requests and 401 to unknown ones; exchange the token for a session; pass the
        rest on.
        """
        # Refused before the token is looked at: a foreign page must not even use it up.
        refusal = self._refusal_of(request)
        if refusal:
            return self._harden_headers(web.Response(status=403, text=f"{refusal}\n"))
        offered = request.query.get("token")
        # Only the first page takes a token: nothing else should be reachable by an address alone.
        if offered is not None and request.path == "/":
            return self._harden_headers(self._open_session(offered))
        if not self._is_known(request):
            text = "open the address that c2d-box serve printed; its token opens one browser once"
            return self._harden_headers(web.Response(status=401, text=f"{text}\n"))
        return await handler(request)

    async def on_prepare(self, _request: web.Request, response: web.StreamResponse) -> None:
        """Add the security headers to every answer; this hook also covers streamed ones."""
        self._harden_headers(response)

    def _refusal_of(self, request: web.Request) -> str:
        """Return why a request is refused whatever cookie it carries, or the empty string."""
        # DNS rebinding: the attacker's name resolves to 127.0.0.1, but the browser still sends that name as
        # Host.
        if request.headers.get("Host", "") not in self.allowed_hosts:
            return "this Host is not served here"
        origin = request.headers.get("Origin")
        # Only WebSockets are free of the same-origin policy; browsers always send Origin with them.
        if origin is None and request.path == "/ws":
            return "a WebSocket needs an Origin"
        if origin is not None and origin not in [f"http://{host}" for host in self.allowed_hosts]:
            return "this Origin may not speak here"
        # Covers requests without Origin, such as images and links on another site's page.
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return "another site may not speak here"
        # All changes travel through the WebSocket, so no form of another site has anything to post to.
        if request.method not in ("GET", "HEAD"):
            return "this is only read"
        return ""

    def _open_session(self, offered: str) -> web.Response:
        """Exchange the token for the session cookie, once: an address that is copied later is worthless."""
        if self._used or not secrets.compare_digest(offered.encode(), self.token.encode()):
            return web.Response(status=401, text="this token is not valid, or was used before\n")
        self._used, self._session_end = True, self._clock() + SESSION_SECONDS
        # The redirect takes the token out of the address bar and the history.
        answer = web.Response(status=303, headers={"Location": "/"})
        # HttpOnly keeps the cookie from scripts, SameSite=Strict from requests that other sites start.
        answer.set_cookie(
            self.cookie, self._session, max_age=SESSION_SECONDS, httponly=True, samesite="Strict", path="/"
        )
        return answer

    def _is_known(self, request: web.Request) -> bool:
        """Return whether the request carries the cookie of a session that goes on; compared in constant
        time.
        """
        shown = request.cookies.get(self.cookie, "")
        return self.seconds_left > 0 and secrets.compare_digest(shown.encode(), self._session.encode())

    def _harden_headers(self, answer: R) -> R:
        """Set the security headers, also on refusals. Inline code is allowed because textual-serve's page has
        some; connections may go to this server only, and no other page may frame this one.
        """
        sockets = " ".join(f"ws://{host}" for host in self.allowed_hosts)
        answer.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
            f"img-src 'self' data:; font-src 'self' data:; connect-src 'self' {sockets}; "
            "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        )
        answer.headers["X-Frame-Options"] = "DENY"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        # The first address holds the token.
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        answer.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        answer.headers["Cache-Control"] = "no-store"
        return answer
