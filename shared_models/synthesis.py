"""Synthesis transform g_s: latents to pixels, on the server. g_machine of eq. (4) and g_human of eq. (8)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared_models.blocks import DepthwiseBlock, FullPrecisionConv2d, FullPrecisionShuffle
from shared_models.config import LiteConfig, TransformConfig
from shared_models.transform import Transform


class Synthesis(Transform):
    """Latents at 1/16 to pixels.

    ::

        y (M, H/16, W/16) -- 1x1 -- shuffle 2 -- blocks at 1/8 -- 1x1 -- shuffle 8 -- x (3, H, W)
    """

    def __init__(self, config: LiteConfig, size: TransformConfig) -> None:
        super().__init__()
        self.stem = FullPrecisionConv2d(config.latents, 4 * size.width)
        self.blocks = nn.Sequential(*(DepthwiseBlock(size.width) for _ in range(size.blocks)))
        self.head = FullPrecisionShuffle(size.width, 3, config.patch)

    def forward(self, latents: Tensor) -> Tensor:
        """(B, M, h, w) float32 -> (B, 3, 16 h, 16 w) float32, not clamped."""
        return self.head(self.blocks(F.pixel_shuffle(self.stem(latents), 2)))

    def compute_in(self, dtype: torch.dtype) -> None:
        self.blocks.to(dtype)
