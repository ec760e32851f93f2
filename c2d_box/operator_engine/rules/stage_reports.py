"""Applies the reports of a job's pods to its status. Pure, idempotent, and strict about the stages' order.

A report may come twice (the answer got lost) or late (the job is over); both are answered, neither changes
anything. The answer to a pod is a status code: 200 recorded, 409 out of turn, 410 give up, 503 ask again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from c2d_box import limits
from c2d_box.operator_engine.rules import deliveries, status_patch
from c2d_box.workflow import listing, manifests
from c2d_box.workflow.names import Stage
from c2d_box.workflow.resource import WorkFlow
from c2d_box.workflow.states import State


def _cut(text: object) -> object:
    """Shorten ``text`` instead of refusing a report with too long a text: its work is done by then."""
    return limits.shortened_text(text, limits.TEXT_CHARACTERS) if isinstance(text, str) else text


_Text = Annotated[str, BeforeValidator(_cut)]
_Url = Annotated[str, StringConstraints(max_length=limits.URL_CHARACTERS)]


class _Report(BaseModel):
    """Base of the reports. Unknown keys are refused, as everything that pods send is read strictly."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ReportedFile(_Report):
    """One input file, with size and hash as it was staged."""

    did: _Text
    index: int
    size: int
    sha256: _Text


class ConfigurationReport(_Report):
    """The end of staging: ``status`` 30 for success, 31 or 32 for a failure with its ``reason``."""

    status: Literal[30, 31, 32]
    reason: _Text = ""
    files: tuple[ReportedFile, ...] = ()


class ReportedRejection(_Report):
    """One output that may not leave, and why."""

    path: _Text
    reason: _Text


class JudgeReport(_Report):
    """The verdict on the outputs. ``refused`` lists the first of those that may not leave, ``refusedCount``
    says how many there are in all. ``exited`` is the node's clock at the algorithm's end, if known; ``full``
    means that no room was left on the volume; ``manifest`` is the digest of what may leave.
    """

    refused: tuple[ReportedRejection, ...] = ()
    refused_count: int = Field(default=0, ge=0, alias="refusedCount")
    files: int = 0
    exited: float | None = None
    full: bool = False
    manifest: _Text = ""


class ReportedResult(_Report):
    """One stored result: its address, size and hash."""

    filename: _Text
    filesize: int = Field(ge=0)
    type: Literal["output", "algorithmLog", "configrationLog", "publishLog", "filteringLog", "evidence"]
    url: _Url
    cid: _Text | None = None
    sha256: _Text
    encryption: Literal["ecies"] | None = None
    judged: _Text | None = None
    """For an encrypted file, the hash of what was encrypted."""


class UploadReport(_Report):
    """The stored results, or in ``failed`` why they could not be stored."""

    results: tuple[ReportedResult, ...] = Field(default=(), max_length=limits.LISTED_FILES)
    failed: _Text | None = None


class RegisterReport(_Report):
    """The asset that the results became, or why they did not."""

    did: _Text = ""
    nft: _Text = ""
    datatoken: _Text = ""
    failed: _Text | None = None


class GoAhead(_Report):
    """The judge's instruction: which files it may let leave. ``outputs`` is false where the algorithm did not
    run, its end is not certain, or a limit ended it; ``logs`` is false only where the end is not certain.
    ``failed`` says that the algorithm failed: on a full volume that counts as a limit, too, and the
    judge is the first to see that the volume is full.

    What a job wrote until a limit stopped it is no result, and a store that kept it for good would be filled
    by failures: up to the volume's size for each.
    """

    outputs: bool
    logs: bool
    failed: bool = False


@dataclass(frozen=True, slots=True)
class PodAnswer:
    """The HTTP answer to a pod, and the changes of the status that must be written before it is sent."""

    status: int
    text: str = ""
    content: dict[str, Any] = field(default_factory=dict)
    """Body of the answer where there is no error ``text``."""
    changes: status_patch.Changes = field(default_factory=dict)


def take_configuration(workflow: WorkFlow, report: ConfigurationReport, now: float) -> PodAnswer:
    """Apply configuration's report. Success releases the algorithm, so it is refused until the uid of the
    algorithm's pod is on record.
    """
    if workflow.finished or workflow.deleted is not None:
        return PodAnswer(410, "the job is over")
    # Repeated: the answer got lost, so it is given again, with the uid that the marker must hold.
    if workflow.at("staged") is not None:
        released = {"algorithm": workflow.status.algorithm.uid}
        return PodAnswer(200, content=released) if report.status == 30 else PodAnswer(409, "staged already")
    # Staged too late: the job was stopped or ran into a deadline. A failure is then acknowledged without
    # effect; a success must not release the algorithm.
    if workflow.status.outcome is not None:
        return PodAnswer(200 if report.status != 30 else 410, "the job's end is decided")
    if report.status != 30:
        return PodAnswer(200, changes=status_patch.set_outcome(State(report.status), report.reason))
    # The plan records it as soon as the pod is seen; configuration asks again until then.
    if workflow.status.algorithm.uid is None:
        return PodAnswer(503, "the algorithm's pod is not on record yet")
    return PodAnswer(
        200,
        # Configuration writes this uid into the marker, and the warden compares it with its own pod's.
        content={"algorithm": workflow.status.algorithm.uid},
        changes=status_patch.merge_patches(
            status_patch.set_state(State.PROVISIONED),
            status_patch.set_moment(now, "staged"),
            _staged(workflow.stage.algorithm.id, [file.model_dump() for file in report.files]),
        ),
    )


def _staged(algorithm: str | None, files: list[dict[str, Any]]) -> status_patch.Changes:
    """Record the staged files. Where not all can be listed, the algorithm's own come first: they say what
    ran.
    """
    listed = limits.fitting_lines(files, limits.STAGED_LISTED, limits.RECORD_BYTES)
    if len(listed) == len(files):
        return {"inputs": listed}
    own_first = sorted(files, key=lambda file: file["did"] != algorithm)
    listed = limits.fitting_lines(own_first, limits.STAGED_LISTED, limits.RECORD_BYTES)
    # Over all files, so that the record still commits to those it does not list.
    digest = manifests.lines_digest(files)
    return {"inputs": listed, "inputsCount": len(files), "inputsDigest": digest}


def answer_go_ahead(workflow: WorkFlow) -> GoAhead | None:
    """Return the judge's instruction; None until Kubernetes has reported that the algorithm's container is
    not running.
    """
    outcome = workflow.status.outcome
    if workflow.at("ended") is None or outcome is None:
        return None
    # Without `staged` nothing was released: whatever logs there are come from our own programs.
    ran = workflow.at("staged") is not None
    whole = outcome.code in (State.FINISHED, State.ALGORITHM_FAILED)
    certain = whole or outcome.code == State.LIMIT_EXCEEDED
    failed = outcome.code == State.ALGORITHM_FAILED
    return GoAhead(outputs=ran and whole, logs=certain or not ran, failed=failed)


def take_judgement(workflow: WorkFlow, report: JudgeReport, now: float) -> PodAnswer:
    """Apply the judge's verdict, for which Kubernetes must have confirmed the algorithm's end."""
    if workflow.finished or workflow.deleted is not None:
        return PodAnswer(410, "the job is over")
    if workflow.at("ended") is None:
        return PodAnswer(409, "the algorithm has not ended")
    refused = [refusal.model_dump() for refusal in report.refused]
    found: list[status_patch.Changes] = [
        status_patch.set_moment(now, "judged"),
        {
            # Cut to what a record may hold; the count says how many there were.
            "refused": limits.fitting_lines(refused, limits.REFUSED_LISTED, limits.RECORD_BYTES),
            "refusedCount": max(report.refused_count, len(refused)),
            "manifest": report.manifest,
        },
    ]
    staged, ended = workflow.at("staged"), workflow.at("ended")
    # The node's clock may be wrong, so a moment outside of what the engine saw is not taken over.
    known = report.exited is not None and staged and ended and staged <= report.exited <= ended
    if known and report.exited is not None and _gate_was_last(workflow):
        found.append(status_patch.set_moment(report.exited, "exited"))
    outcome = workflow.status.outcome
    # A full volume shows only now. For the owner it is the cause, the exit code its consequence.
    if report.full and outcome is not None and outcome.code == State.ALGORITHM_FAILED:
        reason = f"The algorithm filled its volume. {outcome.reason or ''}".strip()
        found.append(status_patch.set_outcome(State.LIMIT_EXCEEDED, reason))
    return PodAnswer(200, changes=status_patch.merge_patches(*found))


def _gate_was_last(workflow: WorkFlow) -> bool:
    """Return whether the gate ended normally, since its last act is to touch the log. Where it was killed,
    the log's time is that of the last line, or one that the algorithm chose.
    """
    ran = workflow.status.algorithm
    return workflow.status.stop == 0 and ran.exit_code is not None and ran.exit_code < 128


def take_upload(workflow: WorkFlow, report: UploadReport, now: float) -> PodAnswer:
    """Apply upload's report. It ends the job, unless the results are to become an asset."""
    # Repeated: recorded already. The first report stands.
    if workflow.finished or workflow.at("uploaded") is not None:
        return PodAnswer(200)
    if workflow.deleted is not None:
        return PodAnswer(410, "the job is over")
    if workflow.at("judged") is None:
        return PodAnswer(409, "nothing has been judged")
    over = status_patch.end_publishing(workflow, now, report.failed)
    if report.failed is not None:
        return PodAnswer(200, changes=over)
    # Refused with 409, so the pod fails and publishing is tried anew from the start.
    if (problem := deliveries.delivery_problem(workflow, report.results)) is not None:
        return PodAnswer(409, problem)
    results = listing.stored_listing([result.model_dump(exclude={"judged"}) for result in report.results])
    stored = status_patch.merge_patches(status_patch.set_moment(now, "uploaded"), results)
    # Only outputs become an asset; a job that has none is over without one.
    asset = workflow.publish is not None and over["code"] == State.FINISHED
    if asset and any(result.type == "output" for result in report.results):
        return PodAnswer(200, changes=stored)
    return PodAnswer(200, changes=status_patch.merge_patches(stored, over))


def answer_stored(workflow: WorkFlow) -> WorkFlow | None:
    """Return the job once its results are stored, so that the register container may begin; else None."""
    return workflow if workflow.at("uploaded") is not None else None


def take_registration(workflow: WorkFlow, report: RegisterReport, now: float) -> PodAnswer:
    """Apply register's report, the last one of a job whose results become an asset."""
    if workflow.finished:
        return PodAnswer(200)
    if workflow.deleted is not None:
        return PodAnswer(410, "the job is over")
    if workflow.at("uploaded") is None:
        return PodAnswer(409, "nothing has been stored")
    if report.failed is not None:
        # The results are stored and stay so: the job failed at the last step, and says that.
        failure = f"The results are stored, but they could not be published as an asset: {report.failed}"
        return PodAnswer(200, changes=status_patch.end_publishing(workflow, now, failure))
    asset = {"asset": {"did": report.did, "nft": report.nft, "datatoken": report.datatoken}}
    over = status_patch.end_publishing(workflow, now, None)
    return PodAnswer(
        200, changes=status_patch.merge_patches(status_patch.set_moment(now, "registered"), asset, over)
    )


def take_intent(workflow: WorkFlow, step: str, raw: str, replaces: str | None) -> PodAnswer:
    """Record a signed transaction before it is sent, so that a restart after a crash sends the same one
    again. ``replaces`` is the recorded one, once it is certain that no block can take it any more.
    """
    if workflow.finished or workflow.deleted is not None:
        return PodAnswer(410, "the job is over")
    if workflow.at("uploaded") is None or workflow.publish is None:
        return PodAnswer(409, "there is nothing to register")
    # By step: an asset takes several transactions, each of which is sent once.
    recorded = (workflow.status.asset or {}).get("transactions") or {}
    known = recorded.get(step)
    # Repeated: recorded already, and it may be sent.
    if known == raw:
        return PodAnswer(200)
    # Another container was faster: only the recorded transaction may be sent.
    if known != replaces:
        return PodAnswer(409, "another transaction is on record")
    # All of them have to fit into the one object that etcd stores, see `c2d_box/limits.py`.
    others = sum(len(str(other)) for name, other in recorded.items() if name != step)
    if others + len(raw) > limits.TRANSACTIONS_CHARACTERS:
        return PodAnswer(422, "the asset's description and its list of files are too long for the record")
    return PodAnswer(200, changes={"asset": {"transactions": {step: raw}}})


BY_STAGE: dict[Stage, tuple[type[BaseModel], Callable[..., PodAnswer]]] = {
    "configuration": (ConfigurationReport, take_configuration),
    "judge": (JudgeReport, take_judgement),
    "upload": (UploadReport, take_upload),
    "register": (RegisterReport, take_registration),
}
"""Model and rule of each stage's report."""
