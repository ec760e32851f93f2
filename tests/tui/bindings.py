"""Every key of the screens, found by looking at the classes: what tests must press and docs must list."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass

from textual.binding import Binding
from textual.dom import DOMNode

import tui


@dataclass(frozen=True)
class BoundKey:
    """A binding where it is declared; ``where`` is the class."""

    where: str
    id: str
    key: str
    text: str


def bound_keys() -> list[BoundKey]:
    """In the order of classes' names."""
    for module in pkgutil.walk_packages(tui.__path__, "tui."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = []
    for node in sorted(set(_subclasses(DOMNode)), key=lambda each: each.__name__):
        if node.__module__.startswith("tui."):
            found += [_bound_key(node.__name__, each) for each in node.__dict__.get("BINDINGS", ())]
    return found


def _subclasses(node: type[DOMNode]) -> list[type[DOMNode]]:
    return [each for child in node.__subclasses__() for each in (child, *_subclasses(child))]


def _bound_key(where: str, binding: object) -> BoundKey:
    assert isinstance(binding, Binding), f"{where}: {binding!r} has no id"
    return BoundKey(where, binding.id or "", binding.key.split(",")[0], binding.description or binding.action)
