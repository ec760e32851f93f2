"""Small JSON calls of a job's pod to the engine, repeated until they are answered or time is up.

The engine may be restarting at any moment of a job, so a refused connection is no failure. The failures
are 401 and 410, with which the engine says that this pod has no business there any more.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from c2d_box import limits
from c2d_box.retry import Backoff
from c2d_box.strict_json import JsonLimits, parse_json
from c2d_box.workflow import names
from c2d_box.workflow.names import Stage

_ANSWER = JsonLimits(size_bytes=limits.REPORT_BYTES, values=1_000_000)
"""Limits of an answer of the engine, which may list thousands of files."""
_ASK_AGAIN = frozenset({204, 408, 425, 429, 500, 502, 503, 504})
"""Statuses that say nothing about the request itself: a long poll that ended, or an engine that cannot
answer now."""


class GivenUp(Exception):
    """The engine does not accept this pod's calls, or could not be reached in time."""


@dataclass(frozen=True, slots=True)
class EngineClient:
    """The engine as one stage of one job calls it.

    ``deadline`` is on the clock of :func:`time.monotonic`.
    """

    url: str
    job: str
    stage: Stage
    token: str
    deadline: float

    def send_report(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send a report; return the engine's answer once it is recorded. Safe to repeat. Raises GivenUp."""
        return self._until_answered("POST", "report", body, wait=20.0)

    def await_go_ahead(self) -> dict[str, Any]:
        """Wait for the mandate, by long polls that the engine answers as soon as it can."""
        return self._until_answered("GET", "go-ahead", None, wait=60.0)

    def post_request(self, what: str, body: dict[str, Any] | bytes) -> dict[str, Any]:
        """Post a request of this stage's own until it is answered; bytes are sent as they are. Raises
        GivenUp."""
        return self._until_answered("POST", what, body, wait=60.0)

    def stage_url(self, what: str) -> str:
        """Return the URL of ``what`` of this stage, for a client of its own."""
        return f"{self.url}/v1/jobs/{self.job}/{self.stage}/{what}"

    @property
    def authorization_header(self) -> dict[str, str]:
        """The header that names this stage of this job; a token of another stage opens nothing here."""
        return {"Authorization": f"Bearer {self.token}"}

    def _until_answered(
        self, method: str, what: str, body: dict[str, Any] | bytes | None, wait: float
    ) -> dict[str, Any]:
        """Repeat one request until it is answered with 200. Repeating is safe: a report that is on record
        already changes nothing. Raises GivenUp."""
        # From 50 ms, because hand-overs between stages wait here, to two seconds, which spare an engine that
        # restarts.
        backoff, last = Backoff(0.05, 2.0, 1.6), "nothing was tried"
        while time.monotonic() < self.deadline:
            try:
                status, answer = self._send_request(method, what, body, wait)
            except (OSError, http.client.HTTPException, ValueError) as error:
                # ValueError is JSON that cannot be read, such as an answer that was cut off by a restart:
                # asked for again like a refused connection.
                status, last = 503, f"the engine could not be reached ({type(error).__name__})"
            if status == 200:
                return answer
            # 401 and 410 above all: the job is over, or another pod took the place of this one.
            if status not in _ASK_AGAIN:
                raise GivenUp(f"the engine answered {status}: {answer.get('error', '')}")
            if status == 204:  # a long poll came to its end; the next one may begin
                backoff.reset()
            time.sleep(backoff.next_pause())
        raise GivenUp(f"time is up: {last}")

    def _send_request(
        self, method: str, what: str, body: dict[str, Any] | bytes | None, wait: float
    ) -> tuple[int, dict[str, Any]]:
        """Make one request on a connection of its own: stages make a handful of calls, minutes apart, and an
        idle connection would break with every restart of the engine."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=wait)
        try:
            connection.request(
                method,
                f"/v1/jobs/{self.job}/{self.stage}/{what}",
                body=_encode_body(body) if isinstance(body, dict) else body,
                headers={**self.authorization_header, "Content-Type": "application/json"},
            )
            response = connection.getresponse()
            data = response.read(limits.REPORT_BYTES)
            answer = parse_json(data, _ANSWER) if data else {}
            return response.status, answer if isinstance(answer, dict) else {}
        finally:
            connection.close()


def _encode_body(body: dict[str, Any]) -> bytes:
    """Encode as UTF-8: names in other scripts would take twice their size as ASCII."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def from_environment(stage: Stage) -> EngineClient:
    """Return the engine's client by what the engine itself has set up in the pod."""
    return EngineClient(
        url=os.environ[names.ENV_ENGINE],
        job=os.environ[names.ENV_JOB],
        stage=stage,
        token=Path(names.TOKEN_FILE).read_text().strip(),
        # Monotonic, because a node's wall clock may be set while a job runs.
        deadline=time.monotonic() + float(os.environ[names.ENV_DEADLINE]),
    )
