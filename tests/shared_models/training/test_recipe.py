from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared_models.command.train import app
from shared_models.config import LITE, PAPER, PROFILES, CodecConfig
from shared_models.errors import RecipeError
from shared_models.training.configured import configured
from shared_models.training.recipe import Recipe


@pytest.mark.parametrize("task", ["machine", "enhancement", "human", "difference"])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_task_has_a_shipped_recipe(task: str, profile: CodecConfig) -> None:
    recipe = Recipe.shipped(task, profile.name)
    assert recipe.steps > 1000
    assert configured(profile, recipe).name == profile.name


def test_a_recipe_sets_the_model_of_the_profile_paper() -> None:
    recipe = Recipe.shipped("enhancement", "paper")
    assert configured(PAPER, recipe).switches["m"] == 4
    config = configured(PAPER, replace(recipe, slices=2, operating_point=0.03))
    assert (config.enhancement_slices, config.enhancement.lambdas) == (2, (0.03,))


@pytest.mark.parametrize(
    ("profile", "changes"),
    [
        (PAPER, {"start": "klt"}),
        (PAPER, {"residual": True}),
        (PAPER, {"slices": 6}),
        (LITE, {"operating_point": 0.01}),
        (LITE, {"slices": 6}),
    ],
)
def test_models_that_a_profile_does_not_have_are_refused(
    profile: CodecConfig, changes: dict[str, object]
) -> None:
    with pytest.raises(RecipeError):
        configured(profile, Recipe.shipped("enhancement", profile.name).changed(changes))


def test_a_file_changes_what_it_names_and_settings_change_the_file(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text('steps = 70\nstart = "random"\noutside = 1\n')
    recipe = Recipe.from_file(file).with_settings(["steps=80", "residual=false"])
    assert (recipe.steps, recipe.start, recipe.outside, recipe.residual) == (80, "random", 1, False)
    assert recipe.crop == Recipe().crop


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("stepps=3", "no 'stepps'"),
        ("steps=2.5", "wants int"),
        ("steps=true", "wants int"),
        ("residual=1", "wants bool"),
        ("crop=100", "multiples of 64"),
        ("start='zero'", "klt"),
        ("outside=2.0", "0 to 1"),
        ("save_every=0", "1 step or more"),
        ("validation_photos=0", "leave --validation out"),
        ("validation_photos=-1", "leave --validation out"),
        ("learning_rate=nan", "finite"),
        ("colour=nan", "finite"),
        ("gradient_norm=inf", "finite"),
        ("learning_rate=-1.0", "more than 0"),
        ("learning_rate=0", "more than 0"),
        ("gradient_norm=-1.0", "more than 0"),
        ("colour=-1", "0 or more"),
        ("slices=-1", "0 or more"),
        ("seed=-1", "0 to 4294967295"),
        ("seed=4294967296", "0 to 4294967295"),
        ("operating_point=-0.1", "use a lambda"),
        ("steps", "name=value"),
    ],
)
def test_what_is_wrong_with_a_setting_is_said(setting: str, problem: str) -> None:
    with pytest.raises(RecipeError, match=problem):
        Recipe().with_settings([setting])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is missing"):
        Recipe.from_file(tmp_path / "none.toml")


def test_a_checkpoint_may_be_older_than_the_recipe() -> None:
    assert Recipe.from_checkpoint({"steps": 7, "forgotten": 1}).steps == 7


@pytest.mark.parametrize("wrong", [["--set", "bach=1"], ["--recipe", "none.toml"], ["--set", "slices=6"]])
def test_the_command_ends_as_with_any_option_that_cannot_be(tmp_path: Path, wrong: list[str]) -> None:
    given = ["human", "--photos", str(tmp_path), "--out", str(tmp_path / "run"), *wrong]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 2
    assert "Invalid value" in result.output
