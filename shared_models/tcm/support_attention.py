"""Attention over what a slice is told: the hyperprior's features and the slices before."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shared_models.config import PaperConfig
from shared_models.tcm.compressai_layers import AttentionBlock
from shared_models.tcm.transformer import TransformerBlock


class SupportAttention(nn.Module):
    """Features gated by what transformer blocks see around them (Liu et al., CVPR 2023, section 3.3).

    ::

        x -- 1x1 --+-- residual units ------------------------------ * --+-- 1x1 -- y
                   +-- transformer blocks -- residual units -- sigmoid   |
                   +-----------------------------------------------------+

    The residual units are those of the attention module of Cheng et al. (CVPR 2020).

    Shapes: (B, channels, H, W) -> (B, channels, H, W).
    """

    def __init__(self, config: PaperConfig, channels: int) -> None:
        super().__init__()
        width = config.support_width
        units = AttentionBlock(width)
        self.narrow = nn.Conv2d(channels, width, 1)
        self.around = nn.Sequential(
            *(
                TransformerBlock(width, config.support_head_width, config.window, shifted=shifted)
                for shifted in (False, True)
            )
        )
        self.features, self.gate = units.conv_a, units.conv_b
        self.widen = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.narrow(x)
        around = self.around(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.widen(x + self.features(x) * torch.sigmoid(self.gate(around)))
