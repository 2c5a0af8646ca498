"""What each decision of the training is worth: short runs that differ from a baseline in one thing."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from bjontegaard import bd_psnr, bd_rate
from torch import Tensor, nn

from shared_models.config import CodecConfig, LiteConfig, TransformConfig
from shared_models.profile import machine_layer
from shared_models.training.configured import configured
from shared_models.training.enhancement import EnhancementTask
from shared_models.training.loop import TrainingRun
from shared_models.training.photos import Photos
from shared_models.training.recipe import Recipe
from shared_models.weights import Weights

Figures = Mapping[str, float]

BASELINE: Final = "baseline"


@dataclass(frozen=True)
class Variant:
    """A run of the enhancement layer that differs from its baseline by `changes` of the recipe and `synthesis`.

    Args:
        against: name of the baseline; its own for a baseline.
        first_slice: compare at m = 1 instead of at all slices.
        from_weights: go on from trained weights instead of from the start.
    """

    name: str
    change: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    synthesis: TransformConfig | None = None
    against: str = BASELINE
    first_slice: bool = False
    from_weights: bool = False


VARIANTS: Final = (
    Variant(BASELINE, "as the shipped recipe, from the photos' Karhunen-Loève transform"),
    Variant("unconditioned", "entropy model blind to the machine layer", {"condition_on_machine": False}),
    Variant("free", "latents of their own, not the difference to the machine's", {"residual": False}),
    Variant(
        "as in the paper", "both: blind and free", {"condition_on_machine": False, "residual": False}
    ),
    Variant("random start", "PyTorch's start of the transforms", {"start": "random"}),
    Variant("smaller synthesis", "4 blocks in the human synthesis", synthesis=TransformConfig(160, 4)),
    Variant("larger synthesis", "8 blocks in the human synthesis", synthesis=TransformConfig(160, 8)),
    Variant("all slices", "m = 5 in every batch, not drawn at random", {"slices": 5}),
    Variant(
        "one slice", "m = 1 in every batch; compared at m = 1", {"slices": 1}, first_slice=True
    ),
    Variant(
        "further", "going on from the shipped weights", {"learning_rate": 2e-4}, against="further", from_weights=True
    ),
    Variant(
        "larger crops",
        "the same with as many pixels in crops of 320",
        {"learning_rate": 2e-4, "crop": 320, "batch": 3},
        against="further",
        from_weights=True,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """`figures` of the validation; deltas against the baseline by estimated bits, as `difference` tells them."""

    variant: Variant
    figures: Figures
    bd_rate_percent: float | None
    bd_psnr_db: float | None
    is_baseline: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.variant.name,
            "task": EnhancementTask.name,
            "change": self.variant.change,
            "against": None if self.is_baseline else self.variant.against,
            "bd_rate_percent": self.bd_rate_percent,
            "bd_psnr_db": self.bd_psnr_db,
            "loss": self.figures["loss"],
            "figures": dict(self.figures),
        }


def ablated(
    variants: Sequence[Variant],
    weights: Weights,
    recipe: Recipe,
    photos_of: Callable[[Recipe], Photos],
    validation: Sequence[Tensor],
    out: Path,
    device: torch.device,
    advance: Callable[[Variant, int], None],
) -> list[Outcome]:
    """Train every variant beside the machine layer of `weights`, in folders of `out`; runs that exist go on.

    Args:
        variants: a baseline comes before what is held against it.
        weights: their machine layer stands frozen beside all runs.
        recipe: of the baseline.
        photos_of: reads the photos for a recipe's crops.
        validation: photos (1, 3, H, W) on which the runs are compared.
        out: folder of the runs.
        device: what computes.
        advance: called after every step.

    Raises:
        RecipeError: the profile of `weights` has no such model.
    """
    outcomes: list[Outcome] = []
    for variant in variants:
        figures = _run(variant, weights, recipe, photos_of, validation, out / variant.name, device, advance)
        baseline = next((o.figures for o in outcomes if o.variant.name == variant.against), None)
        rate, psnr = (None, None) if baseline is None else difference(baseline, figures, variant.first_slice)
        outcomes.append(Outcome(variant, figures, rate, psnr, is_baseline=baseline is None))
    return outcomes


def difference(baseline: Figures, figures: Figures, first_slice: bool) -> tuple[float | None, float | None]:
    """Bjøntegaard deltas over all qualities, at the first slice or at all slices: rate in percent, PSNR in dB.

    None where the two have no PSNR, or no rate, in common.
    """
    count = 1 if first_slice else max(int(name.rpartition("_m")[2]) for name in figures if "_m" in name)
    curves = [
        [those[f"{unit}_{quality}_m{count}"] for quality in range(_qualities(those))]
        for those in (baseline, figures)
        for unit in ("bpp", "psnr")
    ]
    with warnings.catch_warnings(action="ignore"):
        deltas = (
            delta(*curves, method="akima", require_matching_points=False, min_overlap=0)
            for delta in (bd_rate, bd_psnr)
        )
        rate, psnr = (float(value) if math.isfinite(value) else None for value in deltas)
    return rate, psnr


def _qualities(figures: Figures) -> int:
    return sum(name.startswith("bpp_") and name.endswith("_m1") for name in figures)


def _run(
    variant: Variant,
    weights: Weights,
    recipe: Recipe,
    photos_of: Callable[[Recipe], Photos],
    validation: Sequence[Tensor],
    folder: Path,
    device: torch.device,
    advance: Callable[[Variant, int], None],
) -> Figures:
    chosen = recipe.changed(variant.changes)
    config = _config(weights.config, variant, chosen)
    machine = machine_layer(weights.config)
    machine.load_state_dict(weights.machine.state_dict())
    run = TrainingRun(lambda: EnhancementTask(config, chosen, machine), chosen, folder, device)
    trained: nn.Module | None = weights.enhancement if variant.from_weights else None
    photos = photos_of(chosen)
    run.start(photos, trained)
    run.run(photos, [], lambda report: advance(variant, report.step))
    figures = run.validate(validation)
    return {name: float(np.round(value, 6)) for name, value in figures.items()}


def _config(config: CodecConfig, variant: Variant, recipe: Recipe) -> CodecConfig:
    config = configured(config, recipe)
    if variant.synthesis is not None:
        assert isinstance(config, LiteConfig)
        config = replace(config, enhancement=replace(config.enhancement, synthesis=variant.synthesis))
    return config
