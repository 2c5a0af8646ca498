"""What a recipe decides about the model itself."""

from __future__ import annotations

from dataclasses import replace

from shared_models.config import CodecConfig, LayerConfig, PaperConfig
from shared_models.errors import RecipeError
from shared_models.training.recipe import Recipe


def configured(profile: CodecConfig, recipe: Recipe) -> CodecConfig:
    """The profile with a recipe's switches.

    Raises:
        RecipeError: the profile has no such model.
    """
    if recipe.slices > profile.slices:
        raise RecipeError(
            f"slices = {recipe.slices}: an enhancement layer of profile {profile.name} has 1 to {profile.slices}; "
            "0 draws them at random, or means all of them in the profile paper"
        )
    if isinstance(profile, PaperConfig):
        return _paper(profile, recipe)
    if recipe.operating_point:
        raise RecipeError(f"operating_point: the models of profile {profile.name} have several, all its own")
    return replace(profile, condition_on_machine=recipe.condition_on_machine, residual=recipe.residual)


def _paper(profile: PaperConfig, recipe: Recipe) -> PaperConfig:
    if recipe.start != "random" or recipe.condition_on_machine or recipe.residual:
        raise RecipeError(
            "the profile paper begins at random and codes latents of its own with nothing of the machine layer: set "
            "start = 'random', condition_on_machine = false and residual = false, as its shipped recipes do"
        )
    chosen = replace(profile, m=recipe.slices or profile.slices)
    if recipe.operating_point:
        point = LayerConfig(lambdas=(recipe.operating_point,))
        chosen = replace(chosen, machine=point, enhancement=point)
    return chosen
