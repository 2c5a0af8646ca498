"""Hyperprior of LIC-TCM: z, and what it tells of the latents' means and spreads."""

from __future__ import annotations

from torch import Tensor, nn

from shared_models.config import PaperConfig
from shared_models.tcm.compressai_layers import (
    ResidualBlockUpsample,
    ResidualBlockWithStride,
    conv3x3,
    subpel_conv3x3,
)
from shared_models.tcm.mixed_block import mixed_blocks


class MixedHyperAnalysis(nn.Module):
    """h_a: latents (B, slices * w, H, W) to z, (B, Z, ceil(H/4), ceil(W/4)), not rounded."""

    def __init__(self, config: PaperConfig, slices: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            ResidualBlockWithStride(slices * config.slice_width, 2 * config.width),
            *mixed_blocks(config.stage_blocks, config.width, config.hyper_head_width, config.hyper_window),
            conv3x3(2 * config.width, config.hyper_latents, stride=2),
        )

    def forward(self, y: Tensor) -> Tensor:
        return self.net(y)


class MixedHyperSynthesis(nn.Module):
    """h_mean_s or h_scale_s: z^ (B, Z, h, w) to what is known of the latents, (B, slices * w, 4 h, 4 w)."""

    def __init__(self, config: PaperConfig, slices: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            ResidualBlockUpsample(config.hyper_latents, 2 * config.width),
            *mixed_blocks(config.stage_blocks, config.width, config.hyper_head_width, config.hyper_window),
            subpel_conv3x3(2 * config.width, slices * config.slice_width, 2),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z)
