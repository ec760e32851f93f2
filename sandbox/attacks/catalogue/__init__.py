"""The attacks, by what they go for."""

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
