"""Entropy model of LIC-TCM: hyperprior and channel slices, with attention over what each slice is told."""

from __future__ import annotations

import itertools
import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared_models.config import PaperConfig
from shared_models.entropy_model import Context, EntropyModel, Level, Prediction, Visit
from shared_models.tcm.compressai_layers import EntropyBottleneck, LowerBoundFunction, conv3x3
from shared_models.tcm.hyperprior import MixedHyperAnalysis, MixedHyperSynthesis
from shared_models.tcm.support_attention import SupportAttention

SMALLEST_SIGMA: Final = 0.11
LARGEST_SIGMA: Final = 256.0
SIGMAS: Final = 64
"""Tables of the latents, evenly spaced in ln(sigma) as in CompressAI."""
_SMALLEST_LIKELIHOOD: Final = 1e-9
_LARGEST_CORRECTION: Final = 0.5


class SliceNet(nn.Sequential):
    """Means, spreads or corrections of one slice."""

    def __init__(self, config: PaperConfig, inputs: int) -> None:
        wide, narrow = config.slice_net_widths
        super().__init__(
            conv3x3(inputs, wide),
            nn.GELU(),
            conv3x3(wide, narrow),
            nn.GELU(),
            conv3x3(narrow, config.slice_width),
        )


class MixedEntropyModel(EntropyModel):
    """A slice's spread is its sigma. Once coded, it is corrected by a prediction of its rounding error (LRP).

    ::

        z^ -- HyperSynthesis --+-- attention -- slice net -- mean ---+
                               |        +-- correction ---------+    |
        y^ of earlier slices --+                                v    v
                               +-- attention -- slice net --> sigma, q --> y^ = q + mean + correction

    Everything from z^ to sigma is float, so a stream can be decoded only where all sigmas come out on the same side of
    the tables' boundaries as the encoder's. `settle` makes that all but certain by computing them in float64. See
    docs/paper-profile.md.

    Args:
        config: the profile.
        slices: 5, or the m of an enhancement layer.
        first_hyper_table: number of the table of z's first channel.
    """

    def __init__(self, config: PaperConfig, slices: int, first_hyper_table: int) -> None:
        super().__init__(slices, config.slice_width)
        latents = slices * config.slice_width
        self.first_hyper_table = first_hyper_table
        self.hyper_analysis = MixedHyperAnalysis(config, slices)
        self.hyper_mean = MixedHyperSynthesis(config, slices)
        self.hyper_spread = MixedHyperSynthesis(config, slices)
        self.hyper_distribution = EntropyBottleneck(config.hyper_latents)
        seen = [latents + config.slice_width * k for k in range(slices)]
        self.mean_attention = nn.ModuleList(SupportAttention(config, n) for n in seen)
        self.spread_attention = nn.ModuleList(SupportAttention(config, n) for n in seen)
        self.mean_nets = nn.ModuleList(SliceNet(config, n) for n in seen)
        self.spread_nets = nn.ModuleList(SliceNet(config, n) for n in seen)
        self.corrections = nn.ModuleList(SliceNet(config, n + config.slice_width) for n in seen)
        self.boundaries: Tensor
        """Sigmas above which the next table is nearer. CompressAI always takes the wider one, which costs more."""
        self.register_buffer("boundaries", torch.tensor(_table_boundaries()), persistent=False)

    @property
    def largest_index(self) -> int:
        return self.first_hyper_table + self.hyper_distribution.channels - 1

    def gain(self, level: Level) -> Tensor:
        return torch.ones(len(level.own), self.slices * self.slice_width, 1, 1, device=level.own.device)

    def hyper_latents(self, y: Tensor, level: Level) -> Tensor:
        return self.hyper_analysis(y) - self._medians()

    def hyper_index(self, level: Level) -> Tensor:
        numbers = torch.arange(self.first_hyper_table, self.largest_index + 1, device=level.own.device)
        return numbers.float().expand(len(level.own), -1)[:, :, None, None]

    def hyper_bits(self, z: Tensor, level: Level) -> Tensor:
        values = (z + self._medians()).transpose(0, 1)
        likelihood, _, _ = self.hyper_distribution._likelihood(values.flatten(1)[:, None])
        bounded = self.hyper_distribution.likelihood_lower_bound(likelihood)
        return -torch.log2(bounded).reshape(values.shape).transpose(0, 1)

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
        if context is not None or prediction is not None:
            raise ValueError("the paper's layers are not conditioned on anything")
        height, width = size
        decoded_z = (z + self._medians()).to(self.boundaries.dtype)
        known_means = [self.hyper_mean(decoded_z)[..., :height, :width]]
        known_spreads = [self.hyper_spread(decoded_z)[..., :height, :width]]
        symbols: list[Tensor] = []
        latents: list[Tensor] = []
        for k in range(slices):
            support = self.mean_attention[k](torch.cat(known_means + latents, 1))
            mean = self.mean_nets[k](support)
            spread = self.spread_nets[k](self.spread_attention[k](torch.cat(known_spreads + latents, 1)))
            q = visit(k, spread, mean)
            latent = q + mean
            correction = self.corrections[k](torch.cat((support, latent), 1))
            symbols.append(q)
            latents.append(latent + _LARGEST_CORRECTION * torch.tanh(correction))
        return torch.cat(symbols, 1).float(), torch.cat(latents, 1).float()

    def bits(self, symbols: Tensor, spread: Tensor) -> Tensor:
        scale = -1.0 / (math.sqrt(2.0) * _bounded(spread, SMALLEST_SIGMA))
        reach = symbols.abs()
        likelihood = 0.5 * (torch.erfc((0.5 - reach) * scale) - torch.erfc((-0.5 - reach) * scale))
        return -torch.log2(_bounded(likelihood, _SMALLEST_LIKELIHOOD))

    def index(self, spread: Tensor) -> Tensor:
        return 1.0 + torch.bucketize(spread.contiguous(), self.boundaries).float()

    def settle(self, dtype: torch.dtype) -> None:
        for name, part in self.named_children():
            if name not in ("hyper_analysis", "hyper_distribution"):
                part.to(torch.float64)
                for convolution in (c for c in part.modules() if isinstance(c, nn.Conv2d)):
                    convolution.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.boundaries = self.boundaries.double()

    @torch.no_grad()
    def hyper_masses(self, reach: int) -> NDArray[np.float64]:
        """Probability of every channel's integers ``-reach .. reach`` around the median, (Z, 2 * reach + 1)."""
        double = EntropyBottleneck(self.hyper_distribution.channels).double()
        double.load_state_dict(self.hyper_distribution.state_dict())
        integers = torch.arange(-reach, reach + 1, dtype=torch.float64)
        likelihood, _, _ = double._likelihood(double.quantiles[:, :, 1:2] + integers)
        return likelihood[:, 0].numpy()

    def _medians(self) -> Tensor:
        return self.hyper_distribution.quantiles[:, 0, 1].detach()[:, None, None]


def table_sigmas() -> list[float]:
    """Standard deviation of every table of the latents, rising."""
    step = math.log(LARGEST_SIGMA / SMALLEST_SIGMA) / (SIGMAS - 1)
    return [SMALLEST_SIGMA * math.exp(step * number) for number in range(SIGMAS)]


def _table_boundaries() -> list[float]:
    sigmas = table_sigmas()
    return [math.sqrt(lower * upper) for lower, upper in itertools.pairwise(sigmas)]


def _bounded(x: Tensor, bound: float) -> Tensor:
    """Maximum with a constant, whose gradient vanishes only where descent would lead further below it."""
    return LowerBoundFunction.apply(x, x.new_tensor(bound))
