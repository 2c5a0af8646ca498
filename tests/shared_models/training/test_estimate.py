from __future__ import annotations

import pytest
import torch

from shared_models.config import LITE
from shared_models.entropy_model import Context, Level
from shared_models.profile import enhancement_layer, machine_layer
from shared_models.training.estimate import Estimate, estimate, estimate_alone


def test_frames_of_a_batch_may_have_different_numbers_of_slices() -> None:
    torch.manual_seed(1)
    machine, layer = machine_layer(LITE), enhancement_layer(LITE)
    pixels = torch.rand(3, 3, 64, 64)
    own = torch.tensor([0, 2, 3])
    with torch.no_grad():
        coarse = estimate_alone(machine, pixels, own, LITE.slices, noise=None)
        y = 8.0 * layer.analysis(pixels)

        def coded(frames: slice, slices: int | torch.Tensor) -> Estimate:
            context = Context(coarse.symbols[frames], coarse.latents[frames])
            return estimate(
                layer.entropy, y[frames], Level(own[frames], own[frames]), context, slices, noise=None
            )

        together = coded(slice(None), torch.tensor([1, 5, 3]))
        for number, slices in enumerate((1, 5, 3)):
            alone = coded(slice(number, number + 1), slices)
            held = slices * LITE.slice_width
            assert together.bits[number].item() == pytest.approx(alone.bits.item(), rel=1e-4)
            torch.testing.assert_close(
                together.latents[number, :held], alone.latents[0], atol=1e-4, rtol=1e-4
            )
            assert not together.latents[number, held:].any()


def test_fewer_slices_cost_less() -> None:
    torch.manual_seed(1)
    layer = machine_layer(LITE)
    pixels, own = torch.rand(1, 3, 64, 64), torch.tensor([3])
    with torch.no_grad():
        bits = [estimate_alone(layer, pixels, own, count, noise=None).bits.item() for count in range(1, 6)]
    assert bits == sorted(bits)
    assert bits[0] < bits[-1]
