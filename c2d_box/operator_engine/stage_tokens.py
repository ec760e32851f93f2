"""The tokens with which a job's pods authenticate to the engine: one per job and stage, stored nowhere.

They are derived from the environment's key, which the engine alone holds, so that a restart or a second
replica knows them without asking. A token of one stage is worth nothing for another, nor for another job.
"""

from __future__ import annotations

import hashlib
import hmac

from c2d_box.workflow.names import Stage


class StageTokens:
    """Derives and checks the tokens of all environments."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        """``keys`` holds each environment's private key."""
        self._keys = {
            # A key of its own is derived: the private key signs evidence and must
            # not be used for anything else.
            environment: hmac.digest(key, b"c2d stage tokens v1", hashlib.sha256)
            for environment, key in keys.items()
        }

    @property
    def environments(self) -> list[str]:
        """Return the ids of the environments that have tokens."""
        return list(self._keys)

    def token_for(self, environment: str, job: str, stage: Stage) -> str:
        """Return the token of one stage of one job."""
        return self._derive_token(environment, f"{stage}/{job}")

    def is_valid(self, environment: str, job: str, stage: Stage, token: str) -> bool:
        """Return whether ``token`` is that of this stage of this job; compared in constant time."""
        # A job of an environment that was removed: its pods cannot report any more, and the plan ends it.
        if environment not in self._keys:
            return False
        return hmac.compare_digest(self.token_for(environment, job, stage).encode(), token.encode())

    def secret_for(self, environment: str, job: str) -> str:
        """Return the ``secret`` variable of Ocean's algorithms: random to all but us, the same in every
        attempt.
        """
        # No stage is called "secret", so this is no stage's token.
        return self._derive_token(environment, f"secret/{job}")[:32]

    def _derive_token(self, environment: str, what: str) -> str:
        return hmac.new(self._keys[environment], what.encode(), hashlib.sha256).hexdigest()
