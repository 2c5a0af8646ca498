"""Transformer block over windows."""

from __future__ import annotations

from torch import Tensor, nn

from shared_models.tcm.window_attention import WindowAttention

_EXPANSION = 4


class TransformerBlock(nn.Module):
    """Attention within windows and a feed-forward net, each behind a layer norm and around a residual connection.

    Shapes: (B, H, W, width) -> (B, H, W, width).
    """

    def __init__(self, width: int, head_width: int, window: int, *, shifted: bool) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = WindowAttention(width, head_width, window, shifted=shifted)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, _EXPANSION * width),
            nn.GELU(),
            nn.Linear(_EXPANSION * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.feed_forward(self.feed_forward_norm(x))
