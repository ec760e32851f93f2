"""Reads what the kernel says about a process of the pod: the network is not the only way out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

CAPABILITIES, NO_NEW_PRIVILEGES, SECCOMP = "capabilities", "no_new_privileges", "seccomp"
"""Names of restrictions, as the engine demands them and the report has them."""
USER_NAMESPACE = "user_namespace"
_FIELDS = {"CapEff": CAPABILITIES, "NoNewPrivs": NO_NEW_PRIVILEGES, "Seccomp": SECCOMP}
"""Fields of /proc/self/status, by the names of restrictions."""
_EVERYBODY = ["0", "0", "4294967295"]
"""The user-id map of a process whose user ids are the node's."""


def of_this_process(proc: Path = Path("/proc/self")) -> dict[str, str]:
    """Return capabilities, no new privileges, seccomp's mode, whether user ids are its own, which control
    groups."""
    status = dict(re.findall(r"^(\w+):\t(.*)$", (proc / "status").read_text(), re.MULTILINE))
    found = {ours: status.get(theirs, "") for theirs, ours in _FIELDS.items()}
    # An identity map of all ids is that of the node itself: no user namespace around the pod.
    found[USER_NAMESPACE] = "no" if (proc / "uid_map").read_text().split()[:3] == _EVERYBODY else "yes"
    found["cgroup"] = "v2" if (proc / "cgroup").read_text().startswith("0::") else "v1"
    return found


def missing_restrictions(found: Mapping[str, str], demanded: Iterable[str]) -> list[str]:
    """Return those of ``demanded`` that do not hold; one that nobody knows does not hold."""
    return [name for name in demanded if not _is_held(name, found.get(name, ""))]


def _is_held(name: str, value: str) -> bool:
    # A mask in hexadecimal: restricted is nothing but zeros, and an absent one is not.
    """Return whether a value is the restricted one: no capability, no new privileges, seccomp's filter mode
    (2)."""
    if name == CAPABILITIES:
        return bool(value) and not value.strip("0")
    return value == {NO_NEW_PRIVILEGES: "1", SECCOMP: "2", USER_NAMESPACE: "yes"}.get(name)
