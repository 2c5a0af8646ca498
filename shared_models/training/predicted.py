"""Training of the entropy models of predicted frames, with everything else frozen."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from shared_models.change import change
from shared_models.config import CodecConfig, LiteConfig
from shared_models.enhancement import EnhancementLayer
from shared_models.entropy_model import EntropyModel, Level, Prediction
from shared_models.layer import LayerEntropyModel
from shared_models.light import Light, LightResponse, brightness
from shared_models.profile import predicted_models
from shared_models.single import SingleLayer
from shared_models.training.cutouts import Cutouts
from shared_models.training.estimate import Estimate, estimate
from shared_models.training.losses import lagrangian, masked_error, squared_error
from shared_models.training.pairs import FramePair, frame_pairs
from shared_models.training.photos import Crops, Photos
from shared_models.training.recipe import Recipe
from shared_models.training.task import Outcome, Randomness

_VALIDATION_SEED = 1
_LARGEST_STRETCH = 0.5
_CHANGES = (1.0, 30.0)
"""What counts as changed is drawn between these, in squared quantiser steps, evenly in its logarithm."""


class PredictedTask:
    """The entropy model alone is trained: both transforms and the quantiser's steps are the still layer's."""

    name: ClassVar[str]

    def __init__(
        self,
        config: LiteConfig,
        recipe: Recipe,
        entropy: EntropyModel,
        machine: SingleLayer,
        enhancement: EnhancementLayer,
        cutouts: Cutouts,
    ) -> None:
        self._config = config
        self.recipe = recipe
        assert isinstance(entropy, LayerEntropyModel)
        self.entropy = entropy
        # Bits alone would make them ever coarser. Here, so that it holds for a run that goes on, too.
        entropy.log_gain.requires_grad_(False)
        self.machine = machine.eval().requires_grad_(False)
        self.enhancement = enhancement.eval().requires_grad_(False)
        self.cutouts = cutouts

    @property
    def config(self) -> CodecConfig:
        return self._config

    @property
    def module(self) -> nn.Module:
        return self.entropy

    def to(self, device: torch.device) -> None:
        for part in (self.entropy, self.machine, self.enhancement):
            part.to(device)
        self.machine_response = LightResponse(self.machine.analysis, device)
        self.enhancement_response = LightResponse(self.enhancement.analysis, device)

    def start(self, photos: Photos, rng: np.random.Generator) -> None:
        """As the layer's entropy model of self-contained frames, whose quantiser steps are kept."""
        self.entropy.start_predicted(self._still)

    def outcome(self, crops: Crops, randomness: Randomness) -> Outcome:
        numbers = randomness.numbers
        pair = frame_pairs(crops.pixels.cpu(), self.cutouts, numbers)
        device = crops.pixels.device
        pair = FramePair(pair.reference.to(device), pair.frame.to(device))
        frames = len(pair.frame)
        own = torch.from_numpy(numbers.integers(self._levels, size=frames)).to(device)
        context = torch.from_numpy(numbers.integers(self._context_levels, size=frames)).to(device)
        least, most = np.log(_CHANGES)
        threshold = torch.from_numpy(np.exp(numbers.uniform(least, most, size=frames)).astype(np.float32))
        level = Level(own, context)
        coded, decoded = self._coded(pair, level, threshold.to(device)[:, None, None, None], randomness.noise)
        bits_per_pixel = coded.bits / pair.frame[0, 0].numel()
        error = self._error(pair.frame, decoded)
        return Outcome(
            lagrangian(error, bits_per_pixel, self._lambdas.to(device)[own]),
            bits_per_pixel.mean().item(),
            error.mean().item(),
        )

    @torch.no_grad()
    def validate(self, pixels: Tensor) -> dict[str, float]:
        pair = frame_pairs(pixels.cpu(), self.cutouts, np.random.default_rng(_VALIDATION_SEED))
        pair = FramePair(pair.reference.to(pixels.device), pair.frame.to(pixels.device))
        figures = {"loss": 0.0}
        for number in range(self._levels):
            own = torch.tensor([number], device=pixels.device)
            level = Level(own, own.clamp_max(self._context_levels - 1))
            threshold = torch.full((1, 1, 1, 1), 6.0, device=pixels.device)
            coded, decoded = self._coded(pair, level, threshold, None)
            error = self._error(pair.frame, decoded.clamp(0.0, 1.0)).item()
            figures[f"bpp_{number}"] = coded.bits.item() / pixels[0, 0].numel()
            figures[f"psnr_{number}"] = -10.0 * math.log10(max(error, 1e-10))
            figures["loss"] += self._lambdas[number].item() * 255.0**2 * error + figures[f"bpp_{number}"]
        return figures

    @property
    @abstractmethod
    def _still(self) -> LayerEntropyModel: ...

    @property
    @abstractmethod
    def _lambdas(self) -> Tensor: ...

    @property
    def _levels(self) -> int:
        return len(self._lambdas)

    @property
    @abstractmethod
    def _context_levels(self) -> int: ...

    @abstractmethod
    def _coded(
        self, pair: FramePair, level: Level, threshold: Tensor, noise: torch.Generator | None
    ) -> tuple[Estimate, Tensor]:
        """The later frames of `pair`, coded and decoded."""

    @abstractmethod
    def _error(self, source: Tensor, decoded: Tensor) -> Tensor:
        """As in the training of the layer, per frame, (B,)."""


class PredictedMachineTask(PredictedTask):
    """The machine layer of predicted frames."""

    name: ClassVar = "predicted-machine"

    def __init__(
        self,
        config: LiteConfig,
        recipe: Recipe,
        machine: SingleLayer,
        enhancement: EnhancementLayer,
        cutouts: Cutouts,
    ) -> None:
        entropy = predicted_models(config).machine
        super().__init__(config, recipe, entropy, machine, enhancement, cutouts)

    @property
    def _still(self) -> LayerEntropyModel:
        assert isinstance(self.machine.entropy, LayerEntropyModel)
        return self.machine.entropy

    @property
    def _lambdas(self) -> Tensor:
        return torch.tensor(self._config.machine.lambdas)

    @property
    def _context_levels(self) -> int:
        return 1

    def _coded(
        self, pair: FramePair, level: Level, threshold: Tensor, noise: torch.Generator | None
    ) -> tuple[Estimate, Tensor]:
        slices = self._config.slices
        with torch.no_grad():
            before, y = _analysed(self.machine, pair)
            key = estimate(self._still, before, level, None, slices, None)
            light = Light.fitted(brightness(pair.reference), brightness(pair.frame), _LARGEST_STRETCH)
            relit = self.machine_response.relit
            changed = change(y, relit(before, light), self._still.gain(level)) > threshold
            prediction = Prediction(key.symbols, relit(key.latents, light), changed)
        coded = estimate(self.entropy, y, level, None, slices, noise, prediction)
        with torch.autocast(pair.frame.device.type, torch.bfloat16):
            return coded, self.machine.synthesis(coded.latents)

    def _error(self, source: Tensor, decoded: Tensor) -> Tensor:
        everywhere = torch.ones_like(source[:, :1])
        return masked_error(source, decoded, everywhere, self.recipe.error_weights)


class PredictedEnhancementTask(PredictedTask):
    """The enhancement layer of predicted frames.

    The machine layer of the later frame is taken as its self-contained one, which differs by its rounding alone.
    """

    name: ClassVar = "predicted-enhancement"

    def __init__(
        self,
        config: LiteConfig,
        recipe: Recipe,
        machine: SingleLayer,
        enhancement: EnhancementLayer,
        cutouts: Cutouts,
    ) -> None:
        entropy = predicted_models(config).enhancement
        super().__init__(config, recipe, entropy, machine, enhancement, cutouts)

    @property
    def _still(self) -> LayerEntropyModel:
        assert isinstance(self.enhancement.entropy, LayerEntropyModel)
        return self.enhancement.entropy

    @property
    def _lambdas(self) -> Tensor:
        return torch.tensor(self._config.enhancement.lambdas)

    @property
    def _context_levels(self) -> int:
        return self._config.machine.levels

    def _coded(
        self, pair: FramePair, level: Level, threshold: Tensor, noise: torch.Generator | None
    ) -> tuple[Estimate, Tensor]:
        slices, layer = self._config.slices, self.enhancement
        with torch.no_grad():
            alone = Level(level.context, torch.zeros_like(level.context))
            machine_before, machine_y = _analysed(self.machine, pair)
            machine_entropy = self.machine.entropy
            machine_key = estimate(machine_entropy, machine_before, alone, None, slices, None)
            machine_now = estimate(machine_entropy, machine_y, alone, None, slices, None)
            light = Light.fitted(brightness(pair.reference), brightness(pair.frame), _LARGEST_STRETCH)
            machine_relit = self.machine_response.relit
            machine_changed = (
                change(machine_y, machine_relit(machine_before, light), machine_entropy.gain(alone))
                > threshold
            )
            machine_symbols = torch.where(machine_changed, machine_now.symbols, machine_key.symbols)
            machine_latents = torch.where(
                machine_changed, machine_now.latents, machine_relit(machine_key.latents, light)
            )
            before, analysed = _analysed(layer, pair)
            key = estimate(
                self._still,
                layer.latents(before, machine_key.latents),
                level,
                layer.context(machine_key.symbols, machine_key.latents),
                slices,
                None,
            )
            relit = self.enhancement_response.relit
            changed = change(analysed, relit(before, light), self._still.gain(level)) > 2.0 * threshold
            fused = relit(machine_key.latents + key.latents, light)
            prediction = Prediction(key.symbols, fused - machine_latents, changed)
            y = layer.latents(analysed, machine_latents)
        context = layer.context(machine_symbols, machine_latents)
        coded = estimate(self.entropy, y, level, context, slices, noise, prediction)
        with torch.autocast(pair.frame.device.type, torch.bfloat16):
            return coded, layer.picture(machine_latents, coded.latents)

    def _error(self, source: Tensor, decoded: Tensor) -> Tensor:
        return squared_error(source, decoded)


def _analysed(layer: SingleLayer | EnhancementLayer, pair: FramePair) -> tuple[Tensor, Tensor]:
    with torch.autocast(pair.frame.device.type, torch.bfloat16):
        both = layer.analysis(torch.cat((pair.reference, pair.frame))).float()
    before, after = both.chunk(2)
    return before, after
