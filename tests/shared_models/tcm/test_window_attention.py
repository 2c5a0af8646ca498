"""Attention within windows, against attention written out position by position."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from shared_models.tcm.window_attention import WindowAttention

WINDOW = 4


def attention(shifted: bool) -> WindowAttention:
    torch.manual_seed(3)
    layer = WindowAttention(6, 2, WINDOW, shifted=shifted)
    torch.nn.init.normal_(layer.position_bias)
    return layer.double()


def written_out(layer: WindowAttention, x: Tensor) -> Tensor:
    """One map (H, W, C). Windows begin at multiples of 4, or half a window before."""
    height, width = x.shape[:2]
    heads, shift = layer.heads, layer.shift
    query, key, value = (t.reshape(height, width, heads, -1) for t in layer.qkv(x).chunk(3, -1))
    result = torch.zeros_like(x)
    for row, column in itertools.product(range(height), range(width)):
        fellows = [
            (i, j)
            for i, j in itertools.product(range(height), range(width))
            if (i + shift) // WINDOW == (row + shift) // WINDOW
            and (j + shift) // WINDOW == (column + shift) // WINDOW
        ]
        parts = []
        for head in range(heads):
            scores = torch.stack(
                [
                    query[row, column, head] @ key[i, j, head] / key.shape[-1] ** 0.5
                    + layer.position_bias[head, row - i + WINDOW - 1, column - j + WINDOW - 1]
                    for i, j in fellows
                ]
            )
            values = torch.stack([value[i, j, head] for i, j in fellows])
            parts.append(scores.softmax(0) @ values)
        result[row, column] = torch.cat(parts)
    merged: Tensor = layer.merge(result)
    return merged


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("size", [(8, 12), (4, 4), (1, 1), (3, 9), (6, 5)])
def test_any_size_is_as_if_written_out(shifted: bool, size: tuple[int, int]) -> None:
    layer = attention(shifted)
    x = torch.randn(2, *size, 6, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), torch.stack([written_out(layer, one) for one in x]))


def test_gradients_reach_everything() -> None:
    layer = attention(shifted=True)
    x = torch.randn(1, 6, 9, 6, dtype=torch.float64, requires_grad=True)
    layer(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in [x, *layer.parameters()])
