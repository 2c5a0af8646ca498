from __future__ import annotations

import torch
import torch.nn.functional as F

from shared_models.blocks import FullPrecisionShuffle


def test_a_shuffle_by_rows_is_a_convolution_and_a_pixel_shuffle() -> None:
    layer = FullPrecisionShuffle(6, 3, 4)
    for memory in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 6, 5, 7).to(memory_format=memory)
        pixels = layer(x)
        expected = F.pixel_shuffle(F.conv2d(x, layer.weight, layer.bias), 4)
        torch.testing.assert_close(pixels, expected)
        assert pixels.is_contiguous(memory_format=torch.channels_last)


def test_a_shuffle_stays_in_float32_under_autocast() -> None:
    layer = FullPrecisionShuffle(6, 3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        pixels = layer(torch.randn(1, 6, 5, 7).bfloat16())
    assert pixels.dtype == torch.float32
