"""A stream made under one arithmetic decodes under any other.

That the integers agree is checked by the decoder itself: it holds them against the encoder's checksum and raises
`DesynchronisedError` if one differs. `tests/gpu` does the same between the CPU and CUDA.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters

from shared_models import Codec, EncodedFrame, load_codec
from shared_models.evaluation.speed import pink_noise
from tests.shared_models.arithmetic import (
    compiled,
    double_means,
    entropy_models,
    floats_alone,
    needs_bytes,
    plain_layout,
    threads,
)
from tests.shared_models.prediction import SUNSET, Change, coded_key, predicted_frame

Picture = np.ndarray
LARGEST_DIFFERENCE = 3
"""Of two decoded pictures, in levels of 255: the float paths may round differently, in bfloat16 by a few levels."""
LARGEST_MEAN_DIFFERENCE = 1.0
IMAGE = pink_noise(150, 210, seed=4)
KEY, MOVED = pink_noise(80, 130, seed=6), pink_noise(80, 130, seed=7)
ARITHMETICS: dict[str, Callable[[Codec], AbstractContextManager[None]]] = {
    "default": lambda codec: threads(1),
    "two threads": lambda codec: threads(2),
    "oneDNN off": lambda codec: torch.backends.mkldnn.flags(enabled=False),
    "plain layout": plain_layout,
    "float64 means": double_means,
    "floats alone": floats_alone,
    "bfloat16": lambda codec: nullcontext(),
}


@pytest.fixture(scope="session")
def half_codec() -> Codec:
    """With bfloat16 in transforms and means, whether or not this processor computes it natively."""
    return load_codec("lite", device="cpu", dtype=torch.bfloat16)


@pytest.fixture(scope="session")
def coded(float_codec: Codec, half_codec: Codec) -> dict[str, tuple[EncodedFrame, Picture]]:
    """A frame encoded under every arithmetic, and as it decodes under the same."""
    frames = {}
    for name, arithmetic in ARITHMETICS.items():
        codec = half_codec if name == "bfloat16" else float_codec
        with arithmetic(codec):
            frame = codec.encode(IMAGE)
            frames[name] = (frame, codec.decode_human(frame.machine, frame.enhancement))
    return frames


@pytest.mark.parametrize("encoding", ARITHMETICS)
@pytest.mark.parametrize("decoding", ARITHMETICS)
def test_streams_decode_under_every_arithmetic(
    float_codec: Codec,
    half_codec: Codec,
    coded: dict[str, tuple[EncodedFrame, Picture]],
    encoding: str,
    decoding: str,
) -> None:
    frame, here = coded[encoding]
    codec = half_codec if decoding == "bfloat16" else float_codec
    with ARITHMETICS[decoding](codec):
        there = codec.decode_human(frame.machine, frame.enhancement)
    difference = np.abs(here.astype(int) - there)
    assert difference.mean() < LARGEST_MEAN_DIFFERENCE
    if "bfloat16" not in (encoding, decoding):
        assert difference.max() <= LARGEST_DIFFERENCE


@dataclass(frozen=True)
class Group:
    """A key frame, a frame predicted from it, and the human view of that."""

    key: EncodedFrame
    frame: EncodedFrame
    view: Picture


def predicted_view(codec: Codec, key: EncodedFrame, frame: EncodedFrame) -> Picture:
    reference = codec.reference(key.machine, key.enhancement)
    return codec.decode_human(frame.machine, frame.enhancement, reference=reference)


@pytest.fixture(scope="session")
def half_predicting_codec(predicting_weights: Path) -> Codec:
    return load_codec("lite", weights=predicting_weights, device="cpu", dtype=torch.bfloat16)


@pytest.fixture(scope="session")
def groups(predicting_codec: Codec, half_predicting_codec: Codec) -> dict[str, Group]:
    """A key frame and one that is predicted from it, coded under every arithmetic."""
    coded = {}
    for name, arithmetic in ARITHMETICS.items():
        codec = half_predicting_codec if name == "bfloat16" else predicting_codec
        with arithmetic(codec):
            key = coded_key(codec, KEY)
            frame = predicted_frame(codec, key.reference, MOVED, Change.of(MOVED, 0.4, light=SUNSET))
            coded[name] = Group(key.frame, frame, predicted_view(codec, key.frame, frame))
    return coded


@pytest.mark.parametrize("encoding", ARITHMETICS)
@pytest.mark.parametrize("decoding", ARITHMETICS)
def test_predicted_frames_decode_under_every_arithmetic(
    predicting_codec: Codec,
    half_predicting_codec: Codec,
    groups: dict[str, Group],
    encoding: str,
    decoding: str,
) -> None:
    group = groups[encoding]
    codec = half_predicting_codec if decoding == "bfloat16" else predicting_codec
    with ARITHMETICS[decoding](codec):
        there = predicted_view(codec, group.key, group.frame)
    difference = np.abs(group.view.astype(int) - there)
    assert difference.mean() < LARGEST_MEAN_DIFFERENCE
    if "bfloat16" not in (encoding, decoding):
        assert difference.max() <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("coding", ["default", "bfloat16"])
def test_a_reference_that_the_encoder_kept_is_what_its_decoder_has(
    predicting_codec: Codec, half_predicting_codec: Codec, coding: str
) -> None:
    """Also if the key frame itself was decoded under another arithmetic: the streams are the same."""
    codec = half_predicting_codec if coding == "bfloat16" else predicting_codec
    key = coded_key(codec, KEY)
    decoded = predicting_codec.reference(key.frame.machine, key.frame.enhancement)
    assert decoded.name == key.reference.name
    assert decoded.enhancement is not None
    assert key.reference.enhancement is not None
    assert torch.equal(decoded.machine.symbols, key.reference.machine.symbols)
    assert torch.equal(decoded.enhancement.symbols, key.reference.enhancement.symbols)


@pytest.mark.parametrize("quality", range(4))
def test_bfloat16_and_float32_codecs_read_each_other_at_every_quality(
    float_codec: Codec, half_codec: Codec, quality: int
) -> None:
    image = pink_noise(80, 130, seed=5)
    for encoder, decoder in ((half_codec, float_codec), (float_codec, half_codec)):
        frame = encoder.encode(image, quality=quality, machine_quality=quality)
        here = encoder.decode_human(frame.machine, frame.enhancement).astype(int)
        there = decoder.decode_human(frame.machine, frame.enhancement).astype(int)
        assert np.abs(here - there).mean() < LARGEST_MEAN_DIFFERENCE


@needs_bytes
@pytest.mark.parametrize("decoding", ARITHMETICS)
def test_what_was_analysed_in_8_bits_decodes_under_every_arithmetic(
    predicting_weights: Path, predicting_codec: Codec, half_predicting_codec: Codec, decoding: str
) -> None:
    """A key frame, and a frame that is predicted from it."""
    encoder = load_codec(weights=predicting_weights, device="cpu", dtype=torch.float32, eight_bit=True)
    assert encoder.eight_bit
    key = coded_key(encoder, KEY)
    frame = predicted_frame(encoder, key.reference, MOVED, Change.of(MOVED, 0.4, light=SUNSET))
    here = predicted_view(encoder, key.frame, frame)
    codec = half_predicting_codec if decoding == "bfloat16" else predicting_codec
    with ARITHMETICS[decoding](codec):
        there = predicted_view(codec, key.frame, frame)
    assert np.abs(here.astype(int) - there).mean() < LARGEST_MEAN_DIFFERENCE


def test_float64_means_are_computed_in_float64(float_codec: Codec) -> None:
    seen: list[torch.dtype] = []
    with double_means(float_codec):
        net = next(entropy_models(float_codec)).mean_nets[1].net[-1]
        hook = net.register_forward_hook(lambda _, inputs, output: seen.append(output.dtype))
        try:
            float_codec.encode(pink_noise(32, 32))
        finally:
            hook.remove()
    assert seen == [torch.float64]


@pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch.compile needs a C++ compiler, g++, and there is none"
)
def test_compiled_and_eager_nets_read_each_other(predicting_codec: Codec, groups: dict[str, Group]) -> None:
    """Of a key frame and of one that is predicted from it."""
    codec = predicting_codec

    def both_views(key: bytes, frame: bytes) -> Picture:
        machine = codec.decode_machine(frame, codec.reference(key))
        return np.stack([codec.decode_machine(key), machine]).astype(int)

    group = groups["default"]
    here = both_views(group.key.machine, group.frame.machine)
    with compiled(codec):
        graphs = counters["stats"]["unique_graphs"]
        there = both_views(group.key.machine, group.frame.machine)
        # Nets of equal shape share one.
        assert counters["stats"]["unique_graphs"] >= graphs + 4
        key = coded_key(codec, KEY)
        again = predicted_frame(codec, key.reference, MOVED, Change.of(MOVED, 0.4, light=SUNSET))
    assert np.abs(here - there).max() <= LARGEST_DIFFERENCE
    assert np.abs(here - both_views(key.frame.machine, again.machine)).max() <= LARGEST_DIFFERENCE
