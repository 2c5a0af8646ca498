"""The product's streams through a decoder that was written from docs/bitstream.md and shares no code with it.

The reference decoder holds what it reads against the checksums of the encoder's integers by itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shared_models import Codec, EncodedFrame, Layer
from shared_models.bitstream import Header
from shared_models.evaluation.speed import pink_noise
from shared_models.weights import shipped_weights
from tests.shared_models.forgery import invented
from tests.shared_models.prediction import (
    SAME_LIGHT,
    SUNSET,
    Change,
    LightNumbers,
    coded_key,
    predicted_frame,
)
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
    assert machine.symbols.shape == (160, 3, 5)
    assert machine.symbols.any()
    enhancement = reference.enhancement(frame.enhancement, machine)
    assert enhancement.symbols.shape == (32 * slices, 3, 5)


def test_it_reads_cut_streams(codec: Codec, reference: ReferenceModel) -> None:
    frame = codec.encode(pink_noise(33, 20))
    machine = reference.machine(frame.machine)
    whole = reference.enhancement(frame.enhancement, machine)
    for slices in range(1, 5):
        cut = reference.enhancement(codec.cut(frame.enhancement, slices), machine)
        assert np.array_equal(cut.symbols, whole.symbols[: 32 * slices])


@pytest.mark.parametrize("largest", [3, 40, 2**15 - 1])
def test_it_reads_integers_that_no_picture_gives(
    codec: Codec, reference: ReferenceModel, largest: int
) -> None:
    """Of any size, so that every clamp and every escape of the exact path is used."""
    frame = codec.encode(pink_noise(40, 70))
    integers = np.random.default_rng(largest).integers(-largest, largest + 1, (6, 1000)).astype("<i2")
    machine, enhancement = invented(codec, *headers_of(codec, frame), [row.tobytes() for row in integers])
    decoded = reference.machine(machine)
    assert np.abs(decoded.symbols).max() > 0.9 * largest
    assert reference.enhancement(enhancement, decoded).symbols.shape == (160, 3, 5)


@pytest.fixture(scope="module")
def predicting_reference(predicting_weights: Path) -> ReferenceModel:
    return ReferenceModel(predicting_weights)


@pytest.mark.parametrize("light", [SAME_LIGHT, SUNSET])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_it_reads_predicted_frames(
    predicting_codec: Codec,
    predicting_reference: ReferenceModel,
    share: float,
    light: LightNumbers,
) -> None:
    """At other levels and of fewer slices than their key frames."""
    codec, reference = predicting_codec, predicting_reference
    level, slices = int(4 * share) % 4, 5 - int(4 * share)
    image = pink_noise(70, 130, seed=1)
    coded = coded_key(codec, pink_noise(70, 130, seed=2), 2, 1)
    change = Change.of(image, share, seed=3, light=light)
    frame = predicted_frame(codec, coded.reference, image, change, 3 - level, level, slices)

    key = reference.machine(coded.frame.machine)
    key_fine = reference.enhancement(coded.frame.enhancement, key)
    machine = reference.machine(frame.machine, key)
    fine = reference.enhancement(frame.enhancement, machine, key_fine)
    assert (machine.name, fine.name) == (
        codec.inspect(frame.machine).name,
        codec.inspect(frame.enhancement, Layer.ENHANCEMENT).name,
    )
    assert machine.light is not None
    assert tuple(machine.light) == light
    assert fine.symbols.shape == (32 * slices, 5, 9)
    for decoded, known, changed in (
        (machine, key, change.machine),
        (fine, key_fine, change.enhancement),
    ):
        assert np.array_equal(decoded.changed, changed)
        still = known.symbols[: len(decoded.symbols), ~changed]
        assert np.array_equal(decoded.symbols[:, ~changed], still)
        assert share == 0.0 or (decoded.symbols != known.symbols[: len(decoded.symbols)]).any()

    product = codec.reference(frame.machine, frame.enhancement, coded.reference)
    assert product.enhancement is not None
    assert np.array_equal(product.machine.symbols[0].numpy(), machine.symbols)
    assert np.array_equal(product.enhancement.symbols[0].numpy(), fine.symbols)


@pytest.mark.parametrize("largest", [3, 40, 2**15 - 1])
def test_it_reads_predicted_frames_of_integers_that_no_picture_gives(
    predicting_codec: Codec, predicting_reference: ReferenceModel, largest: int
) -> None:
    """Against a key frame of such integers: light, changes and symbols are whatever they happen to be."""
    codec, reference = predicting_codec, predicting_reference
    integers = np.random.default_rng(largest).integers(-largest, largest + 1, (12, 1000)).astype("<i2")
    image = pink_noise(70, 130)
    still = codec.encode(image)
    key_layers = invented(codec, *headers_of(codec, still), [row.tobytes() for row in integers[:6]])
    key = codec.reference(*key_layers)
    coded = predicted_frame(codec, key, image, Change.of(image, 0.5))
    machine, enhancement = invented(
        codec, *headers_of(codec, coded), [row.tobytes() for row in integers[6:]], key
    )
    known = reference.machine(key_layers[0])
    known_fine = reference.enhancement(key_layers[1], known)
    decoded = reference.machine(machine, known)
    assert 0 < decoded.changed.sum() < decoded.changed.size
    assert (decoded.symbols != known.symbols).any()
    assert reference.enhancement(enhancement, decoded, known_fine).symbols.shape == (160, 5, 9)


def headers_of(codec: Codec, frame: EncodedFrame) -> tuple[Header, Header]:
    return codec.inspect(frame.machine), codec.inspect(frame.enhancement, Layer.ENHANCEMENT)
