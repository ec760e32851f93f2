"""Builds the :class:`Observation` of a job from caches and, where no watch helps, from Kubernetes itself."""

from __future__ import annotations

from collections.abc import Callable

from c2d_box.assets.crypto import ecies
from c2d_box.kubernetes.port import PODS, SECRETS, Cluster
from c2d_box.limits import carries_code
from c2d_box.operator_engine.rules.observation import JobRejection, Observation
from c2d_box.operator_engine.scheduling.capacity import EnvironmentPlaces
from c2d_box.operator_engine.settings import EngineSettings
from c2d_box.operator_engine.state.job_cache import JobCache
from c2d_box.operator_engine.state.job_runtime import JobRuntime
from c2d_box.workflow import names
from c2d_box.workflow.resource import WORKFLOWS, WorkFlow
from c2d_box.workflow.states import State


class Observer:
    """Collects what the plan for a job needs."""

    def __init__(
        self,
        cluster: Cluster,
        job_cache: JobCache,
        places: EnvironmentPlaces,
        settings: EngineSettings,
        clock: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._job_cache = job_cache
        self._places = places
        self._settings = settings
        self._clock = clock

    async def observe_job(self, workflow: WorkFlow, runtime: JobRuntime) -> Observation:
        """Return the job's observation. It comes from memory; Kubernetes is asked only for what no watch
        shows. Raises ClusterError.
        """
        # No watch: the engine may not list Secrets. The plan asks again at growing intervals.
        if workflow.at("created") is None and workflow.at("admitted") is not None and not runtime.grants:
            runtime.grants = await self._granted(workflow)
        # A pod that is taken for gone ends the job with 81, so its absence is confirmed by a read.
        if workflow.status.algorithm.uid and workflow.at("ended") is None:
            await self._make_sure(workflow.job, names.pod_name(workflow.job, "algorithm"))
        phase, going = self._job_cache.claim(workflow.job)
        return Observation(
            workflow=workflow,
            now=self._clock(),
            pods=self._job_cache.pods(workflow.job),
            claim=phase,
            claim_deleted=going,
            claims_wait=self._settings.claims_wait,
            grants=runtime.grants,
            # Decided by the queue for all jobs together, not by the plan of one.
            may_start=self._places.is_reserved(workflow.job),
            refusal=self.rejection_of(workflow),
            trouble=runtime.trouble,
            done=frozenset(runtime.done),
        )

    async def _granted(self, workflow: WorkFlow) -> bool:
        """Return whether the job's grants exist. The Secret is read by name, so that the engine need not be
        allowed to list Secrets.
        """
        if not needs_grants(workflow):
            return True
        return await self._cluster.get(SECRETS, names.grants_secret_name(workflow.job)) is not None

    async def _make_sure(self, job: str, name: str) -> None:
        """Read a pod that the cache does not have: it counts as gone only when Kubernetes says so now."""
        if any(pod.name == name for pod in self._job_cache.pods(job)):
            return
        if (found := await self._cluster.get(PODS, name)) is not None:
            self._job_cache.put_object(PODS, found)

    async def refresh_workflow(self, workflow: WorkFlow) -> None:
        """Replace the cached workflow by a fresh read, after a version conflict. Raises ClusterError."""
        body = await self._cluster.get(WORKFLOWS, workflow.name)
        if body is None:
            self._job_cache.remove_workflow(workflow)
        else:
            self._job_cache.put_object(WORKFLOWS, body)

    def rejection_of(self, workflow: WorkFlow) -> JobRejection | None:
        """Return why this job cannot be run here, whatever capacity is free; None where it can."""
        environment = self._settings.environment(workflow.spec.environment)
        if environment is None:
            known = ", ".join(entry.id for entry in self._settings.environments)
            text = f"There is no environment {workflow.spec.environment} (there are: {known})."
            # Also a running job: without its environment there is no key to check its pods' tokens with.
            return JobRejection(State.INFRASTRUCTURE_LOST, text, always=True)
        if not environment.takes_chain(workflow.spec.chain_id):
            chains = ", ".join(map(str, environment.allowed_chain_id))
            text = f"The environment {environment.id} takes jobs of chain {chains} only."
            return JobRejection(State.ALGORITHM_PROVISIONING_FAILED, text)
        # operator-service refuses this already; a WorkFlow can also be made by hand, and settings can change.
        if (wrong := self._sealing(workflow)) is not None:
            return JobRejection(State.PUBLISHING_FAILED, wrong)
        section = workflow.stage.algorithm.container
        # The Provider asks the same question before payment, with the same rules.
        reason = environment.images.refusal_of(section.image, section.checksum)
        return None if reason is None else JobRejection(State.ALGORITHM_PROVISIONING_FAILED, reason)

    def _sealing(self, workflow: WorkFlow) -> str | None:
        """Return what is wrong with how the results are to be encrypted, None where nothing is."""
        if workflow.encrypt is None:
            wanted = self._settings.result_store.require_encryption
            return (
                "Results leave this operator encrypted only: output.encrypt is missing." if wanted else None
            )
        if workflow.publish is not None:
            return "Results that are encrypted for one reader cannot become an asset."
        try:
            # Checked before the run: the upload container would find out when all the work is done.
            ecies.public_key(workflow.encrypt)
        except ValueError:
            return "output.encrypt is not a public key."
        return None

    def time_limit(self, workflow: WorkFlow) -> float:
        """Return the seconds the algorithm may run."""
        environment = self._settings.environment(workflow.spec.environment)
        longest = float(environment.max_job_duration) if environment else 0.0
        # The order paid for `maxtime`; the environment's limit holds all the same.
        return min(longest, float(workflow.spec.maxtime or longest))


def needs_grants(workflow: WorkFlow) -> bool:
    """Return whether the job needs grants: without inputs and with its code in the WorkFlow it needs nothing
    from the Provider.
    """
    return bool(workflow.stage.input) or not carries_code(workflow.stage.algorithm.rawcode)
