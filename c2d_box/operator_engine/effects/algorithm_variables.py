"""The environment variables of an algorithm: those Ocean's algorithms know, and those any image needs."""

from __future__ import annotations

import json

from c2d_box.workflow import names
from c2d_box.workflow.resource import WorkFlow

PARAMETER_BYTES = 64 << 10
"""Most bytes of one variable. The kernel takes twice that; longer parameters are in the file alone."""


def ocean_variables(workflow: WorkFlow, secret: str) -> dict[str, str]:
    """Return the variables Ocean's algorithms know, and those Python and tools that look for a home need."""
    dids = [names.bare_did(entry.id) for entry in workflow.stage.input]
    return {
        "DIDS": json.dumps(dids),
        "TRANSFORMATION_DID": names.bare_did(workflow.stage.algorithm.id or ""),
        "VOLUME": names.DATA,
        "INPUTS": f"{names.DATA}/{names.INPUTS}",
        "OUTPUTS": f"{names.DATA}/{names.OUTPUTS}",
        "LOGS": f"{names.DATA}/{names.LOGS}",
        # Ocean's name for it; the value differs for each job and is the same in every attempt.
        "secret": secret,
        **_parameters(workflow),
        # Any image: its own home may belong to another user, and only this folder can be written everywhere.
        "HOME": names.SCRATCH,
        "USER": names.ALGORITHM_USER,
        "LOGNAME": names.ALGORITHM_USER,
        # Lines show in the live log when they are printed, and no bytecode is tried to be written.
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _parameters(workflow: WorkFlow) -> dict[str, str]:
    """Return the consumer's parameters as JSON, which are in a file too. The names of these two variables are
    fixed, since a name of the consumer's choice could be one that a loader or an interpreter obeys.
    """
    algorithm = workflow.stage.algorithm
    given = {"ALGO_CUSTOM_DATA": algorithm.algocustomdata, "ALGO_USER_DATA": algorithm.userdata}
    texts = {name: json.dumps(value) for name, value in given.items() if value is not None}
    # In characters: non-ASCII is escaped by json.dumps, so each is one byte.
    return {name: text for name, text in texts.items() if len(text) <= PARAMETER_BYTES}
