"""The attacks, by what they go for: a module for each group.

Each attack says what it tries and how its failure is seen from outside. A new one belongs into the group of
the wall that it goes against, and needs the end that it expects: a job that fails earlier, for another
reason, would pass for contained.
"""

from __future__ import annotations

from sandbox.attacks.attack import Attack
from sandbox.attacks.catalogue import endings, exhaustion, kernel, network, node, outputs, pod, rules

ATTACKS: tuple[Attack, ...] = (
    *network.ATTACKS,
    *kernel.ATTACKS,
    *pod.ATTACKS,
    *node.ATTACKS,
    *outputs.ATTACKS,
    *rules.ATTACKS,
    *exhaustion.ATTACKS,
    *endings.ATTACKS,
)
