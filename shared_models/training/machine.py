"""Training of the machine layer, eq. (2)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from shared_models.config import CodecConfig
from shared_models.layer import Level
from shared_models.machine import MachineLayer
from shared_models.training.estimate import Estimate, estimate
from shared_models.training.klt import KarhunenLoeve
from shared_models.training.losses import lagrangian, masked_error, squared_error
from shared_models.training.photos import Crops, Photos
from shared_models.training.recipe import Recipe
from shared_models.training.task import Outcome, Randomness

_START_CROPS = 200


class MachineTask:
    """Every frame of a batch is trained at a level drawn at random."""

    def __init__(self, config: CodecConfig, recipe: Recipe) -> None:
        self.config = config
        self.recipe = recipe
        self.layer = MachineLayer(config)
        self.lambdas = torch.tensor(config.machine.lambdas)

    @property
    def module(self) -> nn.Module:
        return self.layer

    @torch.no_grad()
    def start(self, photos: Photos, rng: np.random.Generator) -> None:
        """KLT transforms, and the statistics of what they give."""
        basis = KarhunenLoeve.of(photos, self.config, rng)
        basis.start_analysis(self.layer.analysis)
        basis.start_synthesis(self.layer.synthesis)
        y = self.layer.analysis(photos.crops(_START_CROPS, rng).pixels)
        deviations = y.std((0, 2, 3))
        gains = torch.sqrt(self.lambdas / self.config.reference_lambda)
        self.layer.entropy.start_from(gains, deviations, deviations[None])

    def outcome(self, crops: Crops, randomness: Randomness) -> Outcome:
        pixels = crops.pixels
        chosen = torch.from_numpy(randomness.numbers.integers(self.config.machine.levels, size=len(pixels)))
        coded, decoded = self._coded(pixels, chosen, randomness.noise)
        error = masked_error(pixels, decoded, crops.masks, self.recipe.outside)
        bits_per_pixel = coded.bits / pixels[0, 0].numel()
        return Outcome(
            lagrangian(error, bits_per_pixel, self.lambdas[chosen]),
            bits_per_pixel.mean().item(),
            squared_error(pixels, decoded).mean().item(),
        )

    @torch.no_grad()
    def validate(self, pixels: Tensor) -> dict[str, float]:
        figures = {}
        for number in range(self.config.machine.levels):
            coded, decoded = self._coded(pixels, torch.tensor([number]), noise=None)
            error = squared_error(pixels, decoded.clamp(0.0, 1.0)).item()
            figures[f"bpp_{number}"] = coded.bits.item() / pixels[0, 0].numel()
            figures[f"psnr_{number}"] = -10.0 * math.log10(error)
        return figures

    def _coded(
        self, pixels: Tensor, chosen: Tensor, noise: torch.Generator | None
    ) -> tuple[Estimate, Tensor]:
        with torch.autocast(pixels.device.type, torch.bfloat16):
            y = self.layer.analysis(pixels)
        level = Level(own=chosen, context=torch.zeros_like(chosen))
        coded = estimate(self.layer.entropy, y, level, None, self.config.slices, noise)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            decoded = self.layer.synthesis(coded.latents)
        return coded, decoded
