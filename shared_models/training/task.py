"""What the training loop needs to know of a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from shared_models.config import CodecConfig
from shared_models.training.photos import Crops, Photos


@dataclass(frozen=True)
class Randomness:
    """Both kinds of random numbers of one step; made anew from seed and step, so that a resumed run repeats them."""

    numbers: np.random.Generator
    noise: torch.Generator

    @classmethod
    def of_step(cls, seed: int, step: int, device: torch.device) -> Randomness:
        """Randomness of step `step` of a run with `seed`."""
        noise = torch.Generator(device).manual_seed((seed << 32) + step)
        return cls(np.random.default_rng([seed, step]), noise)


@dataclass(frozen=True)
class Outcome:
    """Loss of a batch, with what a learning curve shows beside it."""

    loss: Tensor
    bits_per_pixel: float
    mean_squared_error: float


class Task(Protocol):
    """One layer in training."""

    name: ClassVar[str]
    """What checkpoints call it."""

    @property
    def config(self) -> CodecConfig:
        """The profile, with the switches of this model."""

    @property
    def module(self) -> nn.Module:
        """What is trained and saved."""

    def to(self, device: torch.device) -> None:
        """Move everything that computes to `device`."""

    def start(self, photos: Photos, rng: np.random.Generator) -> None:
        """Set the weights to begin from."""

    def outcome(self, crops: Crops, randomness: Randomness) -> Outcome:
        """Loss of one batch, its crops on the task's device."""

    def validate(self, pixels: Tensor) -> dict[str, float]:
        """Figures for one photo, (1, 3, H, W) with H and W multiples of 16; `loss` is what the run should lower."""
