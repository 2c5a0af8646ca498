"""Analysis transform g_a: pixels to latents, on the edge."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shared_models.blocks import DepthwiseBlock, FullPrecisionConv2d
from shared_models.config import LiteConfig, TransformConfig
from shared_models.eight_bit import EightBitBlocks, Ranges
from shared_models.transform import Transform


class Analysis(Transform):
    """Pixels in [0, 1] to latents at 1/16.

    ::

        x (3, H, W) -- unshuffle 8 -- 1x1 -- blocks at 1/8 -- unshuffle 2 -- 1x1 -- y (M, H/16, W/16)

    The first and the last convolution stay in float32; the blocks may run in bfloat16 or in 8 bits, since nothing on
    the other side has to repeat them.
    """

    def __init__(self, config: LiteConfig, size: TransformConfig) -> None:
        super().__init__()
        self.stem = FullPrecisionConv2d(3, size.width, patch=config.patch)
        self.blocks: nn.Sequential | EightBitBlocks = nn.Sequential(
            *(DepthwiseBlock(size.width) for _ in range(size.blocks))
        )
        self.head = FullPrecisionConv2d(size.width, config.latents, patch=2)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) float32 with H and W multiples of 16 -> (B, M, H/16, W/16) float32."""
        return self.head(self.blocks(self.stem(pixels)))

    def compute_in(self, dtype: torch.dtype) -> None:
        self.blocks.to(dtype)

    def compute_in_eight_bits(self, ranges: Ranges) -> None:
        """Do the bulk of the arithmetic in 8-bit integers; once, from float32."""
        assert isinstance(self.blocks, nn.Sequential)
        self.blocks = EightBitBlocks(self.blocks, ranges)
