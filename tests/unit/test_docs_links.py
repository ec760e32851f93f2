"""Relative links of the pages lead to files, and their anchors to headings.

`make docs` checks the same for the site. This test needs no MkDocs, so `make unit` finds a broken link too.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCED = re.compile(r"^( *)(```+|~~~+).*?^\1\2[ ]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.+?)[ #]*$", re.MULTILINE)
LINKS = (
    re.compile(r"""\]\(\s*<?([^)\s>]+)>?(?:\s+["'][^)]*)?\)"""),
    re.compile(r"^\[[^\]]+\]:\s+(\S+)", re.MULTILINE),
)
ANCHOR = re.compile(r"""\b(?:id|name)=["']([^"']+)["']""")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def links_of(text: str) -> list[str]:
    """Targets of links and pictures; what stands in code is none."""
    prose = CODE.sub("", FENCED.sub("", text))
    return [target for link in LINKS for target in link.findall(prose)]


def anchors_of(text: str) -> set[str]:
    """Anchors as code-hosting sites make them of headings, and those written in HTML."""
    unfenced = FENCED.sub("", text)
    seen: Counter[str] = Counter()
    anchors = set(ANCHOR.findall(unfenced))
    for heading in HEADING.findall(unfenced):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors


def broken_links(page: Path, root: Path) -> list[str]:
    """Links of the page that lead nowhere, or out of the repository."""
    return [link for link in links_of(page.read_text()) if not leads_somewhere(page, link, root.resolve())]


def leads_somewhere(page: Path, link: str, root: Path) -> bool:
    """A folder is no target: the site has no page for it."""
    if SCHEME.match(link):
        return True
    path, _, anchor = unquote(link).partition("#")
    target = (page.parent / path).resolve() if path else page.resolve()
    if not (target.is_relative_to(root) and target.is_file()):
        return False
    return not anchor or (target.suffix == ".md" and anchor in anchors_of(target.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page, ROOT) == []


def test_links_are_found() -> None:
    assert sum(len(links_of(page.read_text())) for page in PAGES) > 200


@pytest.mark.parametrize(
    "link",
    [
        *(
            "other.md",
            "other.md#two-words",
            "other.md#--json-and-more",
            "other.md#same-1",
            "other.md#by-hand",
        ),
        *("#here", "folder/a%5Bb%5D.svg", "https://example.org/x#y", "mailto:a@example.org"),
    ],
)
def test_a_link_that_leads_somewhere(link: str, tmp_path: Path) -> None:
    page = written(tmp_path, f"# Here\n\n[a]({link})\n\n![b]({link} 'title')\n\n[c]: {link}\n")
    assert broken_links(page, tmp_path) == []


@pytest.mark.parametrize(
    "link",
    [
        *("nowhere.md", "other.md#nowhere", "other.md#same-2", "other.md#in-a-fence", "#there", "folder"),
        *("folder/a%5Bc%5D.svg", "folder/a%5Bb%5D.svg#x", "../outside.md", "/other.md"),
    ],
)
def test_a_broken_link_is_noticed(link: str, tmp_path: Path) -> None:
    text = f"# Here\n\n[a]({link})\n\n![b]({link} 'title')\n\n[c]: {link}\n"
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.md").write_text("# Outside\n")
    assert broken_links(written(root, text), root) == [link] * 3


def test_code_has_no_links(tmp_path: Path) -> None:
    text = "`[a](x.md)` and ``[`b`](x.md)``\n\n```md\n[c](x.md)\n```\n\n  ```\n  [d](x.md)\n  ```\n"
    assert links_of(text) == []


def written(root: Path, text: str) -> Path:
    """A page beside another one and a folder."""
    (root / "folder").mkdir()
    (root / "folder" / "a[b].svg").touch()
    headings = ["# Two *words*", "## `--json` and more", "## Same", "## Same", '<a id="by-hand"></a>']
    (root / "other.md").write_text("\n\n".join([*headings, "```sh\n# In a fence\n```"]) + "\n")
    page = root / "page.md"
    page.write_text(text)
    return page
