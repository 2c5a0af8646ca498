"""What both transforms are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE: Final = 0.1
"""Of LeakyReLU, below 0."""


Around = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]
"""Applies a convolution that looks at neighbours."""


def _within(convolution: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return convolution(x)


class DepthwiseBlock(nn.Module):
    """Depthwise-separable convolution and feed-forward net, each around a residual connection.

    ::

        x --+-- 1x1 -- LeakyReLU -- 3x3 depthwise -- 1x1 --+--+-- 1x1 (x2) -- LeakyReLU -- 1x1 --+-- y
            +---------------------------------------------+  +----------------------------------+

    After DCVC-RT's DepthConvBlock (arXiv 2502.20762), without gates: 6 w^2 + 9 w multiply-accumulates a position at
    width w. Both branches end in zeros, so that a new block is the identity and a trained transform can be grown
    without harm. The residual stream keeps the dtype of `x`; the branches compute in the dtype of the weights. Unless
    gradients are recorded, `x` is overwritten.

    Shapes: (B, width, H, W) -> (B, width, H, W).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spatial = nn.Sequential(
            nn.Conv2d(width, width, 1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(width, width, 3, padding=1, groups=width),
            nn.Conv2d(width, width, 1),
        )
        self.channel = nn.Sequential(
            nn.Conv2d(width, 2 * width, 1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(2 * width, width, 1),
        )
        for branch in (self.spatial, self.channel):
            last = branch[-1]
            assert isinstance(last, nn.Conv2d) and last.bias is not None
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, around: Around = _within) -> Tensor:
        """`around` applies the 3x3 convolution, for those who compute some positions alone."""
        compute = next(self.spatial.parameters()).dtype
        enter, leaky, spread, leave = self.spatial
        add = Tensor.add if torch.is_grad_enabled() else Tensor.add_
        x = add(x, leave(around(spread, leaky(enter(x.to(compute))))))
        return add(x, self.channel(x.to(compute)))


class FullPrecisionConv2d(nn.Conv2d):
    """Convolution of patches that do not overlap, 1x1 by default, which stays in float32 under autocast.

    The ways in and out of a transform carry large values. With a patch above 1 it is a pixel-unshuffle and a 1x1
    convolution in one step, and faster.
    """

    def __init__(self, inputs: int, outputs: int, patch: int = 1) -> None:
        super().__init__(inputs, outputs, kernel_size=patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class FullPrecisionShuffle(FullPrecisionConv2d):
    """1x1 convolution in float32, and a pixel-shuffle by `patch`.

    The channels come in the order in which their pixels lie in channels_last memory, so that shuffling moves rows of a
    patch and not single numbers.
    """

    def __init__(self, inputs: int, outputs: int, patch: int) -> None:
        super().__init__(inputs, outputs * patch**2)
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, patch * H, patch * W), in channels_last memory."""
        assert self.bias is not None
        patch, (frames, inputs, height, width) = self.patch, x.shape
        weight = self.weight.view(-1, patch**2, inputs, 1, 1).transpose(0, 1).flatten(0, 1)
        bias = self.bias.view(-1, patch**2).t().flatten()
        with torch.autocast(x.device.type, enabled=False):
            pixels = F.conv2d(x.float(), weight, bias).permute(0, 2, 3, 1)
        rows = pixels.reshape(frames, height, width, patch, -1).transpose(2, 3)
        return rows.reshape(frames, patch * height, patch * width, -1).permute(0, 3, 1, 2)
