"""What LIC-TCM is named after: a block half transformer, half convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shared_models.tcm.compressai_layers import ResidualBlock
from shared_models.tcm.transformer import TransformerBlock


class MixedBlock(nn.Module):
    """Local features by convolution, further ones by attention (Liu et al., CVPR 2023, section 3.2).

    ::

        x --+-- 1x1 --+-- residual block, itself around a residual connection --+-- 1x1 --+-- y
            |         +-- transformer block -----------------------------------+         |
            +----------------------------------------------------------------------------+

    Shapes: (B, 2 * width, H, W) -> (B, 2 * width, H, W).
    """

    def __init__(self, width: int, head_width: int, window: int, *, shifted: bool) -> None:
        super().__init__()
        self.divide = nn.Conv2d(2 * width, 2 * width, 1)
        self.convolution = ResidualBlock(width, width)
        self.transformer = TransformerBlock(width, head_width, window, shifted=shifted)
        self.unite = nn.Conv2d(2 * width, 2 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        near, far = self.divide(x).chunk(2, dim=1)
        near = near + self.convolution(near)
        far = self.transformer(far.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return x + self.unite(torch.cat((near, far), 1))


def mixed_blocks(count: int, width: int, head_width: int, window: int) -> list[nn.Module]:
    """`count` blocks in a row; every other one's windows are shifted."""
    return [MixedBlock(width, head_width, window, shifted=bool(k % 2)) for k in range(count)]
