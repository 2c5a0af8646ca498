"""Self-attention within windows of a feature map, plain or shifted (Swin Transformer, Liu et al., ICCV 2021)."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

_POSITION_DEVIATION = 0.02


class WindowAttention(nn.Module):
    """Every position attends to those of its window, with a bias learnt for each head and relative position.

    A map that does not divide into whole windows is filled up below and to the right with positions that nobody sees;
    so any size works, and whole windows are as in the original.

    Args:
        width: channels in and out, a multiple of `head_width`.
        head_width: channels of one head.
        window: side of the windows.
        shifted: let windows begin half a window later; the first half windows join the last ones without seeing them.
    """

    def __init__(self, width: int, head_width: int, window: int, *, shifted: bool) -> None:
        super().__init__()
        self.heads = width // head_width
        self.window = window
        self.shift = window // 2 if shifted else 0
        self.qkv = nn.Linear(width, 3 * width)
        self.position_bias = nn.Parameter(torch.empty(self.heads, 2 * window - 1, 2 * window - 1))
        self.merge = nn.Linear(width, width)
        nn.init.normal_(self.position_bias, std=_POSITION_DEVIATION)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, width) -> (B, H, W, width)."""
        height, width = x.shape[1:3]
        side, shift = self.window, self.shift
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        if shift:
            x = x.roll((-shift, -shift), (1, 2))
        batch, padded_height, padded_width, channels = x.shape
        rows, columns = padded_height // side, padded_width // side
        windows = x.reshape(batch, rows, side, columns, side, channels).transpose(2, 3)
        qkv = self.qkv(windows.reshape(batch * rows * columns, side**2, channels))
        attended = self._attended(qkv, seams(height, width, side, shift), batch)
        merged = self.merge(attended)
        x = merged.reshape(batch, rows, columns, side, side, channels).transpose(2, 3)
        x = x.reshape(batch, padded_height, padded_width, channels)
        if shift:
            x = x.roll((shift, shift), (1, 2))
        return x[:, :height, :width]

    def multiply_accumulates(self, x: Tensor) -> int:
        """Those of scores and of weighted sums."""
        positions = math.prod(-(-side // self.window) * self.window for side in x.shape[1:3])
        return 2 * len(x) * positions * self.window**2 * x.shape[3]

    def _attended(self, qkv: Tensor, seams: Seams, batch: int) -> Tensor:
        """Queries, keys and values of all windows, (n, window**2, 3 * width), to what was attended to."""
        count, positions, channels = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
        split = qkv.reshape(count, positions, 3, self.heads, channels // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        bias = self._bias().to(qkv.dtype)[None]

        def attended(windows: Tensor | slice, bias: Tensor) -> Tensor:
            own = F.scaled_dot_product_attention(query[windows], key[windows], value[windows], bias)
            return own.transpose(1, 2).flatten(2)

        if not len(seams.windows):
            return attended(slice(None), bias)
        first = np.arange(batch)[:, None] * (count // batch)
        whole = torch.from_numpy((first + seams.whole_windows).ravel()).to(qkv.device)
        seamed = torch.from_numpy((first + seams.windows).ravel()).to(qkv.device)
        hidden = torch.from_numpy(seams.hidden).to(qkv.device).repeat(batch, 1, 1)[:, None]
        result = qkv.new_empty(count, positions, channels)
        result[whole] = attended(whole, bias)
        result[seamed] = attended(seamed, bias.masked_fill(hidden, -torch.inf))
        return result

    def _bias(self) -> Tensor:
        """Bias of every pair of positions, (heads, window**2, window**2)."""
        side = torch.arange(self.window, device=self.position_bias.device)
        row, column = side.repeat_interleave(self.window), side.repeat(self.window)
        reach = self.window - 1
        return self.position_bias[:, row[:, None] - row[None] + reach, column[:, None] - column[None] + reach]


class Seams:
    """Which windows hold positions that must not see each other.

    `windows` and `whole_windows` are the numbers of those that do and do not, in scan order; `hidden` (windows,
    positions, positions) tells the former's pairs.
    """

    def __init__(self, labels: NDArray[np.int64]) -> None:
        seamed = (labels != labels[:, :1]).any(1)
        self.windows = np.flatnonzero(seamed)
        self.whole_windows = np.flatnonzero(~seamed)
        self.hidden = labels[seamed][:, :, None] != labels[seamed][:, None, :]


@lru_cache(maxsize=64)
def seams(height: int, width: int, window: int, shift: int) -> Seams:
    """Those of a map of `height` x `width`, filled up to whole windows and then shifted."""
    row = _labels(height, window, shift)
    column = _labels(width, window, shift)
    labels = 4 * row[:, None] + column[None]
    grid = labels.reshape(len(row) // window, window, len(column) // window, window)
    return Seams(grid.transpose(0, 2, 1, 3).reshape(-1, window**2))


def _labels(length: int, window: int, shift: int) -> NDArray[np.int64]:
    """Along one axis: 1 for positions that the shift moved to the other end, 2 for filled-up ones, else 0."""
    padded = length + -length % window
    position = np.arange(padded)
    return np.roll(np.where(position >= length, 2, np.where(position < shift, 1, 0)), -shift)
