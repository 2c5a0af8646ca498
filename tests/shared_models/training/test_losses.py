from __future__ import annotations

import pytest
import torch

from shared_models import Codec
from shared_models.entropy_model import Level
from shared_models.evaluation.speed import pink_noise
from shared_models.training.estimate import estimate
from shared_models.training.losses import lagrangian, masked_error, squared_error


def test_the_masked_error_is_eq_2_and_eq_1_at_its_ends() -> None:
    source, decoded = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    masks = (torch.rand(2, 1, 8, 8) > 0.5).float()
    paper = ((source * masks - decoded * masks) ** 2).mean((1, 2, 3))
    torch.testing.assert_close(masked_error(source, decoded, masks, outside=0.0), paper)
    torch.testing.assert_close(
        masked_error(source, decoded, masks, outside=1.0), squared_error(source, decoded)
    )


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
