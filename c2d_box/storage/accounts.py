"""``python -m c2d_box.storage.accounts --config FILE``: the services' own keys of the chart's S3 server.

Runs once after the server has started, with its root key, which no service has: makes an account for each
service and says in the result bucket's policy what it may do there. It can be repeated without harm. The
engine writes and deletes results, operator-service and the Provider read them; none of them lists, and none
does anything in another bucket.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from c2d_box.storage.s3_client import S3Client, S3Endpoint, S3Error
from c2d_box.storage.sigv4 import S3Credentials

ACTIONS: Mapping[str, tuple[str, ...]] = {
    # No GetObject: the engine has no business with the content of results, only with their places.
    "engine": ("s3:PutObject", "s3:DeleteObject"),
    "service": ("s3:GetObject",),
    "provider": ("s3:GetObject",),
}
"""The permitted calls by account. The account's name is also that of its two files:
``s3-<name>-access-key`` and ``s3-<name>-secret-key``."""
PATIENCE_SECONDS = 300.0
"""The seconds for which the server is waited for, which may still be starting."""
_PAUSE_SECONDS = 0.5


class AccountSettings(BaseModel):
    """The configuration of this one-off job; keys are files of ``secretsDir``."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    endpoint: str
    bucket: str
    region: str = "us-east-1"
    secrets_dir: Path = Field(default=Path("/etc/c2d/secrets"), alias="secretsDir")


def make_accounts(settings: AccountSettings) -> None:
    """Make the accounts, and write the bucket's policy. Raise S3Error, also while the server is not there
    yet."""
    # The root key: this job is the only one that mounts it.
    endpoint = S3Endpoint(settings.endpoint, _read_credentials(settings, "s3"))
    client = S3Client(endpoint, timeout_seconds=10.0, uses_proxies=False)
    keys = {name: _read_credentials(settings, f"s3-{name}") for name in ACTIONS}
    # Accounts before the policy, which names them.
    for key in keys.values():
        client.create_account(key)
    # One policy for all, because putting a policy replaces the former one.
    allowed = {keys[name].access_key_id: actions for name, actions in ACTIONS.items()}
    client.put_policy(settings.bucket, allowed)


def _read_credentials(settings: AccountSettings, prefix: str) -> S3Credentials:
    """Read the two files of an account. A missing one ends the job with the system's error, which names
    it."""
    access, secret = (
        (settings.secrets_dir / f"{prefix}-{part}-key").read_text().strip() for part in ("access", "secret")
    )
    return S3Credentials(access, secret, settings.region)


def main() -> int:
    """Try until the accounts are made, and return the exit code. The chart's Job restarts it where that
    failed."""
    parser = argparse.ArgumentParser(prog="c2d_box.storage.accounts")
    parser.add_argument("--config", type=Path, required=True)
    settings = AccountSettings.model_validate_json(parser.parse_args().config.read_text())
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            make_accounts(settings)
        except S3Error as problem:
            # The kind of the cause and the call; the text holds no key, since S3 errors name method, path and
            # answer only.
            told = f"{type(problem.__cause__ or problem).__name__} {problem}"
            if time.monotonic() >= until:
                print(f"gave up: {told}", file=sys.stderr, flush=True)
                return 1
            # Each attempt is told: this is all that an operator sees while the server does not come up.
            print(f"not yet: {told}", flush=True)
            time.sleep(_PAUSE_SECONDS)
        else:
            print(f"{len(ACTIONS)} accounts may use the bucket {settings.bucket}", flush=True)
            return 0


if __name__ == "__main__":
    sys.exit(main())
