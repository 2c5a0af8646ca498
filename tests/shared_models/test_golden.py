"""Streams of the shipped weights, pinned byte for byte.

`make golden` writes the vectors anew when weights or format change on purpose.
"""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from shared_models import Codec, Layer, layer_coder, load_codec
from shared_models.bitstream import Bitstream, FrameType, Segment, integers_crc
from shared_models.coder import Indices, Integers, SymbolDecoder, SymbolEncoder, SymbolModels
from shared_models.entropy_model import Context, EntropyModel, Level
from shared_models.environment import Environment
from shared_models.errors import DesynchronisedError
from shared_models.evaluation.quality import psnr
from shared_models.reference import Reference
from shared_models.weights import shipped_weights
from tests.shared_models.golden import make
from tests.shared_models.golden.make import (
    CODECS,
    FOLDER,
    LEVELS,
    PredictedVector,
    change_at,
    operating_points,
    predicted_points,
    read_predicted_vectors,
    read_vectors,
    source,
    strip,
    tiny_source,
    write_predicted_vectors,
)
from tests.shared_models.prediction import SAME_LIGHT
from tests.shared_models.reference_decoder import ReferenceModel

CLOSE_ENOUGH_DB = 48.0
"""Of a decoded picture to its golden one: the float paths may round differently on another processor."""


def golden(level: int, name: str) -> bytes:
    return (FOLDER / f"{level}.{name}").read_bytes()


def picture(level: int, name: str) -> np.ndarray:
    return np.asarray(Image.open(FOLDER / f"{level}.{name}.png"))


def assert_close(decoded: np.ndarray, expected: np.ndarray, least_db: float = CLOSE_ENOUGH_DB) -> None:
    assert psnr(expected, decoded) > least_db


def recoded(
    entropy: EntropyModel, codec: Codec, stream: Bitstream, level: Level, context: Context | None
) -> tuple[Bitstream, Context]:
    """Decode a layer symbol by symbol and encode what comes out again, without `Codec`'s own reader and writer."""
    models = SymbolModels(codec.tables)
    size = (-(-stream.header.height // 16), -(-stream.header.width // 16))
    single = stream.header.layer is Layer.MACHINE
    written: list[Segment] = []
    decoders = [SymbolDecoder(models, segment.payload) for segment in stream.segments]
    encoder = SymbolEncoder(models)
    integers: list[np.ndarray] = []

    def through(index: torch.Tensor, segment: int) -> torch.Tensor:
        flat = index.flatten().to(torch.uint8).numpy()
        symbols = decoders[segment].decode(flat)
        encoder.encode(symbols, flat)
        integers.append(symbols)
        return torch.from_numpy(symbols).float().reshape(index.shape)

    def end_segment() -> None:
        nonlocal encoder
        written.append(Segment(encoder.finish(), integers_crc(*integers)))
        encoder = SymbolEncoder(models)
        integers.clear()

    def visit(k: int, index: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        q = through(index, 0 if single else k)
        if not single or k == 4:
            end_segment()
        return q

    hyper_index = entropy.hyper_index(level)
    z = through(hyper_index.expand(1, -1, -(-size[0] // 4), -(-size[1] // 4)), 0)
    slices = 5 if single else len(stream.segments)
    with torch.inference_mode():
        symbols, latents = entropy.walk(z, size, level, context, slices, visit)
    return Bitstream(stream.header, tuple(written)), Context(symbols, latents)


def recoded_payloads(codec: Codec, machine: bytes, enhancement: bytes, reference: Reference) -> list[bytes]:
    """Decode both layers of a predicted frame and encode what comes out again, segment by segment."""
    payloads: list[bytes] = []

    class Recoder(SymbolDecoder):
        """Writes down all that it reads."""

        def __init__(self, models: SymbolModels, segment: bytes) -> None:
            super().__init__(models, segment)
            self._again = SymbolEncoder(models)

        def decode(self, indices: Indices) -> Integers:
            symbols = super().decode(indices)
            self._again.encode(symbols, indices)
            return symbols

        def decode_uniform(self, count: int, choices: int) -> Integers:
            numbers = super().decode_uniform(count, choices)
            self._again.encode_uniform(numbers, choices)
            return numbers

        def decode_bits(self, count: int, chance: int) -> NDArray[np.bool_]:
            bits = super().decode_bits(count, chance)
            self._again.encode_bits(bits, chance)
            return bits

        @property
        def exhausted(self) -> bool:
            payloads.append(self._again.finish())
            return super().exhausted

    with mock.patch.object(layer_coder, "SymbolDecoder", Recoder):
        codec.decode_human(machine, enhancement, reference=reference)
    return payloads


PredictedVectors = tuple[Codec, Path, list[PredictedVector]]


@pytest.fixture(scope="module")
def predicted_vectors(
    predicting_codec: Codec, predicting_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> PredictedVectors:
    """Those of the shipped weights; if they predict nothing, of others, made here and now."""
    if load_codec("lite", device="cpu").predicts:
        model, vectors = read_predicted_vectors()
        assert model == predicting_codec.predicting_id.hex(), "the weights changed: run `make golden`"
        return predicting_codec, predicting_weights, vectors
    folder = tmp_path_factory.mktemp("golden")
    with mock.patch.object(make, "FOLDER", folder):
        write_predicted_vectors(predicting_codec)
        return predicting_codec, predicting_weights, read_predicted_vectors()[1]


@pytest.mark.parametrize("profile", CODECS)
def test_there_is_a_vector_for_every_operating_point_and_it_decodes(profile: str) -> None:
    """To the encoder's integers, that is: their checksums are in the streams.

    A profile that is not exact may say that it cannot, elsewhere than where the vectors were made.
    """
    codec = CODECS[profile]()
    model, vectors = read_vectors(profile)
    assert model == codec.model_id.hex(), "the weights changed: run `make golden`"
    points = [(vector.quality, vector.machine_quality, vector.slices) for vector in vectors]
    assert points == list(operating_points(codec))
    for vector in vectors:
        header = codec.inspect(vector.enhancement, Layer.ENHANCEMENT)
        assert (header.quality, header.machine_quality, header.slices) == (
            vector.quality,
            vector.machine_quality,
            vector.slices,
        )
        try:
            view = codec.decode_human(vector.machine, vector.enhancement)
        except DesynchronisedError as error:
            here, there = Environment.of(codec.device), Environment.unpacked(header.environment)
            if codec.config.exact or here == there:
                raise
            pytest.skip(str(error))
        assert view.shape == tiny_source().shape
        if profile == "lite":
            assert psnr(tiny_source(), view) > 15.0


def test_the_reference_decoder_reads_every_vector() -> None:
    reference = ReferenceModel(shipped_weights("lite"))
    for vector in read_vectors("lite")[1]:
        machine = reference.machine(vector.machine)
        assert reference.enhancement(vector.enhancement, machine).symbols.shape == (32 * vector.slices, 2, 3)


def test_there_are_vectors_of_predicted_frames_and_they_decode(predicted_vectors: PredictedVectors) -> None:
    """To the encoder's integers, in both decoders, and to the light and the changes that were asked for."""
    codec, path, vectors = predicted_vectors
    assert [vector.point for vector in vectors] == list(predicted_points())
    reference = ReferenceModel(path)
    for vector in vectors:
        point, change = vector.point, change_at(vector.point)
        header = codec.inspect(vector.enhancement, Layer.ENHANCEMENT)
        assert header.frame_type is FrameType.PREDICTED
        assert (header.quality, header.machine_quality, header.slices) == (
            point.quality,
            point.machine_quality,
            point.slices,
        )
        key = codec.reference(vector.key_machine, vector.key_enhancement)
        view = codec.decode_human(vector.machine, vector.enhancement, reference=key)
        assert view.shape == strip().shape
        if point.share == 1.0:
            assert psnr(strip(), view) > 15.0
        if point.share == 0.0 and point.light == SAME_LIGHT:
            still = codec.decode_human(vector.key_machine, vector.key_enhancement)
            assert np.abs(view.astype(int) - still).max() <= 1

        key_machine = reference.machine(vector.key_machine)
        key_fine = reference.enhancement(vector.key_enhancement, key_machine)
        machine = reference.machine(vector.machine, key_machine)
        fine = reference.enhancement(vector.enhancement, machine, key_fine)
        assert machine.light is not None
        assert tuple(machine.light) == point.light
        assert np.array_equal(machine.changed, change.machine)
        assert np.array_equal(fine.changed, change.enhancement)
        assert len(fine.symbols) == 32 * point.slices


def test_golden_integers_of_predicted_frames_encode_to_the_same_bytes(
    predicted_vectors: PredictedVectors,
) -> None:
    codec, _, vectors = predicted_vectors
    for vector in vectors:
        key = codec.reference(vector.key_machine, vector.key_enhancement)
        again = recoded_payloads(codec, vector.machine, vector.enhancement, key)
        layers = zip(Layer, (vector.machine, vector.enhancement), strict=True)
        streams = [Bitstream.parsed(data, layer) for layer, data in layers]
        assert again == [segment.payload for stream in streams for segment in stream.segments]


@pytest.mark.parametrize("level", LEVELS)
def test_golden_streams_decode_to_their_pictures(codec: Codec, level: int) -> None:
    machine, enhancement = golden(level, "machine"), golden(level, "enhancement")
    assert codec.inspect(machine).model_id == codec.model_id
    assert_close(codec.decode_machine(machine), picture(level, "machine"))
    assert_close(codec.decode_human(machine, enhancement), picture(level, "human"))
    assert_close(codec.decode_human(machine, enhancement, slices=2), picture(level, "human_2_slices"))


@pytest.mark.parametrize("level", LEVELS)
def test_the_encoder_still_writes_such_streams(float_codec: Codec, level: int) -> None:
    """Not byte for byte: on another processor a value between two integers may be rounded to the other one."""
    frame = float_codec.encode(source(), quality=level, machine_quality=level)
    for written, name in ((frame.machine, "machine"), (frame.enhancement, "enhancement")):
        assert len(written) == pytest.approx(len(golden(level, name)), rel=0.02)
    assert_close(float_codec.decode_human(frame.machine, frame.enhancement), picture(level, "human"), 40.0)


@pytest.mark.parametrize("level", LEVELS)
def test_golden_integers_encode_to_the_same_bytes(codec: Codec, level: int) -> None:
    machine = Bitstream.parsed(golden(level, "machine"), Layer.MACHINE)
    number = torch.tensor([level])
    layers = codec.layers
    again, context = recoded(layers["machine"].entropy, codec, machine, Level(number, number * 0), None)
    assert again.packed() == golden(level, "machine")
    enhancement = Bitstream.parsed(golden(level, "enhancement"), Layer.ENHANCEMENT)
    again, _ = recoded(layers["enhancement"].entropy, codec, enhancement, Level(number, number), context)
    assert again.packed() == golden(level, "enhancement")
