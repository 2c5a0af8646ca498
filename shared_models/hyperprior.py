"""Hyperprior (Ballé et al., ICLR 2018): a second, small latent z that tells how the first one is distributed.

::

    y -- HyperAnalysis -- z (1/64) --+-- HyperScale (fixed point) -- features for the sigma indices (1/16)
                                     +-- HyperMean (float) ---------- features for the means (1/16)
"""

from __future__ import annotations

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from shared_models.config import LiteConfig
from shared_models.fixed_point import FixedPointConv2d, as_activation, requantised_relu

_SLOPE = 0.1
_START_GAIN = 4.0


class UnshuffledConv2d(nn.Conv2d):
    """Pixel-unshuffle by 2 and a 1x1 convolution, in one step."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(4 * inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.view(self.out_channels, -1, 2, 2), self.bias, stride=2)


class HyperAnalysis(nn.Module):
    """Latents (B, M, H, W), H and W multiples of 4, of about unit variance -> hyper latents (B, Z, H/4, W/4).

    Computes in the dtype of its weights.
    """

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        width = config.hyper_width
        last = UnshuffledConv2d(width, config.hyper_latents)
        last.weight.data *= _START_GAIN
        # By the names under which weights are stored.
        self.net = nn.Sequential(
            OrderedDict(
                {
                    "0": nn.Conv2d(config.latents, width, 1),
                    "1": nn.LeakyReLU(_SLOPE, inplace=True),
                    "3": UnshuffledConv2d(width, width),
                    "4": nn.LeakyReLU(_SLOPE, inplace=True),
                    "6": last,
                }
            )
        )

    def forward(self, y: Tensor) -> Tensor:
        return self.net(y.to(next(self.net.parameters()).dtype)).float()


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
    """Integers z (B, Z, H/4, W/4) -> float features (B, F, H, W), in the dtype of its weights."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__()
        width = config.hyper_width
        self.net = nn.Sequential(
            nn.Conv2d(config.hyper_latents, 4 * width, 1),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.PixelShuffle(2),
            nn.Conv2d(width, width, 3, padding=1, groups=width),
            nn.Conv2d(width, 4 * config.features, 1),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.PixelShuffle(2),
            nn.Conv2d(config.features, config.features, 3, padding=1, groups=config.features),
            nn.LeakyReLU(_SLOPE, inplace=True),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z.to(next(self.net.parameters()).dtype))
