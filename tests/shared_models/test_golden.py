"""Streams of the shipped weights, pinned byte for byte.

`make golden` writes the vectors anew when weights or format change on purpose.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from shared_models import Codec, Layer
from shared_models.bitstream import Bitstream, Segment, integers_crc
from shared_models.coder import SymbolDecoder, SymbolEncoder, SymbolModels
from shared_models.entropy_model import Context, EntropyModel, Level
from shared_models.environment import Environment
from shared_models.errors import DesynchronisedError
from shared_models.evaluation.quality import psnr
from shared_models.weights import shipped_weights
from tests.shared_models.golden.make import (
    CODECS,
    FOLDER,
    LEVELS,
    operating_points,
    read_vectors,
    source,
    tiny_source,
)
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
