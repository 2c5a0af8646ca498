"""A stream made under one arithmetic decodes under any other.

That the integers agree is checked by the decoder itself: it holds them against the encoder's checksum and raises
`DesynchronisedError` if one differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

from shared_models import Codec, load_codec
from shared_models.evaluation.speed import pink_noise
from shared_models.fixed_point import FixedPointConv2d

LARGEST_DIFFERENCE = 3
"""Of two decoded pictures, in levels of 255: the float paths may round differently, in bfloat16 by a few levels."""


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def plain_layout(codec: Codec) -> Iterator[None]:
    """Every convolution computes in the contiguous layout in place of channels_last."""

    def contiguous(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return tuple(tensor.contiguous() for tensor in inputs)

    parts = [part for part in codec.layers.modules() if isinstance(part, nn.Conv2d | FixedPointConv2d)]
    hooks = [part.register_forward_pre_hook(contiguous) for part in parts]
    for part in parts:
        part.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for part in parts:
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


ARITHMETICS = {
    "default": lambda codec: threads(1),
    "two threads": lambda codec: threads(2),
    "oneDNN off": lambda codec: torch.backends.mkldnn.flags(enabled=False),
    "plain layout": plain_layout,
}


@pytest.mark.parametrize("encoding", ARITHMETICS)
@pytest.mark.parametrize("decoding", ARITHMETICS)
def test_streams_decode_under_every_arithmetic(float_codec: Codec, encoding: str, decoding: str) -> None:
    image = pink_noise(150, 210, seed=4)
    with ARITHMETICS[encoding](float_codec):
        frame = float_codec.encode(image)
        here = float_codec.decode_human(frame.machine, frame.enhancement)
    with ARITHMETICS[decoding](float_codec):
        there = float_codec.decode_human(frame.machine, frame.enhancement)
    assert np.abs(here.astype(int) - there).max() <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("quality", range(4))
def test_bfloat16_and_float32_codecs_read_each_other(float_codec: Codec, quality: int) -> None:
    half = load_codec("lite", device="cpu", dtype=torch.bfloat16)
    image = pink_noise(150, 210, seed=5)
    for encoder, decoder in ((half, float_codec), (float_codec, half)):
        frame = encoder.encode(image, quality=quality, machine_quality=quality)
        here = encoder.decode_human(frame.machine, frame.enhancement).astype(int)
        there = decoder.decode_human(frame.machine, frame.enhancement).astype(int)
        assert np.abs(here - there).mean() < 1.0
