"""Hyperprior (Ballé et al., ICLR 2018): a second, small latent z that tells how the first one is distributed.

::

    y -- HyperAnalysis -- z (1/64) --+-- HyperScale (fixed point) -- features for the sigma indices (1/16)
                                     +-- HyperMean (float) ---------- features for the means (1/16)
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from shared_models.config import LiteConfig
from shared_models.fixed_point import FixedPointConv2d, as_activation, requantised_relu

_SLOPE = 0.1
_START_GAIN = 4.0


class HyperAnalysis(nn.Module):
    """Latents (B, M, H, W), H and W multiples of 4, of about unit variance -> hyper latents (B, Z, H/4, W/4)."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        width = config.hyper_width
        self.net = nn.Sequential(
            nn.Conv2d(config.latents, width, 1),
            nn.LeakyReLU(_SLOPE),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * width, width, 1),
            nn.LeakyReLU(_SLOPE),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * width, config.hyper_latents, 1),
        )
        last = self.net[-1]
        assert isinstance(last, nn.Conv2d)
        last.weight.data *= _START_GAIN

    def forward(self, y: Tensor) -> Tensor:
        return self.net(y)


class HyperScale(nn.Module):
    """Integers z (B, Z, H/4, W/4) -> features on the activation grid (B, F, H, W). The same bits everywhere."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        width = config.hyper_width
        self.coarse = FixedPointConv2d(config.hyper_latents, 4 * width)
        self.spread = FixedPointConv2d(width, width, kernel=3, groups=width)
        self.fine = FixedPointConv2d(width, 4 * config.features)
        self.smooth = FixedPointConv2d(config.features, config.features, kernel=3, groups=config.features)

    def forward(self, z: Tensor) -> Tensor:
        x = F.pixel_shuffle(requantised_relu(self.coarse(as_activation(z))), 2)
        x = requantised_relu(self.spread(x))
        x = F.pixel_shuffle(requantised_relu(self.fine(x)), 2)
        return requantised_relu(self.smooth(x))


class HyperMean(nn.Module):
    """Integers z (B, Z, H/4, W/4) -> float features (B, F, H, W)."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        width = config.hyper_width
        self.net = nn.Sequential(
            nn.Conv2d(config.hyper_latents, 4 * width, 1),
            nn.LeakyReLU(_SLOPE),
            nn.PixelShuffle(2),
            nn.Conv2d(width, width, 3, padding=1, groups=width),
            nn.Conv2d(width, 4 * config.features, 1),
            nn.LeakyReLU(_SLOPE),
            nn.PixelShuffle(2),
            nn.Conv2d(config.features, config.features, 3, padding=1, groups=config.features),
            nn.LeakyReLU(_SLOPE),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)
