"""The licence texts of all Go modules that the bundle's programs link travel with them."""

from __future__ import annotations

import threading
from pathlib import Path

from sandbox.bundle.commands import CommandRunner
from sandbox.bundle.parts import catalogue, programs
from sandbox.bundle.parts.go_licenses import TEXTS, GoLicenses, LinkedPackage, licenses_text
from sandbox.bundle.parts.go_programs import GoPrograms
from sandbox.bundle.parts.recipe import BuildContext

RECIPE = catalogue.CATALOGUE["go-licenses"]


def module_in(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_all_programs_of_a_usual_bundle_are_in_it() -> None:
    assert isinstance(RECIPE, GoLicenses) and catalogue.is_product(RECIPE)
    usual = [each.name for each in programs.PROGRAMS if isinstance(each, GoPrograms)]
    assert len(usual) > 5
    assert list(RECIPE.needs) == [each.module for each in RECIPE.programs] == usual


def test_no_program_is_made_anew_for_a_text() -> None:
    assert not any(RECIPE.name in recipe.needs for recipe in catalogue.CATALOGUE.values())


def test_a_text_stands_once_below_all_modules_that_have_it(tmp_path: Path) -> None:
    one = module_in(tmp_path / "one", LICENSE="Free.\n", NOTICE="By One.\n", code="")
    two = module_in(tmp_path / "two", **{"COPYING.txt": "Free.", "license.go": "package license"})
    none = module_in(tmp_path / "none", README="Free, I said.")
    (one / "inner").mkdir()
    linked = [
        LinkedPackage("example.org/two v2", two, two),
        LinkedPackage("example.org/one v1", one, one / "inner"),
        LinkedPackage("example.org/none v0", none, none),
    ]
    text = licenses_text(linked)
    assert "example.org/one v1 (LICENSE)\nexample.org/two v2 (COPYING.txt)\n" in text
    assert text.count("Free.") == 1 and "By One." in text
    assert "no file of a licence:\nexample.org/none v0\n" in text
    assert "package license" not in text and "I said" not in text


def test_works_of_others_inside_of_a_module_are_found_where_they_are_linked(tmp_path: Path) -> None:
    module = module_in(
        tmp_path,
        LICENSE="Ours.",
        third_party__linked__LICENSE="Theirs.",
        third_party__unused__LICENSE="Nobody's.",
    )
    linked = LinkedPackage("example.org/one v1", module, module / "third_party" / "linked")
    text = licenses_text([linked])
    assert "Ours." in text and "Theirs." in text and "Nobody's." not in text


def test_it_is_made_of_what_the_toolchain_lists(tmp_path: Path) -> None:
    """The toolchain here is a script that lists the same package for each program."""
    module = module_in(tmp_path / "module", LICENSE="Free.")
    go, out, scratch = tmp_path / "go", tmp_path / "out", tmp_path / "scratch"
    go.write_text(f"#!/bin/sh\nprintf '\\nexample.org/one v1\\t{module}\\t{module}\\n\\n'\n")
    go.chmod(0o755)
    out.mkdir()
    scratch.mkdir()
    commands = CommandRunner("go-licenses", tmp_path / "log", threading.Event())
    facts = RECIPE.make_part(BuildContext(out, scratch, commands, {}, "amd64", go))
    assert facts == {"modules": 1}
    assert "example.org/one v1 (LICENSE)" in (out / TEXTS).read_text()
