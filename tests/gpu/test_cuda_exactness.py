"""The CPU decodes what CUDA wrote, and the other way round: the decoder itself compares all integers' checksums."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch

from shared_models import Codec, EncodedFrame
from shared_models.evaluation.speed import pink_noise
from tests.gpu.conftest import DTYPES
from tests.shared_models.arithmetic import double_means, plain_layout
from tests.shared_models.golden.make import read_predicted_vectors, read_vectors
from tests.shared_models.prediction import SUNSET, Change, coded_key, predicted_frame

LARGEST_MEAN_DIFFERENCE = 1.0
"""Of two decoded pictures, in levels of 255: the float paths round differently."""


@contextmanager
def tensor_float_32() -> Iterator[None]:
    """Operands of convolutions and products cut to 11 significant bits: the exact path has no more."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


ARITHMETICS = {
    "default": lambda codec: nullcontext(),
    "TF32": lambda codec: tensor_float_32(),
    "cuDNN off": lambda codec: torch.backends.cudnn.flags(enabled=False),
    "cuDNN benchmark": lambda codec: torch.backends.cudnn.flags(enabled=True, benchmark=True),
    "plain layout": plain_layout,
    "float64 means": double_means,
}


def both_views(codec: Codec, frame: EncodedFrame) -> list[np.ndarray]:
    machine = codec.decode_machine(frame.machine)
    human = codec.decode_human(frame.machine, frame.enhancement)
    return [machine.astype(int), human.astype(int)]


def assert_read_alike(one: Codec, other: Codec, frame: EncodedFrame) -> None:
    for here, there in zip(both_views(one, frame), both_views(other, frame), strict=True):
        assert np.abs(here - there).mean() < LARGEST_MEAN_DIFFERENCE


def group(codec: Codec, size: tuple[int, int], quality: int | None = None) -> list[EncodedFrame]:
    """A key frame and a frame that is predicted from it, in other light."""
    before, after = pink_noise(*size, seed=9), pink_noise(*size, seed=10)
    key = coded_key(codec, before, quality, quality)
    change = Change.of(after, 0.3, light=SUNSET)
    return [key.frame, predicted_frame(codec, key.reference, after, change, quality, quality)]


def predicted_views(codec: Codec, key: EncodedFrame, frame: EncodedFrame) -> list[np.ndarray]:
    reference = codec.reference(key.machine, key.enhancement)
    machine = codec.decode_machine(frame.machine, reference)
    human = codec.decode_human(frame.machine, frame.enhancement, reference=reference)
    return [machine.astype(int), human.astype(int)]


def assert_predicted_alike(one: Codec, other: Codec, frames: list[EncodedFrame]) -> None:
    for here, there in zip(predicted_views(one, *frames), predicted_views(other, *frames), strict=True):
        assert np.abs(here - there).mean() < LARGEST_MEAN_DIFFERENCE


@pytest.mark.parametrize("size", [(16, 16), (150, 210), (720, 1280)])
@pytest.mark.parametrize("here", DTYPES)
@pytest.mark.parametrize("there", DTYPES)
def test_each_reads_what_the_other_wrote(
    cpu: dict[str, Codec], cuda: dict[str, Codec], here: str, there: str, size: tuple[int, int]
) -> None:
    image = pink_noise(*size, seed=6)
    assert_read_alike(cpu[here], cuda[there], cpu[here].encode(image))
    assert_read_alike(cuda[there], cpu[here], cuda[there].encode(image))


@pytest.mark.parametrize("quality", range(4))
@pytest.mark.parametrize("machine_quality", range(4))
def test_at_every_quality(
    cpu: dict[str, Codec], cuda: dict[str, Codec], quality: int, machine_quality: int
) -> None:
    image = pink_noise(150, 210, seed=7)
    one, other = cpu["float32"], cuda["float32"]
    for encoder, decoder in ((one, other), (other, one)):
        for slices in (1, 3, 5):
            frame = encoder.encode(image, quality, machine_quality, slices)
            assert_read_alike(encoder, decoder, frame)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_under_every_arithmetic_of_the_gpu(
    cpu: dict[str, Codec], cuda: dict[str, Codec], arithmetic: str
) -> None:
    image = pink_noise(250, 330, seed=8)
    one, other = cpu["float32"], cuda["float32"]
    frame = one.encode(image)
    here = both_views(one, frame)
    with ARITHMETICS[arithmetic](other):
        there = both_views(other, frame)
        back = other.encode(image)
    for left, right in zip(here, there, strict=True):
        assert np.abs(left - right).mean() < LARGEST_MEAN_DIFFERENCE
    both_views(one, back)


@pytest.mark.parametrize("size", [(16, 16), (150, 210), (720, 1280)])
@pytest.mark.parametrize("here", DTYPES)
@pytest.mark.parametrize("there", DTYPES)
def test_each_reads_what_the_other_predicted(
    predicting_cpu: dict[str, Codec],
    predicting_cuda: dict[str, Codec],
    here: str,
    there: str,
    size: tuple[int, int],
) -> None:
    one, other = predicting_cpu[here], predicting_cuda[there]
    assert_predicted_alike(one, other, group(one, size))
    assert_predicted_alike(other, one, group(other, size))


@pytest.mark.parametrize("quality", range(4))
def test_predicted_frames_at_every_quality(
    predicting_cpu: dict[str, Codec], predicting_cuda: dict[str, Codec], quality: int
) -> None:
    one, other = predicting_cpu["float32"], predicting_cuda["float32"]
    for encoder, decoder in ((one, other), (other, one)):
        assert_predicted_alike(encoder, decoder, group(encoder, (150, 210), quality))


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_predicted_frames_under_every_arithmetic_of_the_gpu(
    predicting_cpu: dict[str, Codec], predicting_cuda: dict[str, Codec], arithmetic: str
) -> None:
    one, other = predicting_cpu["float32"], predicting_cuda["float32"]
    frames = group(one, (250, 330))
    here = predicted_views(one, *frames)
    with ARITHMETICS[arithmetic](other):
        there = predicted_views(other, *frames)
        back = group(other, (250, 330))
    for left, right in zip(here, there, strict=True):
        assert np.abs(left - right).mean() < LARGEST_MEAN_DIFFERENCE
    predicted_views(one, *back)


def test_golden_predicted_vectors_decode(cuda: dict[str, Codec]) -> None:
    for vector in read_predicted_vectors()[1]:
        key = EncodedFrame(vector.key_machine, vector.key_enhancement)
        predicted_views(cuda["float32"], key, EncodedFrame(vector.machine, vector.enhancement))


def test_golden_vectors_decode(cuda: dict[str, Codec]) -> None:
    for vector in read_vectors("lite")[1]:
        both_views(cuda["float32"], EncodedFrame(vector.machine, vector.enhancement))
