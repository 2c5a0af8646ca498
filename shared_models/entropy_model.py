"""What the codec and the training need of a layer's entropy model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HYPER_STRIDE: Final = 4
"""Latent positions a side that one hyper latent stands for."""

Visit = Callable[[int, Tensor, Tensor], Tensor]
"""Takes a slice's number, its spread and its means, both (B, w, H, W); returns its integers q.

In a predicted frame, with the reference's integers where nothing changed (`Prediction.completed`).
"""


@dataclass(frozen=True)
class Level:
    """Operating point of each frame of a batch, (B,) int64 each. `context` is the level of the layer conditioned on."""

    own: Tensor
    context: Tensor


@dataclass(frozen=True)
class Context:
    """What another layer has already told about these latents.

    `symbols` are its integers and enter the exact path; `latents` its float latents, for the means. (B, M, H, W) each.
    """

    symbols: Tensor
    latents: Tensor


@dataclass(frozen=True)
class Prediction:
    """What a reference frame says about the latents of a layer.

    Where nothing changed they are the reference's; elsewhere they are coded, with what the reference had there for a
    hint. No slice is told of later slices of the reference.

    Attributes:
        symbols: integers of the reference, (B, M, H, W).
        latents: what the latents are if nothing changed, (B, M, H, W).
        changed: (B, 1, H, W), bool.
    """

    symbols: Tensor
    latents: Tensor
    changed: Tensor

    @property
    def hyper_changed(self) -> Tensor:
        """Hyper latents that stand for a position that changed, (B, 1, ceil(H/4), ceil(W/4)), bool. The rest is 0."""
        height, width = self.changed.shape[-2:]
        padding = (0, -width % HYPER_STRIDE, 0, -height % HYPER_STRIDE)
        return F.max_pool2d(F.pad(self.changed.float(), padding), HYPER_STRIDE) > 0

    def completed(self, k: int, q: Tensor) -> Tensor:
        """Integers (B, w, H, W) of slice `k`, with the reference's where nothing changed."""
        width = q.shape[1]
        return torch.where(self.changed, q, self.symbols[:, k * width : (k + 1) * width])

    def difference(self, y: Tensor) -> Tensor:
        """What changed of latents `y`, (B, M, H, W): what their hyper latents tell of."""
        return (y - self.latents).mul_(self.changed)


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
        """Bits of every hyper latent, rounded or with noise in place of rounding; of the shape of z."""

    @abstractmethod
    def walk(
        self,
        z: Tensor,
        size: tuple[int, int],
        level: Level,
        context: Context | None,
        slices: int,
        visit: Visit,
        prediction: Prediction | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Go through the first `slices` slices, letting `visit` estimate, encode or decode each.

        Args:
            z: rounded hyper latents.
            size: height and width of the latents.
            prediction: of a predicted frame. `visit` is given table 0 for all that did not change.

        Returns:
            symbols and decoded latents, (B, slices * w, H, W) each.
        """

    @abstractmethod
    def bits(self, symbols: Tensor, spread: Tensor) -> Tensor:
        """Bits of every symbol of a slice, rounded or with noise in place of rounding; of their shape."""

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
