"""Training of the enhancement layer with the machine layer frozen, eq. (3)."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared_models.config import CodecConfig, LiteConfig
from shared_models.entropy_model import Level
from shared_models.profile import enhancement_layer
from shared_models.single import SingleLayer
from shared_models.training.estimate import Estimate, estimate, estimate_alone
from shared_models.training.losses import lagrangian, squared_error
from shared_models.training.photos import Crops, Photos
from shared_models.training.recipe import Recipe
from shared_models.training.start import KLT_CROPS, start_entropy, start_transforms
from shared_models.training.task import Outcome, Randomness

_START_CROPS = 100
_CHANCE_OF_ONE_SLICE = 10.0
_CHANCE_OF_ALL_SLICES = 27.0
"""In units of that of each number between, which profit from both ends (sandwich rule, Yu & Huang, ICCV 2019)."""


class EnhancementTask:
    """Every frame is trained at levels of both layers and with a number of slices drawn at random."""

    name: ClassVar = "enhancement"

    def __init__(self, config: CodecConfig, recipe: Recipe, machine: SingleLayer) -> None:
        self.config = config
        self.recipe = recipe
        self.machine = machine.eval().requires_grad_(False)
        self.layer = enhancement_layer(config)
        self.lambdas = torch.tensor(config.enhancement.lambdas)

    @property
    def module(self) -> nn.Module:
        return self.layer

    def to(self, device: torch.device) -> None:
        self.layer.to(device)
        self.machine.to(device)
        self.lambdas = self.lambdas.to(device)

    @torch.no_grad()
    def start(self, photos: Photos, rng: np.random.Generator) -> None:
        """KLT transforms, unless the recipe wants random ones, and the statistics of what is left to code.

        The latter for every level of the machine layer. Only lite has either.
        """
        if not isinstance(self.config, LiteConfig):
            return
        if self.recipe.start == "klt":
            start_transforms(self.layer, self.config, photos.crops(KLT_CROPS, rng).pixels)
        pixels = photos.crops(_START_CROPS, rng).pixels
        by_machine_level = []
        for number in range(self.config.machine.levels):
            machine = self._machine(pixels, torch.full((len(pixels),), number))
            by_machine_level.append(
                self.layer.latents(self.layer.analysis(pixels), machine.latents).std((0, 2, 3))
            )
        start_entropy(self.layer, self.config, self.lambdas, torch.stack(by_machine_level))

    def outcome(self, crops: Crops, randomness: Randomness) -> Outcome:
        pixels, numbers = crops.pixels, randomness.numbers
        own = numbers.integers(self.config.enhancement.levels, size=len(pixels))
        context = numbers.integers(self.config.machine.levels, size=len(pixels))
        level = Level(
            torch.from_numpy(own).to(pixels.device),
            torch.from_numpy(context).to(pixels.device),
        )
        slices = torch.from_numpy(self._slices(len(pixels), numbers)).to(pixels.device)
        _, coded, decoded = self._coded(pixels, level, slices, randomness.noise)
        error = squared_error(pixels, decoded)
        bits_per_pixel = coded.bits / pixels[0, 0].numel()
        return Outcome(
            lagrangian(error, bits_per_pixel, self.lambdas[level.own]),
            bits_per_pixel.mean().item(),
            error.mean().item(),
        )

    @torch.no_grad()
    def validate(self, pixels: Tensor) -> dict[str, float]:
        figures = {"loss": 0.0}
        context = torch.tensor([self.config.default_machine_quality], device=pixels.device)
        default, most = self.config.default_quality, self.config.enhancement_slices
        points = [(number, slices) for number in range(len(self.lambdas)) for slices in sorted({1, most})]
        points += [(default, slices) for slices in range(2, most)]
        for number, slices in points:
            level = Level(torch.tensor([number], device=pixels.device), context)
            machine, coded, decoded = self._coded(pixels, level, slices, None)
            error = squared_error(pixels, decoded.clamp(0.0, 1.0)).item()
            bits_per_pixel = (machine.bits + coded.bits).item() / pixels[0, 0].numel()
            if slices == (self.recipe.slices or most):
                figures["loss"] += self.lambdas[number].item() * 255.0**2 * error + bits_per_pixel
            point = f"{number}_m{slices}"
            figures[f"bpp_{point}"] = bits_per_pixel
            figures[f"psnr_{point}"] = -10.0 * math.log10(error)
        return figures

    def _slices(self, frames: int, numbers: np.random.Generator) -> NDArray[np.int64]:
        """How many slices every frame of a batch has."""
        most = self.config.enhancement_slices
        if self.recipe.slices:
            return np.full(frames, self.recipe.slices)
        chances = np.ones(most)
        chances[0] = _CHANCE_OF_ONE_SLICE
        chances[-1] = _CHANCE_OF_ALL_SLICES
        return numbers.choice(np.arange(1, most + 1), frames, p=chances / chances.sum())

    def _machine(self, pixels: Tensor, chosen: Tensor) -> Estimate:
        with torch.no_grad():
            return estimate_alone(self.machine, pixels, chosen, self.config.slices, noise=None)

    def _coded(
        self, pixels: Tensor, level: Level, slices: int | Tensor, noise: torch.Generator | None
    ) -> tuple[Estimate, Estimate, Tensor]:
        machine = self._machine(pixels, level.context)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            y = self.layer.latents(self.layer.analysis(pixels), machine.latents)
        context = self.layer.context(machine.symbols, machine.latents)
        coded = estimate(self.layer.entropy, y, level, context, slices, noise)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            decoded = self.layer.picture(machine.latents, coded.latents)
        return machine, coded, decoded
