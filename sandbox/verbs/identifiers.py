"""Resolves what users call things: an id, the beginning of one, or a name, to the id that verbs take.

This is the only place that does so. A complete id is taken as it is and costs no request; whether there is
such a thing is then said by the verb.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property

from c2d_box.errors import Refused
from sandbox.box import Box
from sandbox.identifier_match import Candidate, choose_candidate
from sandbox.install.images import node_images
from sandbox.verbs.accounts import account_address, account_candidates, account_name
from sandbox.verbs.compute.jobs import list_jobs
from sandbox.verbs.compute.quotes import list_environments
from sandbox.verbs.inspection.chain import list_transactions
from sandbox.verbs.inspection.pods import list_workflows
from sandbox.verbs.publishing.asset_heads import list_asset_heads

RAW = "raw"
"""The word in place of an algorithm for code that nobody has published."""
NEWEST = 500
"""Transactions among which the beginning of a hash is looked for."""
# Complete ids by their forms: 32 bytes of a DID or a hash, 16 of a job id.
_WHOLE_DID = re.compile(r"did:op:[0-9a-f]{64}")
_WHOLE_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_WHOLE_JOB = re.compile(r"[0-9a-f]{32}")


class IdentifierResolver:
    """Resolves for one box and one acting account; lists are read once, when they are first needed."""

    def __init__(self, box: Box, who: str) -> None:
        self._box = box
        self._who = who

    def resolve(self, kind: str, given: str) -> str:
        """Return the id of the ``kind`` of thing that is called ``given``; raise where there is none, or
        several.
        """
        return self._resolvers[kind](given)

    def candidates(self, kind: str) -> list[Candidate]:
        """Return what there is of a kind: what a user may type."""
        # Functions, so that only the list that is asked for is read.
        listed: Mapping[str, Callable[[], list[Candidate]]] = {
            "account": account_candidates,
            "algorithm": lambda: self._assets_of("algorithm"),
            "asset": lambda: self._assets_of(""),
            "dataset": lambda: self._assets_of("dataset"),
            "environment": lambda: self._environments,
            "image": self._list_images,
            "job": lambda: self._jobs,
            "workflow": lambda: self._workflows,
        }
        return listed[kind]()

    def find_asset(self, given: str, kind: str = "") -> str | None:
        """Return the DID of the asset, None where there is none; ``kind`` (dataset, algorithm) tells assets
        of one name apart.
        """
        if _WHOLE_DID.fullmatch(given):
            return given
        found = choose_candidate(kind or "asset", given, self._assets_of(kind))
        # One of another kind: the verb knows best why that does not do.
        found = found or choose_candidate("asset", given, self._assets_of(""))
        return found.id if found else None

    @property
    def _resolvers(self) -> Mapping[str, Callable[[str], str]]:
        """Return the function that resolves each kind; transactions are resolved but never listed."""
        return {
            "account": account_address,
            "algorithm": lambda given: self._resolve_asset(given, "algorithm"),
            "asset": self._resolve_asset,
            "dataset": lambda given: self._resolve_asset(given, "dataset"),
            "environment": self._resolve_environment,
            "job": self._resolve_job,
            "transaction": self._resolve_transaction,
            "workflow": self._resolve_workflow,
        }

    def _resolve_asset(self, given: str, kind: str = "") -> str:
        """Return the DID of an asset; raise ``C2D-ASSET-UNKNOWN``. ``raw`` is no asset and stays."""
        if given == RAW and kind == "algorithm":
            return given
        did = self.find_asset(given, kind)
        if did is None:
            raise Refused(
                "C2D-ASSET-UNKNOWN",
                f"no {kind or 'asset'} is called {given}, and the id of none begins so",
                "see them all: c2d-box assets",
            )
        return did

    def _resolve_environment(self, given: str) -> str:
        """Return the id of an environment that the Provider offers now; raise ``C2D-ENVIRONMENT-UNKNOWN``."""
        found = choose_candidate("environment", given, self._environments)
        if found is None:
            known = ", ".join(each.id for each in self._environments) or "none"
            raise Refused(
                "C2D-ENVIRONMENT-UNKNOWN",
                f"the Provider offers no compute environment {given}",
                f"leave --environment out, or use one of: {known}",
            )
        return found.id

    def _resolve_job(self, given: str) -> str:
        """Return the id of a job of the acting account; raise ``C2D-JOB-UNKNOWN``.

        The Provider shows a job to its owner only, so a beginning cannot find anybody else's.
        """
        if _WHOLE_JOB.fullmatch(given):
            return given
        found = choose_candidate("job", given, self._jobs)
        if found is None:
            raise Refused(
                "C2D-JOB-UNKNOWN",
                f"{self._who} has no job {given}",
                "see them: c2d-box jobs; a job is its owner's alone (--as)",
            )
        return found.id

    def _resolve_workflow(self, given: str) -> str:
        """Return the name of a WorkFlow, of whichever owner: operators look at all of them."""
        # What is not found stays as it is: pods of a job may outlive its WorkFlow.
        found = None if _WHOLE_JOB.fullmatch(given) else choose_candidate("job", given, self._workflows)
        return found.id if found else given

    def _resolve_transaction(self, given: str) -> str:
        """Return the hash of one of the newest transactions that begins so."""
        # What is none of the newest stays as it is: the verb says that the chain has no such transaction.
        newest = [] if _WHOLE_HASH.fullmatch(given) else list_transactions(self._box, NEWEST)
        found = choose_candidate(
            "transaction", given, [Candidate(each.hash, text=each.function) for each in newest]
        )
        return found.id if found else given

    def _assets_of(self, kind: str) -> list[Candidate]:
        """Return the assets of a kind; an empty kind means all."""
        return [candidate for kind_of, candidate in self._assets if kind in ("", kind_of)]

    @cached_property
    def _assets(self) -> list[tuple[str, Candidate]]:
        """Read every asset once, with its kind: one command may name a dataset and an algorithm."""
        return [
            (
                head.type,
                Candidate(
                    head.did,
                    (head.name,) if head.name else (),
                    f"{head.type}, {account_name(head.owner)}",
                    head.is_active,
                ),
            )
            for head in list_asset_heads(self._box)
        ]

    @cached_property
    def _environments(self) -> list[Candidate]:
        """Read the environments; their description serves as a name."""
        offered = list_environments(self._box)
        return [
            Candidate(str(each.get("id")), tuple(filter(None, (str(each.get("desc") or ""),))))
            for each in offered
        ]

    @cached_property
    def _jobs(self) -> list[Candidate]:
        """Read the jobs of the acting account."""
        # A job has no name; its state tells it from the others.
        return [Candidate(job.id, text=job.text) for job in list_jobs(self._box, self._who)]

    @cached_property
    def _workflows(self) -> list[Candidate]:
        """Read the WorkFlows from the API server, past the Provider."""
        return [Candidate(flow.name, text=flow.status) for flow in list_workflows(self._box)]

    def _list_images(self) -> list[Candidate]:
        """Return the images on the node, each name once."""
        return [Candidate(name) for name in sorted({image.image for image in node_images(self._box)})]
