"""The product's streams through a decoder that was written from docs/bitstream.md and shares no code with it.

The reference decoder holds what it reads against the checksums of the encoder's integers by itself.
"""

from __future__ import annotations

import numpy as np
import pytest

from shared_models import Codec, Layer
from shared_models.evaluation.speed import pink_noise
from shared_models.weights import shipped_weights
from tests.shared_models.forgery import invented
from tests.shared_models.reference_decoder import ReferenceModel


@pytest.fixture(scope="module")
def reference() -> ReferenceModel:
    return ReferenceModel(shipped_weights("lite"))


@pytest.mark.parametrize("slices", range(1, 6))
@pytest.mark.parametrize("level", range(4))
def test_it_reads_every_level_and_number_of_slices(
    codec: Codec, reference: ReferenceModel, level: int, slices: int
) -> None:
    machine_level = (level + slices) % codec.config.machine.levels
    frame = codec.encode(pink_noise(37, 70, seed=slices), level, machine_level, slices)
    machine = reference.machine(frame.machine)
    assert machine.shape == (160, 3, 5)
    assert machine.any()
    enhancement = reference.enhancement(frame.enhancement, machine)
    assert enhancement.shape == (32 * slices, 3, 5)


def test_it_reads_cut_streams(codec: Codec, reference: ReferenceModel) -> None:
    frame = codec.encode(pink_noise(33, 20))
    machine = reference.machine(frame.machine)
    whole = reference.enhancement(frame.enhancement, machine)
    for slices in range(1, 5):
        cut = reference.enhancement(codec.cut(frame.enhancement, slices), machine)
        assert np.array_equal(cut, whole[: 32 * slices])


@pytest.mark.parametrize("largest", [3, 40, 2**15 - 1])
def test_it_reads_integers_that_no_picture_gives(
    codec: Codec, reference: ReferenceModel, largest: int
) -> None:
    """Of any size, so that every clamp and every escape of the exact path is used."""
    frame = codec.encode(pink_noise(40, 70))
    headers = (codec.inspect(frame.machine), codec.inspect(frame.enhancement, Layer.ENHANCEMENT))
    integers = np.random.default_rng(largest).integers(-largest, largest + 1, (6, 1000)).astype("<i2")
    machine, enhancement = invented(codec, *headers, [row.tobytes() for row in integers])
    symbols = reference.machine(machine)
    assert np.abs(symbols).max() > 0.9 * largest
    assert reference.enhancement(enhancement, symbols).shape == (160, 3, 5)
