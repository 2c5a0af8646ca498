"""The ablation from folders to a table and a file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from rich.table import Table

from shared_models.command.printing import console_for, progress_for, put_figures
from shared_models.config import LITE
from shared_models.errors import RecipeError
from shared_models.training.ablation import VARIANTS, Outcome, Variant, ablated
from shared_models.training.photos import Photos
from shared_models.training.recipe import Recipe
from shared_models.training.validation import validation_photos
from shared_models.weights import Weights, shipped_weights


def measured(
    photos: Path,
    validation: Path,
    out: Path,
    result: Path | None,
    weights: Path | None,
    only: list[str] | None,
    recipe: Recipe,
    device: torch.device,
    command: str,
    as_json: bool,
) -> None:
    """Run the ablation, print its table or its figures, and write `result`.

    Args:
        command: the command line that it came from.

    Raises:
        RecipeError: `only` names no variant.
        TrainingDataError: the photos cannot be used.
    """
    variants = _chosen(only)
    if result is not None:
        result.parent.mkdir(parents=True, exist_ok=True)
    loaded = Weights.load(shipped_weights(LITE.name) if weights is None else weights)

    @cache
    def photos_of(crop: int) -> Photos:
        return Photos(photos, None, crop)

    with progress_for() as progress:
        bars = {v.name: progress.add_task(v.name, total=recipe.steps) for v in variants}

        def advance(variant: Variant, step: int) -> None:
            progress.update(bars[variant.name], completed=step)

        outcomes = ablated(
            variants,
            loaded,
            recipe,
            lambda chosen: photos_of(chosen.crop),
            validation_photos(validation, recipe.validation_photos),
            out,
            device,
            advance,
        )
    console_for(as_json).print(_table(outcomes))
    figures = {
        "command": command,
        "model": loaded.model_id.hex(),
        "steps": recipe.steps,
        "recipe": recipe.as_dict(),
        "variants": [outcome.as_dict() for outcome in outcomes],
    }
    put_figures(figures, result, as_json)


def _chosen(only: list[str] | None) -> list[Variant]:
    if not only:
        return list(VARIANTS)
    known = {variant.name: variant for variant in VARIANTS}
    unknown = [name for name in only if name not in known]
    if unknown:
        raise RecipeError(f"there is no variant {unknown[0]!r}; there are: {', '.join(known)}")
    wanted = {*only, *(known[name].against for name in only)}
    return [variant for variant in VARIANTS if variant.name in wanted]


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(
        "variant", "change", "against", "bits at equal PSNR", "PSNR at equal bits",
        title="enhancement layer, short runs",
    )  # fmt: skip
    for outcome in outcomes:
        rate, psnr = outcome.bd_rate_percent, outcome.bd_psnr_db
        table.add_row(
            outcome.variant.name,
            outcome.variant.change,
            "" if outcome.is_baseline else outcome.variant.against,
            "" if rate is None else f"{rate:+.1f} %",
            "" if psnr is None else f"{psnr:+.2f} dB",
        )
    return table
