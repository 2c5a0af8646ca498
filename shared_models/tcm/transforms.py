"""Analysis g_a and synthesis g_s of LIC-TCM."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shared_models.config import PaperConfig
from shared_models.tcm.compressai_layers import (
    ResidualBlockUpsample,
    ResidualBlockWithStride,
    conv3x3,
    subpel_conv3x3,
)
from shared_models.tcm.mixed_block import mixed_blocks
from shared_models.transform import Transform


class _MixedTransform(Transform):
    """A row of blocks whose convolutions, linear maps and attention may compute in another dtype."""

    net: nn.Sequential

    def __init__(self) -> None:
        super().__init__()
        self._dtype = torch.float32

    def forward(self, x: Tensor) -> Tensor:
        # On the CPU, torch 2.13 writes beyond its buffers when it differentiates a 1x1 convolution of stride 2 whose
        # input has 3 channels in channels_last order.
        x = x.contiguous()
        with torch.autocast(x.device.type, self._dtype, enabled=self._dtype != torch.float32):
            return self.net(x).float()

    def compute_in(self, dtype: torch.dtype) -> None:
        self._dtype = dtype


class MixedAnalysis(_MixedTransform):
    """Pixels in [0, 1], (B, 3, H, W) with H and W multiples of 16, to y, (B, slices * w, H/16, W/16).

    ::

        x -- down -- blocks at 1/2 -- down -- blocks at 1/4 -- down -- blocks at 1/8 -- 3x3 stride 2 -- y

    Args:
        config: the profile.
        slices: 5, or the m of an enhancement layer.
    """

    def __init__(self, config: PaperConfig, slices: int) -> None:
        super().__init__()
        inner = 2 * config.width
        parts: list[nn.Module] = [ResidualBlockWithStride(3, inner)]
        for stage, head_width in enumerate(config.head_widths):
            parts += mixed_blocks(config.stage_blocks, config.width, head_width, config.window)
            last = stage == len(config.head_widths) - 1
            parts.append(
                conv3x3(inner, slices * config.slice_width, stride=2)
                if last
                else ResidualBlockWithStride(inner, inner)
            )
        self.net = nn.Sequential(*parts)


class MixedSynthesis(_MixedTransform):
    """The way back, always from all n slices: y^, (B, M, h, w), to pixels, (B, 3, 16 h, 16 w), not clamped."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        inner = 2 * config.width
        parts: list[nn.Module] = [ResidualBlockUpsample(config.latents, inner)]
        for stage, head_width in enumerate(reversed(config.head_widths)):
            parts += mixed_blocks(config.stage_blocks, config.width, head_width, config.window)
            last = stage == len(config.head_widths) - 1
            parts.append(subpel_conv3x3(inner, 3, 2) if last else ResidualBlockUpsample(inner, inner))
        self.net = nn.Sequential(*parts)
