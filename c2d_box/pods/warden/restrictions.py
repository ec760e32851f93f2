"""What the kernel says about a process of the pod: the network is not the only way out."""

from __future__ import annotations

import re
from pathlib import Path

_FIELDS = {"CapEff": "capabilities", "NoNewPrivs": "no_new_privileges", "Seccomp": "seccomp"}
_EVERYBODY = ["0", "0", "4294967295"]
"""The map of a process whose user ids are the node's."""


def of_this_process(proc: Path = Path("/proc/self")) -> dict[str, str]:
    """Capabilities, no new privileges, seccomp's mode, whether user ids are its own, which control groups."""
    status = dict(re.findall(r"^(\w+):\t(.*)$", (proc / "status").read_text(), re.MULTILINE))
    found = {ours: status.get(theirs, "") for theirs, ours in _FIELDS.items()}
    found["user_namespace"] = "no" if (proc / "uid_map").read_text().split()[:3] == _EVERYBODY else "yes"
    found["cgroup"] = "v2" if (proc / "cgroup").read_text().startswith("0::") else "v1"
    return found
