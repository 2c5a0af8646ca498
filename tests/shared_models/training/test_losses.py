from __future__ import annotations

import pytest
import torch

from shared_models import Codec
from shared_models.entropy_model import Level
from shared_models.evaluation.speed import pink_noise
from shared_models.training.estimate import estimate
from shared_models.training.losses import ErrorWeights, lagrangian, masked_error, squared_error


def test_the_masked_error_is_eq_2_and_eq_1_at_its_ends() -> None:
    source, decoded = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    masks = (torch.rand(2, 1, 8, 8) > 0.5).float()
    paper = ((source * masks - decoded * masks) ** 2).mean((1, 2, 3))
    torch.testing.assert_close(masked_error(source, decoded, masks, ErrorWeights()), paper)
    torch.testing.assert_close(
        masked_error(source, decoded, masks, ErrorWeights(outside=1.0)), squared_error(source, decoded)
    )


def test_fine_detail_counts_by_its_own_weight_and_by_another_on_edges() -> None:
    checks = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1.0
    fine, flat = checks.expand(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    left = (torch.arange(8) < 4).float().expand(1, 1, 8, 8)
    weights = ErrorWeights(outside=1.0, detail=0.1, edge_detail=0.3)
    nothing = torch.zeros(1, 3, 8, 8)
    assert masked_error(fine, nothing, left, weights).item() == pytest.approx((0.1 + 0.4) / 2)
    assert masked_error(flat, nothing, left, weights).item() == pytest.approx(1.0)


def test_colour_counts_by_its_own_weight() -> None:
    grey = torch.full((1, 3, 8, 8), 0.5)
    tint = torch.tensor([0.2, -0.1, -0.1])[:, None, None].expand(1, 3, 8, 8)
    masks, weights = torch.ones(1, 1, 8, 8), ErrorWeights(colour=3.0)
    tinted = masked_error(grey + tint, torch.zeros(1, 3, 8, 8), masks, weights)
    assert tinted.item() == pytest.approx(0.5**2 + 3.0 * 0.06 / 3)


def test_the_lagrangian_weighs_every_frame_by_its_own_lambda() -> None:
    value = lagrangian(
        torch.tensor([1.0, 2.0]) / 255**2, torch.tensor([3.0, 5.0]), torch.tensor([10.0, 100.0])
    )
    assert value.item() == pytest.approx((10 + 3 + 200 + 5) / 2)


def test_estimated_bits_are_the_bits_that_are_written(float_codec: Codec) -> None:
    image = pink_noise(256, 384, seed=3)
    written = 8 * len(float_codec.encode(image).machine)
    layer = float_codec.layers["machine"]
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255.0
    level = Level(torch.tensor([float_codec.config.default_machine_quality]), torch.tensor([0]))
    with torch.no_grad():
        estimated = estimate(layer.entropy, layer.analysis(pixels), level, None, 5, noise=None).bits.item()
    assert written == pytest.approx(estimated + 8 * 52, rel=0.01)
