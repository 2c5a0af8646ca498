"""Start of the transforms: the Karhunen-Loève transform of the photos, in two steps.

The first step diagonalises 8x8 colour blocks, the second the 2x2 neighbourhoods of what the first gives. With every
residual branch at zero an analysis begins as this orthonormal transform and a synthesis as its transpose, that is as a
transform codec better than a DCT; training only adds to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from shared_models.analysis import Analysis
from shared_models.config import LiteConfig
from shared_models.synthesis import Synthesis


@dataclass(frozen=True)
class KarhunenLoeve:
    """`blocks` (3 P^2, 3 P^2) and `neighbourhoods` (12 P^2, M), orthonormal columns; `mean` (3 P^2,) of the blocks."""

    mean: Tensor
    blocks: Tensor
    neighbourhoods: Tensor
    step: float

    @classmethod
    def of(cls, pixels: Tensor, config: LiteConfig) -> KarhunenLoeve:
        """Measure it on crops (N, 3, H, W).

        The unit of the latents is the uniform quantiser step that is optimal at high rate for the profile's reference
        lambda: ``step**2 = 18 / (lambda * 255**2 * ln 2)``.
        """
        samples = F.pixel_unshuffle(pixels, config.patch)
        mean, blocks = _principal(samples, samples.shape[1])
        features = torch.einsum("nchw,cf->nfhw", samples - mean[:, None, None], blocks)
        _, neighbourhoods = _principal(F.pixel_unshuffle(features, 2), config.latents)
        step = math.sqrt(18.0 / (config.reference_lambda * 255.0**2 * math.log(2.0)))
        return cls(mean, blocks, neighbourhoods, step)

    @torch.no_grad()
    def start_analysis(self, analysis: Analysis) -> None:
        """Make `analysis` the transform, cut to its width."""
        width = analysis.stem.out_channels
        basis = self.blocks[:, :width]
        analysis.stem.weight.copy_(basis.T.reshape_as(analysis.stem.weight))
        _bias(analysis.stem).copy_(-self.mean @ basis)
        analysis.head.weight.copy_(
            self.neighbourhoods[: 4 * width].T.reshape_as(analysis.head.weight) / self.step
        )
        _bias(analysis.head).zero_()

    @torch.no_grad()
    def start_synthesis(self, synthesis: Synthesis) -> None:
        """Make `synthesis` the transpose, cut to its width."""
        width = synthesis.head.in_channels
        synthesis.stem.weight.copy_(self.neighbourhoods[: 4 * width, :, None, None] * self.step)
        _bias(synthesis.stem).zero_()
        synthesis.head.weight.copy_(self.blocks[:, :width, None, None])
        _bias(synthesis.head).copy_(self.mean)


def _principal(samples: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean (C,) and the `count` principal directions (C, count) of (N, C, H, W) samples, largest variance first."""
    flat = samples.permute(0, 2, 3, 1).reshape(-1, samples.shape[1])
    mean = flat.mean(0)
    centred = flat - mean
    covariance = (centred.T @ centred).double() / len(flat)
    _, vectors = torch.linalg.eigh(covariance)
    return mean, vectors.flip(1)[:, :count].float().contiguous()


def _bias(convolution: torch.nn.Conv2d) -> Tensor:
    assert convolution.bias is not None
    return convolution.bias
