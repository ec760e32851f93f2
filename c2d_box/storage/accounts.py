"""``python -m c2d_box.storage.accounts --config FILE``: the services' own keys of the chart's S3 server.

Runs once after the server has started, with its root key, which no service has: makes an account for each
service and says in the result bucket's policy what it may do there. To be repeated without harm. The engine
writes and deletes results, operator-service and the Provider read them; none of them lists, and none does
anything in another bucket.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

import httpx
from pydantic import BaseModel, ConfigDict, Field

from c2d_box.storage.sigv4 import Credentials, signed_headers

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "engine": ("s3:PutObject", "s3:DeleteObject"),
    "service": ("s3:GetObject",),
    "provider": ("s3:GetObject",),
}
"""By the account's name, which is that of its two files, too: ``s3-<name>-access-key``, ``-secret-key``."""
PATIENCE_SECONDS = 300.0
_PAUSE_SECONDS = 0.5


class AccountSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    endpoint: str
    bucket: str
    region: str = "us-east-1"
    secrets_dir: Path = Field(default=Path("/etc/c2d/secrets"), alias="secretsDir")


class AccountRefused(Exception):
    """The server answered, and not with success."""


def make_accounts(settings: AccountSettings, client: httpx.Client) -> None:
    """Raises AccountRefused, httpx.TransportError while the server is not there yet."""
    root = _credentials(settings, "s3")
    keys = {name: _credentials(settings, f"s3-{name}") for name in ACTIONS}
    for key in keys.values():
        fields = {"Access": key.access_key_id, "Secret": key.secret_access_key, "Role": "user"}
        body = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
        url = f"{settings.endpoint}/create-user"
        _send(client, root, "PATCH", url, f"<Account>{body}</Account>".encode(), {201, 409})
    policy = bucket_policy(settings.bucket, {name: key.access_key_id for name, key in keys.items()})
    _send(client, root, "PUT", f"{settings.endpoint}/{settings.bucket}?policy=", policy, {200, 204})


def bucket_policy(bucket: str, access_keys: Mapping[str, str]) -> bytes:
    """Who may do what with the objects of the result bucket."""
    statements = [
        {
            "Effect": "Allow",
            "Principal": {"AWS": [access_keys[name]]},
            "Action": list(actions),
            "Resource": [f"arn:aws:s3:::{bucket}/*"],
        }
        for name, actions in ACTIONS.items()
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}).encode()


def _send(
    client: httpx.Client, root: Credentials, method: str, url: str, body: bytes, good: set[int]
) -> None:
    headers = signed_headers(method, url, root, payload=hashlib.sha256(body).hexdigest())
    answer = client.request(method, url, content=body, headers=dict(headers))
    if answer.status_code not in good:
        raise AccountRefused(f"{method} {answer.url.path}: {answer.status_code} {answer.text[:200]}")


def _credentials(settings: AccountSettings, prefix: str) -> Credentials:
    access, secret = (
        (settings.secrets_dir / f"{prefix}-{part}-key").read_text().strip() for part in ("access", "secret")
    )
    return Credentials(access, secret, settings.region)


def main() -> int:
    parser = argparse.ArgumentParser(prog="c2d_box.storage.accounts")
    parser.add_argument("--config", type=Path, required=True)
    settings = AccountSettings.model_validate_json(parser.parse_args().config.read_text())
    until = time.monotonic() + PATIENCE_SECONDS
    with httpx.Client(trust_env=False, timeout=10.0) as client:
        while True:
            try:
                make_accounts(settings, client)
            except (AccountRefused, httpx.TransportError) as problem:
                if time.monotonic() >= until:
                    print(f"gave up: {problem}", file=sys.stderr, flush=True)
                    return 1
                print(f"not yet: {type(problem).__name__} {problem}", flush=True)
                time.sleep(_PAUSE_SECONDS)
            else:
                print(f"{len(ACTIONS)} accounts may use the bucket {settings.bucket}", flush=True)
                return 0


if __name__ == "__main__":
    sys.exit(main())
