"""Training of a layer that stands alone."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from shared_models.config import CodecConfig, LayerConfig, LiteConfig
from shared_models.enhancement import EnhancementLayer
from shared_models.errors import WeightsError
from shared_models.single import SingleLayer
from shared_models.training.estimate import Estimate, estimate_alone
from shared_models.training.losses import lagrangian, squared_error
from shared_models.training.photos import Crops, Photos
from shared_models.training.recipe import Recipe
from shared_models.training.start import KLT_CROPS, start_entropy, start_transforms
from shared_models.training.task import Outcome, Randomness

_START_CROPS = 200


class SingleLayerTask:
    """Every frame of a batch is trained at a level drawn at random, by eq. (1): plain mean squared error."""

    name: ClassVar[str]

    def __init__(self, config: CodecConfig, recipe: Recipe, layer: SingleLayer, size: LayerConfig) -> None:
        self.config = config
        self.recipe = recipe
        self.layer = layer
        self.lambdas = torch.tensor(size.lambdas)
        self._has_transforms = False

    @property
    def module(self) -> nn.Module:
        return self.layer

    def to(self, device: torch.device) -> None:
        self.layer.to(device)
        self.lambdas = self.lambdas.to(device)

    def take_transforms(self, trained: EnhancementLayer) -> None:
        """Begin with the transforms of a trained layer of the same size.

        Raises:
            WeightsError: it has another.
        """
        try:
            self.layer.analysis.load_state_dict(trained.analysis.state_dict())
            self.layer.synthesis.load_state_dict(trained.synthesis.state_dict())
        except RuntimeError as error:
            raise WeightsError(
                f"these transforms are of another size: begin without them ({error})"
            ) from error
        self._has_transforms = True

    @torch.no_grad()
    def start(self, photos: Photos, rng: np.random.Generator) -> None:
        """KLT transforms, unless there are others already, and the statistics of what they give; for lite only."""
        if not isinstance(self.config, LiteConfig):
            return
        if self.recipe.start == "klt" and not self._has_transforms:
            start_transforms(self.layer, self.config, self._sample(photos, KLT_CROPS, rng))
        y = self.layer.analysis(self._sample(photos, _START_CROPS, rng))
        start_entropy(self.layer, self.config, self.lambdas, y.std((0, 2, 3))[None])

    def outcome(self, crops: Crops, randomness: Randomness) -> Outcome:
        pixels = crops.pixels
        numbers = randomness.numbers.integers(len(self.lambdas), size=len(pixels))
        chosen = torch.from_numpy(numbers).to(pixels.device)
        coded, decoded = self._coded(pixels, chosen, randomness.noise)
        bits_per_pixel = coded.bits / pixels[0, 0].numel()
        return Outcome(
            lagrangian(self._error(crops, decoded), bits_per_pixel, self.lambdas[chosen]),
            bits_per_pixel.mean().item(),
            squared_error(pixels, decoded).mean().item(),
        )

    @torch.no_grad()
    def validate(self, pixels: Tensor) -> dict[str, float]:
        figures = {"loss": 0.0}
        whole = Crops(pixels, torch.ones_like(pixels[:, :1]))
        for number, weight in enumerate(self.lambdas):
            coded, decoded = self._coded(pixels, torch.tensor([number], device=pixels.device), noise=None)
            decoded = decoded.clamp(0.0, 1.0)
            bits_per_pixel = coded.bits / pixels[0, 0].numel()
            figures["loss"] += lagrangian(self._error(whole, decoded), bits_per_pixel, weight).item()
            figures[f"bpp_{number}"] = bits_per_pixel.item()
            figures[f"psnr_{number}"] = -10.0 * math.log10(squared_error(pixels, decoded).item())
        return figures

    def _sample(self, photos: Photos, count: int, rng: np.random.Generator) -> Tensor:
        """What the layer has to code, on the CPU: (count, 3, S, S)."""
        return photos.crops(count, rng).pixels

    def _error(self, crops: Crops, decoded: Tensor) -> Tensor:
        return squared_error(crops.pixels, decoded)

    def _coded(
        self, pixels: Tensor, chosen: Tensor, noise: torch.Generator | None
    ) -> tuple[Estimate, Tensor]:
        """What `pixels` cost at the chosen levels, (B,), and what they become."""
        coded = estimate_alone(self.layer, pixels, chosen, self.config.slices, noise)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            decoded = self.layer.synthesis(coded.latents)
        return coded, decoded
