"""No module imports another that leads back to it: lazy and type-checking imports count too, because a reader
who follows them goes round all the same."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("c2d_box", "sandbox", "tui")
Graph = Mapping[str, set[str]]


def test_no_module_imports_itself_by_way_of_others() -> None:
    circles = [" -> ".join(circle) for circle in import_circles(import_graph(ROOT, PACKAGES))]
    assert not circles, "\n".join(["modules import each other in a circle:", *circles])


def test_lazy_and_type_checking_imports_make_circles(tmp_path: Path) -> None:
    modules = {
        "a": "def f() -> None:\n    from p.inner import b\n",
        "inner/b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .. import c\n",
        "c": "from p.a import f\nimport p.d\n",
        "d": "import json\n",
    }
    for name, text in modules.items():
        path = tmp_path / "p" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    assert import_circles(import_graph(tmp_path, ("p",))) == [["p.a", "p.inner.b", "p.c", "p.a"]]


def import_graph(root: Path, packages: tuple[str, ...]) -> Graph:
    """Return by module what it imports of these packages, wherever in it the statement stands."""
    paths = {}
    for path in (path for package in packages for path in sorted((root / package).rglob("*.py"))):
        parts = path.relative_to(root).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {
        module: {target for target in _imported(module, path, set(paths)) if target != module}
        for module, path in paths.items()
    }


def import_circles(graph: Graph) -> list[list[str]]:
    """Return the shortest circle of each module that is in one and in no circle before it. The first module
    stands at the end again."""
    circles: list[list[str]] = []
    seen: set[str] = set()
    for start in graph:
        if start in seen:
            continue
        circle = _shortest_circle(graph, start)
        if circle:
            circles.append(circle)
            seen |= set(circle)
    return circles


def _imported(module: str, path: Path, modules: set[str]) -> Iterator[str]:
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                if f"{source}.{alias.name}" in modules:
                    yield f"{source}.{alias.name}"
                elif source in modules:
                    yield source


def _shortest_circle(graph: Graph, start: str) -> list[str] | None:
    paths = [[start]]
    visited: set[str] = set()
    for path in paths:  # grows while it is read: a breadth-first search
        for target in sorted(graph[path[-1]]):
            if target == start:
                return [*path, start]
            if target not in visited:
                visited.add(target)
                paths.append([*path, target])
    return None
