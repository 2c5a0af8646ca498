"""Training of the enhancement layer with the machine layer frozen, eq. (3)."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from shared_models.config import CodecConfig
from shared_models.enhancement import EnhancementLayer
from shared_models.layer import Level
from shared_models.machine import MachineLayer
from shared_models.training.estimate import Estimate, estimate, estimate_alone
from shared_models.training.klt import KarhunenLoeve
from shared_models.training.losses import lagrangian, squared_error
from shared_models.training.photos import Crops, Photos
from shared_models.training.recipe import Recipe
from shared_models.training.single import KLT_CROPS
from shared_models.training.task import Outcome, Randomness

_START_CROPS = 100
_SHARE_OF_ALL_SLICES = 0.5


class EnhancementTask:
    """Every frame is trained at levels of both layers drawn at random, every batch with a random number of slices."""

    name: ClassVar = "enhancement"

    def __init__(self, config: CodecConfig, recipe: Recipe, machine: MachineLayer) -> None:
        self.config = config
        self.recipe = recipe
        self.machine = machine.eval().requires_grad_(False)
        self.layer = EnhancementLayer(config)
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

        The latter for every level of the machine layer.
        """
        if self.recipe.start == "klt":
            basis = KarhunenLoeve.of(photos.crops(KLT_CROPS, rng).pixels, self.config)
            basis.start_analysis(self.layer.analysis)
            basis.start_synthesis(self.layer.synthesis)
        pixels = photos.crops(_START_CROPS, rng).pixels
        by_machine_level = []
        for number in range(self.config.machine.levels):
            machine = self._machine(pixels, torch.full((len(pixels),), number))
            by_machine_level.append(
                self.layer.latents(self.layer.analysis(pixels), machine.latents).std((0, 2, 3))
            )
        deviations = torch.stack(by_machine_level)
        gains = torch.sqrt(self.lambdas / self.config.reference_lambda)
        self.layer.entropy.start_from(gains, deviations.mean(0), deviations)

    def outcome(self, crops: Crops, randomness: Randomness) -> Outcome:
        pixels, numbers = crops.pixels, randomness.numbers
        own = numbers.integers(self.config.enhancement.levels, size=len(pixels))
        context = numbers.integers(self.config.machine.levels, size=len(pixels))
        level = Level(
            torch.from_numpy(own).to(pixels.device),
            torch.from_numpy(context).to(pixels.device),
        )
        slices = self.recipe.slices
        if slices == 0:
            every = numbers.random() < _SHARE_OF_ALL_SLICES
            slices = self.config.slices if every else int(numbers.integers(1, self.config.slices))
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
        default, most = self.config.default_quality, self.config.slices
        points = [(number, slices) for number in range(len(self.lambdas)) for slices in (1, most)]
        points += [(default, slices) for slices in range(2, most)]
        for number, slices in points:
            level = Level(torch.tensor([number], device=pixels.device), context)
            machine, coded, decoded = self._coded(pixels, level, slices, None)
            error = squared_error(pixels, decoded.clamp(0.0, 1.0)).item()
            bits_per_pixel = (machine.bits + coded.bits).item() / pixels[0, 0].numel()
            if slices == (self.recipe.slices or self.config.slices):
                figures["loss"] += self.lambdas[number].item() * 255.0**2 * error + bits_per_pixel
            point = f"{number}_m{slices}"
            figures[f"bpp_{point}"] = bits_per_pixel
            figures[f"psnr_{point}"] = -10.0 * math.log10(error)
        return figures

    def _machine(self, pixels: Tensor, chosen: Tensor) -> Estimate:
        with torch.no_grad():
            return estimate_alone(self.machine, pixels, chosen, self.config.slices, noise=None)

    def _coded(
        self, pixels: Tensor, level: Level, slices: int, noise: torch.Generator | None
    ) -> tuple[Estimate, Estimate, Tensor]:
        machine = self._machine(pixels, level.context)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            y = self.layer.latents(self.layer.analysis(pixels), machine.latents)
        sent = torch.zeros_like(y)
        channels = slices * self.config.slice_width
        sent[:, :channels] = y[:, :channels]
        context = self.layer.context(machine.symbols, machine.latents)
        coded = estimate(self.layer.entropy, sent, level, context, slices, noise)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            decoded = self.layer.picture(machine.latents, coded.latents)
        return machine, coded, decoded
