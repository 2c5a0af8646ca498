"""Training of the difference codec, the paper's baseline "DC": a second LIC codes what the machine view lacks."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from shared_models.config import CodecConfig
from shared_models.profile import comparison_layer
from shared_models.single import SingleLayer
from shared_models.training.estimate import estimate_alone
from shared_models.training.losses import squared_error
from shared_models.training.photos import Crops, Photos
from shared_models.training.recipe import Recipe
from shared_models.training.single import SingleLayerTask
from shared_models.training.task import Outcome, Randomness

_AT_A_TIME = 20


class DifferenceTask(SingleLayerTask):
    """A single layer of the enhancement's size that codes ``x - x^_t``, the machine view at a level drawn at random.

    The loss is eq. (1) of the difference, which is the error of the sum of both.
    """

    name: ClassVar = "difference"

    def __init__(self, config: CodecConfig, recipe: Recipe, machine: SingleLayer) -> None:
        super().__init__(config, recipe, comparison_layer(config), config.enhancement)
        self.machine = machine.eval().requires_grad_(False)

    def to(self, device: torch.device) -> None:
        super().to(device)
        self.machine.to(device)

    def outcome(self, crops: Crops, randomness: Randomness) -> Outcome:
        numbers = randomness.numbers.integers(self.config.machine.levels, size=len(crops.pixels))
        _, view = self._machine_view(crops.pixels, torch.from_numpy(numbers).to(crops.pixels.device))
        return super().outcome(Crops(crops.pixels - view, crops.masks), randomness)

    @torch.no_grad()
    def validate(self, pixels: Tensor) -> dict[str, float]:
        """As for a single layer, with the bits of the machine layer at its default level on top."""
        chosen = torch.tensor([self.config.default_machine_quality], device=pixels.device)
        bits, view = self._machine_view(pixels, chosen)
        machine_bits = bits.item() / pixels[0, 0].numel()
        figures = {"loss": 0.0}
        for number, weight in enumerate(self.lambdas.tolist()):
            coded, decoded = self._coded(
                pixels - view, torch.tensor([number], device=pixels.device), noise=None
            )
            error = squared_error(pixels, (view + decoded).clamp(0.0, 1.0)).item()
            bits_per_pixel = machine_bits + coded.bits.item() / pixels[0, 0].numel()
            figures["loss"] += weight * 255.0**2 * error + bits_per_pixel
            figures[f"bpp_{number}"] = bits_per_pixel
            figures[f"psnr_{number}"] = -10.0 * math.log10(error)
        return figures

    def _sample(self, photos: Photos, count: int, rng: np.random.Generator) -> Tensor:
        differences = []
        for first in range(0, count, _AT_A_TIME):
            pixels = super()._sample(photos, min(_AT_A_TIME, count - first), rng)
            chosen = torch.from_numpy(rng.integers(self.config.machine.levels, size=len(pixels)))
            differences.append(pixels - self._machine_view(pixels, chosen)[1])
        return torch.cat(differences)

    @torch.no_grad()
    def _machine_view(self, pixels: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Bits (B,) and picture of the machine layer, clamped as the decoder's."""
        coded = estimate_alone(self.machine, pixels, chosen, self.config.slices, noise=None)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            view = self.machine.synthesis(coded.latents)
        return coded.bits, view.float().clamp(0.0, 1.0)
