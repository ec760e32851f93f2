"""MkDocs hook that makes the site mirror the repository, so that one relative link works in both.

MkDocs knows the files of one folder only. Pages of ``docs`` also link to README.md, to the chart and to the
screens' pictures, and README.md links back. Here each page keeps its path from the top of the repository, and
the files outside ``docs`` that pages link to come beside it.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

log = logging.getLogger("mkdocs.hooks.site")

ROOT = Path(__file__).parents[1]
RECORDS = "docs/adr/"
LINK = re.compile(r"\]\(([^)#\s]+)")
ITEM = re.compile(r"(?:\d+\.|[*-]) ")
DIAGRAM = re.compile(r"^```mermaid\n.*?^```\n", re.DOTALL | re.MULTILINE)
"""The theme would load a program from another host to draw it. A table of the same content follows it."""
FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""The pictures of screens name a font on another host."""
ROLE = re.compile(r":[a-z]+:(?=<code>)")
FOREIGN = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^>]*>""")


def on_config(config: MkDocsConfig) -> None:
    """List the decision records in the navigation, where it names their folder."""
    records = [f"{RECORDS}{file.name}" for file in sorted((ROOT / RECORDS).glob("[0-9]*.md"))]
    entries = [entry for tab in config.nav or [] for listed in tab.values() for entry in listed]
    for entry in entries:
        if isinstance(entry, dict):
            entry.update(
                {title: [f"{RECORDS}index.md", *records] for title in entry if entry[title] == RECORDS}
            )


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Move the pages below ``docs/`` and add what lies outside; the theme's own files stay where they are."""
    mirrored, pages = Files([]), [ROOT / "README.md"]
    for file in files:
        inside = file.src_dir == config.docs_dir
        path = Path(config.docs_dir, file.src_uri)
        mirrored.append(_file(config, path) if inside else file)
        pages += [path] if inside and path.suffix == ".md" else []
    for path in sorted(_outside(pages, Path(config.docs_dir))):
        mirrored.append(_file(config, path))
    return mirrored


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Leave diagrams out, and write lists as Python-Markdown reads them.

    What belongs to an item is indented by four columns there, by two or three on code-hosting sites. After an
    item of several paragraphs the next one needs an empty line before it.
    """
    lines: list[str] = []
    missing, several, fenced = 0, False, False
    for line in DIAGRAM.sub("", markdown).splitlines():
        indented = line.startswith(" ")
        if line and not indented:
            item = None if fenced else ITEM.match(line)
            lines += [""] if item and several else []
            missing, several = 4 - item.end() if item else 0, False
            fenced ^= line.startswith("```")
        several |= bool(missing and indented and not lines[-1])
        lines.append(" " * missing + line if indented else line)
    return "\n".join(lines)


def on_page_content(html: str, **_: Any) -> str:
    """Show ``:class:`Name``` of a docstring as the name in a code font."""
    return ROLE.sub("", html)


def on_post_page(output: str, page: Any, **_: Any) -> None:
    """Warn where a page would load something from another host; a warning ends a strict build."""
    for found in FOREIGN.findall(output):
        log.warning("%s loads something from another host: %s", page.file.src_uri, found)


def _outside(pages: list[Path], inside: Path) -> set[Path]:
    """Files outside ``docs`` that the pages link to, and those that these link to; the README first."""
    found, waiting = {pages[0]}, list(pages)
    while waiting:
        page = waiting.pop()
        linked = {(page.parent / unquote(link)).resolve() for link in LINK.findall(page.read_text())}
        new = {path for path in linked - found if path.is_file() and path.is_relative_to(ROOT)}
        new = {path for path in new if not path.is_relative_to(inside)}
        found |= new
        waiting += [path for path in new if path.suffix == ".md"]
    return found


def _file(config: MkDocsConfig, path: Path) -> File:
    name = path.relative_to(ROOT).as_posix()
    if path.suffix == ".svg":
        return File.generated(config, name, content=FONT.sub("", path.read_text()))
    return File.generated(config, name, abs_src_path=str(path))
