"""What the codec and the training need of a layer's entropy model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

HYPER_STRIDE: Final = 4
"""Latent positions a side that one hyper latent stands for."""

Visit = Callable[[int, Tensor, Tensor], Tensor]
"""Takes a slice's number, its spread and its means, both (B, w, H, W); returns its integers q."""


@dataclass(frozen=True)
class Level:
    """Operating point of each frame of a batch, (B,) int64 each. `context` is the level of the layer conditioned on."""

    own: Tensor
    context: Tensor


@dataclass(frozen=True)
class Context:
    """What another layer (or, later, another frame) has already told about these latents.

    `symbols` are its integers and enter the exact path; `latents` its float latents, for the means. (B, M, H, W) each.
    """

    symbols: Tensor
    latents: Tensor


class EntropyModel(nn.Module, ABC):
    """Distributions of one layer's latents: a hyperprior z, and slices each conditioned on those before it.

    What is coded of a latent y is ``q = round(y * gain - mean)``. The *spread* tells how q is distributed around 0, in
    whatever form the model has it; `bits` and `index` understand it.

    Args:
        slices: number of slices (the paper's n, or m).
        slice_width: channels of a slice, w.
    """

    def __init__(self, slices: int, slice_width: int) -> None:
        super().__init__()
        self.slices = slices
        self.slice_width = slice_width

    @property
    @abstractmethod
    def largest_index(self) -> int:
        """Largest number of a probability table that this model names."""

    @abstractmethod
    def gain(self, level: Level) -> Tensor:
        """Factor from latents to symbols, (B, M, 1, 1)."""

    @abstractmethod
    def hyper_latents(self, y: Tensor, level: Level) -> Tensor:
        """z before rounding, for latents (B, M, H, W) of any size; (B, Z, ceil(H/4), ceil(W/4))."""

    @abstractmethod
    def hyper_index(self, level: Level) -> Tensor:
        """Number of the table of each channel of z, (B, Z, 1, 1), integers in float32."""

    @abstractmethod
    def hyper_bits(self, z: Tensor, level: Level) -> Tensor:
        """Bits of z, rounded or with noise in place of rounding, (B,)."""

    @abstractmethod
    def walk(
        self,
        z: Tensor,
        size: tuple[int, int],
        level: Level,
        context: Context | None,
        slices: int,
        visit: Visit,
    ) -> tuple[Tensor, Tensor]:
        """Go through the first `slices` slices, letting `visit` estimate, encode or decode each.

        Args:
            z: rounded hyper latents.
            size: height and width of the latents.

        Returns:
            symbols and decoded latents, (B, slices * w, H, W) each.
        """

    @abstractmethod
    def bits(self, symbols: Tensor, spread: Tensor) -> Tensor:
        """Bits of a slice's symbols, rounded or with noise in place of rounding, (B,)."""

    @abstractmethod
    def index(self, spread: Tensor) -> Tensor:
        """Number of each symbol's table, integers in float32. A symbol of table 0 is not coded: it is 0."""

    def settle(self, dtype: torch.dtype) -> None:
        """Get ready to code: from here on, what both sides have to compute alike is computed as exactly as it can be.

        Nothing is trained any more.

        Args:
            dtype: what the rest may be computed in.
        """

    def split(self, y: Tensor) -> Sequence[Tensor]:
        """The slices of a latent (B, k * w, H, W)."""
        return torch.split(y, self.slice_width, dim=1)
