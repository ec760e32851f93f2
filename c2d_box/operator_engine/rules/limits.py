"""Deadlines of a job's stages, and numbers of attempts. Every in-band wait has its deadline here."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from c2d_box.limits import OUTPUT_FILES, OUTPUT_FILES_MOST


class StageLimits(BaseModel):
    """Limits of a job's stages: seconds, unless said otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    queue: float = 3600
    """From acceptance to admission."""
    binding: float = 120
    """From admission until the volume is bound and the grants are there."""
    staging: float = 1800
    """From the creation of the pods until configuration has reported."""
    image: float = 300
    """While an image is being pulled; an image that can never be had fails at once."""
    grace: int = 3
    """Between the request to stop and the kill."""
    kill: float = 60
    """From the kill until Kubernetes has confirmed it; after that the job is lost."""
    publishing: float = 1800
    """From the algorithm's end until the results are stored."""
    attempts: int = 3
    """Number of times a configuration or a publishing pod is started; the algorithm's is started once."""
    retention: float = 7 * 86400
    """For which a finished WorkFlow stays in Kubernetes; its row in the job table stays."""
    storage: float = 0
    """From a job's end until its results leave the store, 0: never. Each environment's ``storageExpiry``."""
    log_bytes: int = 10 << 20
    """Most bytes of each log."""
    output_files: int = Field(default=OUTPUT_FILES, ge=1, le=OUTPUT_FILES_MOST)
    output_bytes: int | None = None
    """Most bytes of all outputs together; None: what the environment's disk holds."""
