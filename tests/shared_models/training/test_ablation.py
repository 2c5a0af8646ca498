from __future__ import annotations

from pathlib import Path

import pytest
import torch

from shared_models.evaluation.speed import pink_noise
from shared_models.training.ablation import BASELINE, VARIANTS, ablated, difference
from shared_models.training.photos import Photos
from shared_models.training.recipe import Recipe
from shared_models.weights import SHIPPED, Weights


def figures(factor: float, at_first: float = 1.0) -> dict[str, float]:
    """Points of four qualities, bits times `factor` at five slices and times `at_first` at one."""
    points = {}
    for quality in range(4):
        points[f"bpp_{quality}_m1"] = 0.1 * 2**quality * at_first
        points[f"bpp_{quality}_m5"] = 0.2 * 2**quality * factor
        points[f"psnr_{quality}_m1"] = 27.0 + 3 * quality
        points[f"psnr_{quality}_m5"] = 30.0 + 3 * quality
    return points


def test_bits_are_compared_at_equal_psnr_and_at_the_slices_asked_for() -> None:
    rate, psnr = difference(figures(1.0), figures(1.1), first_slice=False)
    assert rate == pytest.approx(10.0)
    assert psnr is not None
    assert psnr < 0.0
    rate, _ = difference(figures(1.0), figures(1.1, at_first=0.8), first_slice=True)
    assert rate == pytest.approx(-20.0)


def test_curves_apart_have_no_delta() -> None:
    assert difference(figures(1.0), figures(1000.0), first_slice=False)[1] is None


def test_every_baseline_comes_before_what_is_held_against_it() -> None:
    names = [variant.name for variant in VARIANTS]
    assert len(set(names)) == len(names)
    for position, variant in enumerate(VARIANTS):
        assert variant.against in names[: position + 1]
        Recipe.shipped("enhancement").changed(variant.changes)


def test_variants_train_differ_and_are_compared(folders: tuple[Path, Path], tmp_path: Path) -> None:
    wanted = [v for v in VARIANTS if v.name in (BASELINE, "unconditioned", "smaller synthesis", "further")]
    recipe = Recipe(steps=2, batch=1, crop=64)
    picture = torch.from_numpy(pink_noise(64, 96)).permute(2, 0, 1)[None] / 255.0
    steps: list[tuple[str, int]] = []
    outcomes = ablated(
        wanted,
        Weights.load(SHIPPED / "lite.safetensors"),
        recipe,
        lambda chosen: Photos(folders[0], None, chosen.crop),
        [picture],
        tmp_path / "runs",
        torch.device("cpu"),
        lambda variant, step: steps.append((variant.name, step)),
    )
    assert steps == [(variant.name, step) for variant in wanted for step in (1, 2)]
    assert [outcome.is_baseline for outcome in outcomes] == [True, False, False, True]
    assert len({outcome.figures["loss"] for outcome in outcomes}) == len(outcomes)
