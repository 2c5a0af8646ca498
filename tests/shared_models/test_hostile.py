"""Bytes of strangers either decode or raise a typed error: never another one, never much memory.

`make fuzz` tries millions of such streams; these are the properties, with examples that are the same every time.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_models import Codec, Layer
from shared_models.bitstream import Bitstream, FrameType, Header, Segment
from shared_models.coder import Integers, SymbolModels
from shared_models.config import LIMITS
from shared_models.errors import (
    BitstreamError,
    CorruptError,
    DesynchronisedError,
    FrameSizeError,
    FrameTypeError,
    ImageError,
    MismatchError,
    ModelError,
    ReferenceMissingError,
    SlicesError,
    TrailingDataError,
)
from shared_models.evaluation.speed import pink_noise
from shared_models.layer_coder import CodedLatents, Preamble, coded, hyper_size
from shared_models.reference import Reference
from shared_models.weights import Weights, shipped_weights
from tests.conftest import ROOT
from tests.fuzz.mutation import frame, layers, mutated_frame, mutated_stream
from tests.shared_models.forgery import invented, joined
from tests.shared_models.golden.make import generated_paper
from tests.shared_models.prediction import SAME_LIGHT, SUNSET, Change, coded_key, predicted_frame

LARGEST_MEMORY = 3 * 2**29
"""Bytes beyond those of a codec that has decoded a small frame."""


def repeatable(examples: int) -> settings:
    """The same examples in every run."""
    return settings(deadline=None, derandomize=True, max_examples=examples)


@pytest.fixture(scope="session")
def tiny(float_codec: Codec) -> list[tuple[bytes, bytes]]:
    """Frames of a few latents at every level."""
    coded = [float_codec.encode(pink_noise(16, 40, seed), seed, seed, 1 + seed) for seed in range(4)]
    return [(layers.machine, layers.enhancement) for layers in coded]


@dataclass(frozen=True)
class PaperFrames:
    """A codec of the profile paper with generated weights, and small frames."""

    codec: Codec
    frames: list[tuple[bytes, bytes]]


@pytest.fixture(scope="session")
def paper() -> PaperFrames:
    codec = generated_paper()
    coded = [codec.encode(pink_noise(16, 40, seed), slices=1 + seed) for seed in range(3)]
    return PaperFrames(codec, [(layers.machine, layers.enhancement) for layers in coded])


@dataclass(frozen=True)
class Group:
    """A key frame, another one of its size, and frames that are predicted from the first."""

    codec: Codec
    key: tuple[bytes, bytes]
    other: tuple[bytes, bytes]
    frames: list[tuple[bytes, bytes]]

    def reference(self, slices: int | None = 5) -> Reference:
        """Of the key frame, with that many slices of its enhancement layer; without it when None."""
        machine, enhancement = self.key
        fine = None if slices is None else self.codec.cut(enhancement, slices)
        return self.codec.reference(machine, fine)

    @cached_property
    def references(self) -> list[Reference | None]:
        """Whatever a frame may be given for its reference."""
        whole = self.reference()
        rest = [self.reference(2), self.reference(None), self.codec.reference(*self.other), None]
        return [*[whole] * len(rest), *rest]


@pytest.fixture(scope="session")
def group(predicting_codec: Codec) -> Group:
    """Frames of a few latents at every level, with nothing, some and all of them changed."""
    codec = predicting_codec
    keys = [coded_key(codec, pink_noise(33, 70, seed)) for seed in (1, 2)]
    image = pink_noise(33, 70, seed=3)
    frames = [
        predicted_frame(codec, keys[0].reference, image, Change.of(image, share, 4, light), level, 3 - level)
        for level, (share, light) in enumerate(
            ((0.0, SUNSET), (0.3, SAME_LIGHT), (0.6, SUNSET), (1.0, SUNSET))
        )
    ]
    (key, other, *predicted) = (
        (layers.machine, layers.enhancement) for layers in (keys[0].frame, keys[1].frame, *frames)
    )
    return Group(codec, key, other, predicted)


def random_frame(sound: list[tuple[bytes, bytes]], seed: int) -> tuple[bytes, bytes]:
    """One of `sound`, mutated."""
    number = random.Random(seed)
    mutated = mutated_frame(
        frame(*number.choice(sound)),
        sound,
        4096,
        number,
        lambda data, most: changed_bytes(number, data, most),
    )
    return layers(mutated)


def view_or_error(
    codec: Codec,
    machine: bytes,
    enhancement: bytes | None,
    slices: int | None = None,
    reference: Reference | None = None,
) -> bool:
    """Whether a picture came out, of the size that its header states."""
    try:
        if enhancement is None:
            view = codec.decode_machine(machine, reference)
        else:
            view = codec.decode_human(machine, enhancement, slices, reference)
    except BitstreamError:
        return False
    except SlicesError:
        assert slices is not None or reference is not None
        return False
    header = codec.inspect(machine)
    assert view.shape == (header.height, header.width, 3)
    assert view.dtype == np.uint8
    return True


def changed_bytes(number: random.Random, data: bytes, most: int) -> bytes:
    """A few bytes of `data` changed, dropped or doubled: what libFuzzer's mutations amount to, without its guidance."""
    changed = bytearray(data)
    for _ in range(number.randint(1, 4)):
        at = number.randrange(len(changed) + 1)
        kind = number.randrange(4)
        if kind == 0:
            del changed[at : at + number.randint(1, 8)]
        elif kind == 1:
            changed[at:at] = number.randbytes(number.randint(1, 8))
        elif kind == 2:
            changed[at : at + 4] = number.choice((bytes(4), b"\xff" * 4, number.randbytes(4)))
        elif at < len(changed):
            changed[at] ^= 1 << number.randrange(8)
    return bytes(changed[:most])


@repeatable(300)
@given(data=st.binary(max_size=300), sealed=st.booleans())
def test_any_bytes(float_codec: Codec, tiny: list[tuple[bytes, bytes]], data: bytes, sealed: bool) -> None:
    data = joined(tiny[0][0][:40], [(data[: len(data) // 4 * 4], 0)]) if sealed else data
    assert not view_or_error(float_codec, data, None)
    assert not view_or_error(float_codec, tiny[0][0], data)


@repeatable(400)
@given(seed=st.integers(0, 2**64 - 1))
def test_mutated_machine_layers(float_codec: Codec, tiny: list[tuple[bytes, bytes]], seed: int) -> None:
    number = random.Random(seed)
    sound = [machine for machine, _ in tiny]
    mutated = mutated_stream(
        number.choice(sound), sound, 4096, number, lambda data, most: changed_bytes(number, data, most)
    )
    view_or_error(float_codec, mutated, None)


@repeatable(300)
@given(seed=st.integers(0, 2**64 - 1), slices=st.none() | st.integers(-1, 6))
def test_mutated_frames(
    float_codec: Codec, tiny: list[tuple[bytes, bytes]], seed: int, slices: int | None
) -> None:
    view_or_error(float_codec, *random_frame(tiny, seed), slices)


@repeatable(40)
@given(seed=st.integers(0, 2**64 - 1))
def test_mutated_frames_of_the_profile_paper(paper: PaperFrames, seed: int) -> None:
    view_or_error(paper.codec, *random_frame(paper.frames, seed))


@repeatable(15)
@given(integers=st.lists(st.binary(max_size=64), min_size=3, max_size=3))
def test_layers_of_any_integers_are_pictures_in_the_profile_paper(
    paper: PaperFrames, integers: list[bytes]
) -> None:
    """Whatever float networks make of such integers."""
    machine, enhancement = paper.frames[1]
    headers = paper.codec.inspect(machine), paper.codec.inspect(enhancement, Layer.ENHANCEMENT)
    even = [part[: len(part) // 2 * 2] for part in integers]
    assert view_or_error(paper.codec, *invented(paper.codec, *headers, even))


@repeatable(60)
@given(
    integers=st.lists(st.binary(max_size=64), min_size=6, max_size=6),
    quality=st.integers(0, 3),
    machine_quality=st.integers(0, 3),
    size=st.tuples(st.integers(16, 80), st.integers(16, 80)),
)
def test_layers_of_any_integers_are_pictures(
    float_codec: Codec,
    tiny: list[tuple[bytes, bytes]],
    integers: list[bytes],
    quality: int,
    machine_quality: int,
    size: tuple[int, int],
) -> None:
    """Whoever can encode may send integers that no picture gives. What he gets is a picture of the stated size."""
    coarse, fine = (Bitstream.parsed(data, layer).header for data, layer in zip(tiny[3], Layer, strict=True))
    width, height = size
    coarse = replace(
        coarse, width=width, height=height, quality=machine_quality, machine_quality=machine_quality
    )
    fine = replace(
        fine, width=width, height=height, quality=quality, machine_quality=machine_quality, slices=5
    )
    even = [part[: len(part) // 2 * 2] for part in integers]
    assert view_or_error(float_codec, *invented(float_codec, coarse, fine, even))


@repeatable(200)
@given(seed=st.integers(0, 2**64 - 1))
def test_mutated_predicted_machine_layers(group: Group, seed: int) -> None:
    number = random.Random(seed)
    sound = [machine for machine, _ in group.frames]
    mutated = mutated_stream(
        number.choice(sound), sound, 4096, number, lambda data, most: changed_bytes(number, data, most)
    )
    view_or_error(group.codec, mutated, None, None, number.choice(group.references))


@repeatable(200)
@given(seed=st.integers(0, 2**64 - 1), slices=st.none() | st.integers(-1, 6))
def test_mutated_predicted_frames(group: Group, seed: int, slices: int | None) -> None:
    reference = random.Random(seed).choice(group.references)
    view_or_error(group.codec, *random_frame(group.frames, seed), slices, reference)


@repeatable(100)
@given(payload=st.binary(max_size=200), level=st.integers(0, 3), fine=st.booleans())
def test_any_payload_behind_the_header_of_a_predicted_layer(
    group: Group, payload: bytes, level: int, fine: bool
) -> None:
    """Lights, change maps and symbols that no encoder wrote."""
    machine, enhancement = group.frames[level]
    words = payload[: len(payload) // 4 * 4]
    if fine:
        enhancement = joined(enhancement[:40], [(words, 0)])
    else:
        machine = forged_machine(machine, words)
    assert not view_or_error(group.codec, machine, enhancement, None, group.references[0])


@repeatable(40)
@given(
    integers=st.lists(st.binary(max_size=64), min_size=6, max_size=6),
    quality=st.integers(0, 3),
    machine_quality=st.integers(0, 3),
)
def test_predicted_layers_of_any_light_changes_and_integers_are_pictures(
    group: Group, integers: list[bytes], quality: int, machine_quality: int
) -> None:
    coarse, fine = headers_of(group.frames[3])
    coarse = replace(coarse, quality=machine_quality, machine_quality=machine_quality)
    fine = replace(fine, quality=quality, machine_quality=machine_quality)
    even = [part[: len(part) // 2 * 2] for part in integers]
    reference = group.references[0]
    layers = invented(group.codec, coarse, fine, even, reference)
    assert view_or_error(group.codec, *layers, None, reference)


def headers_of(layers: tuple[bytes, bytes]) -> tuple[Header, Header]:
    coarse, fine = (Bitstream.parsed(data, layer).header for data, layer in zip(layers, Layer, strict=True))
    return coarse, fine


def forged_machine(machine: bytes, payload: bytes) -> bytes:
    """With a payload that stands for other integers than the header says."""
    return joined(machine[:40], [(payload, Bitstream.parsed(machine, Layer.MACHINE).header.frame_crc)])


def with_header(data: bytes, layer: Layer, **fields: object) -> bytes:
    """A stream with other fields in its header, and every checksum right."""
    stream = Bitstream.parsed(data, layer)
    return replace(stream, header=replace(stream.header, **fields)).packed()


def test_a_predicted_frame_is_decoded_against_its_own_reference_alone(group: Group) -> None:
    codec, (machine, enhancement) = group.codec, group.frames[1]
    name, other = group.reference().name, codec.reference(*group.other)
    for given_name, reference in (("none", None), (f"{other.name:016x}", other)):
        with pytest.raises(ReferenceMissingError, match=f"{name:016x} and was given {given_name}"):
            codec.decode_machine(machine, reference)
        with pytest.raises(ReferenceMissingError, match=f"{name:016x}"):
            codec.decode_human(machine, enhancement, reference=reference)
        with pytest.raises(ReferenceMissingError):
            codec.reference(machine, enhancement, reference)
    for forged in (1, name ^ 1, codec.inspect(machine).name, 2**64 - 1):
        claiming = with_header(machine, Layer.MACHINE, reference=forged)
        with pytest.raises(ReferenceMissingError, match=f"{forged:016x}"):
            codec.decode_machine(claiming, group.reference())
    claiming = with_header(enhancement, Layer.ENHANCEMENT, reference=name)
    with pytest.raises(ReferenceMissingError, match="the enhancement layer"):
        codec.decode_human(machine, claiming, reference=group.reference())


def test_layers_against_different_key_frames_are_refused(group: Group) -> None:
    """Although nothing is coded in either."""
    codec, image = group.codec, pink_noise(33, 70, seed=3)
    one, other = (
        predicted_frame(codec, codec.reference(*key), image, Change.of(image, 0.0))
        for key in (group.key, group.other)
    )
    for key in (group.key, group.other):
        with pytest.raises(MismatchError):
            codec.decode_human(one.machine, other.enhancement, reference=codec.reference(*key))


def test_a_reference_of_the_right_name_but_other_integers_is_noticed(group: Group) -> None:
    """In the dark, different key frames may have equal machine layers, and so enhancement layers of one name."""
    codec, image = group.codec, pink_noise(33, 70)
    reference, other = group.reference(), codec.reference(*group.other)
    for share in (0.0, 0.3):
        frame = predicted_frame(codec, reference, image, Change.of(image, share))
        codec.decode_human(frame.machine, frame.enhancement, reference=reference)
        for wrong in (
            replace(reference, machine=other.machine),
            replace(reference, enhancement=other.enhancement),
        ):
            with pytest.raises((DesynchronisedError, TrailingDataError)):
                codec.decode_human(frame.machine, frame.enhancement, reference=wrong)


def test_a_key_frame_limits_the_slices_of_its_predicted_frames(group: Group) -> None:
    codec, (machine, enhancement) = group.codec, group.frames[2]
    for held in (1, 3):
        reference = group.reference(held)
        assert codec.decode_machine(machine, reference).shape == (33, 70, 3)
        with pytest.raises(SlicesError, match=f"the key frame holds {held}"):
            codec.decode_human(machine, enhancement, reference=reference)
        cut = codec.decode_human(machine, enhancement, held, reference)
        assert np.array_equal(cut, codec.decode_human(machine, enhancement, held, group.reference()))


def test_a_machine_view_needs_no_enhancement_of_the_reference_but_a_human_view_does(group: Group) -> None:
    codec, (machine, enhancement) = group.codec, group.frames[2]
    lone = group.reference(None)
    assert not lone.has_enhancement
    assert np.array_equal(
        codec.decode_machine(machine, lone), codec.decode_machine(machine, group.reference())
    )
    with pytest.raises(ReferenceMissingError, match="enhancement layer"):
        codec.decode_human(machine, enhancement, reference=lone)


def test_key_frames_and_predicted_ones_do_not_mix(group: Group) -> None:
    codec, reference = group.codec, group.reference()
    machine, enhancement = group.frames[1]
    for coarse, fine in (
        (machine, group.key[1]),
        (group.key[0], enhancement),
        (machine, group.frames[2][1]),
    ):
        with pytest.raises(MismatchError):
            codec.decode_human(coarse, fine, reference=reference)
    for layer, data in zip(Layer, (machine, enhancement), strict=True):
        with pytest.raises(CorruptError, match="contradict"):
            codec.inspect(with_header(data, layer, frame_type=FrameType.SELF_CONTAINED), layer)
        with pytest.raises(CorruptError, match="contradict"):
            codec.inspect(with_header(data, layer, reference=0), layer)
    disguised = with_header(
        group.key[0],
        Layer.MACHINE,
        model_id=codec.predicting_id,
        frame_type=FrameType.PREDICTED,
        reference=reference.name,
    )
    with pytest.raises(BitstreamError):
        codec.decode_machine(disguised, reference)


def test_a_reference_is_ignored_by_key_frames(group: Group) -> None:
    codec = group.codec
    alone = codec.decode_human(*group.other)
    assert np.array_equal(codec.decode_human(*group.other, reference=group.reference()), alone)


@pytest.mark.parametrize("size", [(70, 49), (71, 33), (8192, 4096)])
def test_a_predicted_frame_has_the_size_of_its_reference(group: Group, size: tuple[int, int]) -> None:
    width, height = size
    forged = with_header(group.frames[0][0], Layer.MACHINE, width=width, height=height)
    with pytest.raises(CorruptError, match="differ in size"):
        group.codec.decode_machine(forged, group.reference())


def test_predicted_frames_end_where_they_end(group: Group) -> None:
    codec, reference = group.codec, group.reference()
    machine, enhancement = group.frames[2]
    for end in range(len(machine)):
        with pytest.raises(BitstreamError):
            codec.decode_machine(machine[:end], reference)
    ends = [len(codec.cut(enhancement, slices)) for slices in range(1, 6)]
    for end in range(0, len(enhancement) + 1, 4):
        assert view_or_error(codec, machine, enhancement[:end], None, reference) == (end in ends)
    for longer in (machine + bytes(4), forged_machine(machine, machine[52:] + bytes(8))):
        with pytest.raises(TrailingDataError):
            codec.decode_machine(longer, reference)


def test_models_that_predict_nothing_refuse_predicted_frames(group: Group) -> None:
    codec = Codec(replace(Weights.load(shipped_weights("lite")), predicted=None), "cpu", torch.float32)
    assert not codec.predicts
    with pytest.raises(ModelError):
        codec.decode_machine(group.frames[0][0], group.reference())
    claiming = with_header(group.frames[0][0], Layer.MACHINE, model_id=codec.model_id)
    with pytest.raises(CorruptError, match="its model does not have"):
        codec.decode_machine(claiming, group.reference())
    image = pink_noise(33, 70)
    key = coded_key(codec, image)
    with pytest.raises(FrameTypeError, match="predicted"):
        predicted_frame(codec, key.reference, image, Change.of(image, 1.0))


@pytest.mark.parametrize("size", [(8192, 4097), (8192, 8192), (15, 64), (8193, 16)])
def test_sizes_outside_the_limits_are_refused_both_ways(
    codec: Codec, tiny: list[tuple[bytes, bytes]], size: tuple[int, int]
) -> None:
    stream = Bitstream.parsed(tiny[0][0], Layer.MACHINE)
    width, height = size
    with pytest.raises(FrameSizeError, match=f"{width}x{height}"):
        codec.decode_machine(
            replace(stream, header=replace(stream.header, width=width, height=height)).packed()
        )
    with pytest.raises(ImageError, match=f"{width}x{height}"):
        codec.encode(np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3)))


def test_a_payload_too_short_for_its_frame_is_refused_before_it_is_decoded(
    codec: Codec, tiny: list[tuple[bytes, bytes]]
) -> None:
    stream = Bitstream.parsed(tiny[1][0], Layer.MACHINE)
    forged = replace(stream, header=replace(stream.header, width=8192, height=4096))
    with pytest.raises(CorruptError, match="cannot stand for a frame of 8192x4096"):
        codec.inspect(forged.packed())


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (200, 300)])
def test_no_real_frame_is_too_short(codec: Codec, size: tuple[int, int]) -> None:
    """The bound holds for the cheapest frames: flat ones."""
    for grey in (0, 114, 255):
        image = np.full((*size, 3), grey, np.uint8)
        for level in range(4):
            frame = codec.encode(image, quality=level, machine_quality=level)
            assert codec.decode_human(frame.machine, frame.enhancement).shape == image.shape


def test_the_machine_layer_states_its_checksum_once(codec: Codec, tiny: list[tuple[bytes, bytes]]) -> None:
    stream = Bitstream.parsed(tiny[0][0], Layer.MACHINE)
    with pytest.raises(CorruptError, match="contradict"):
        codec.inspect(replace(stream, header=replace(stream.header, frame_crc=1)).packed())


MEASURE = """
import json, resource, sys
from shared_models import errors
from tests.shared_models.test_hostile import largest_forgeries
from shared_models import load_codec
import torch
torch.set_num_threads(1)
codec = load_codec("lite", device="cpu", dtype=torch.float32)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
forgeries = largest_forgeries(codec)
before, outcomes = peak(), []
for data in forgeries:
    try:
        codec.decode_machine(data)
        outcomes.append("decoded")
    except errors.BitstreamError as error:
        outcomes.append(type(error).__name__)
print(json.dumps({"outcomes": outcomes, "more": peak() - before}))
"""


def largest_forgeries(codec: Codec) -> list[bytes]:
    """Machine layers that claim the largest frame, with the shortest payloads that pass for one."""
    frame = codec.encode(pink_noise(16, 16))
    codec.decode_machine(frame.machine)
    stream = Bitstream.parsed(frame.machine, Layer.MACHINE)
    header = replace(
        stream.header, width=LIMITS.largest_side, height=LIMITS.largest_frame // LIMITS.largest_side
    )

    def claiming(payload: bytes) -> bytes:
        return Bitstream(header, (Segment(payload, header.frame_crc),)).packed()

    def accepted(length: int) -> bool:
        try:
            codec.inspect(claiming(bytes(length)))
        except CorruptError:
            return False
        return True

    lengths = range(0, 2**20, 4)
    length = lengths[bisect_left(lengths, True, key=accepted)]
    return [claiming(bytes(length)), claiming(b"\xff\xff\xff\x7f" * (length // 4))]


MEASURE_PREDICTED = """
import json, resource
from shared_models import errors
from tests.shared_models.prediction import predicting
from tests.shared_models.test_hostile import largest_predicted_forgery, largest_reference
from shared_models import Codec
from shared_models.weights import Weights, shipped_weights
import torch
torch.set_num_threads(1)
codec = Codec(predicting(Weights.load(shipped_weights("lite"))), "cpu", torch.float32)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
reference = largest_reference(codec)
machine, enhancement = largest_predicted_forgery(codec, reference)
before, outcomes = peak(), []
try:
    codec.decode_human(machine, enhancement, reference=reference)
    outcomes.append("decoded")
except errors.BitstreamError as error:
    outcomes.append(type(error).__name__)
print(json.dumps({"outcomes": outcomes, "more": peak() - before}))
"""


def largest_reference(codec: Codec) -> Reference:
    """Of the largest frame, with nothing in it: no payload was paid for it."""
    frame = codec.encode(pink_noise(16, 16))
    codec.decode_human(frame.machine, frame.enhancement)
    width, height = LIMITS.largest_side, LIMITS.largest_frame // LIMITS.largest_side
    coarse, fine = (
        replace(header, width=width, height=height)
        for header in headers_of((frame.machine, frame.enhancement))
    )
    shape = 1, codec.config.latents, height // 16, width // 16
    layers = [CodedLatents(torch.ones(shape), torch.ones(shape)) for _ in range(2)]
    return Reference(coarse, layers[0], fine, layers[1])


def largest_predicted_forgery(codec: Codec, reference: Reference) -> tuple[bytes, bytes]:
    """A machine layer without fault in which nothing changed, and an enhancement layer that claims that everything did.

    The former lets the latter be read, which has a few bytes for all its symbols.
    """
    models, config = SymbolModels(codec.tables), codec.config
    height, width = reference.machine.symbols.shape[2:]
    z = np.zeros(config.hyper_latents * math.prod(hyper_size((height, width))), np.int32)
    known = reference.machine.symbols.flatten().to(torch.int32).numpy()
    nothing = [(symbols, np.zeros(len(symbols), np.uint8)) for symbols in (z, known)]

    def claim(changed: bool, light: Integers | None) -> Segment:
        return coded(models, nothing, Preamble(np.full((height, width), changed), light))

    still = claim(False, np.array(SUNSET, np.int32))
    claiming = [claim(True, None), *[Segment(bytes(4), 0)] * (config.enhancement_slices - 1)]
    machine, enhancement = (
        Bitstream(
            replace(
                header,
                model_id=codec.predicting_id,
                frame_crc=still.integers_crc,
                frame_type=FrameType.PREDICTED,
                reference=header.name,
            ),
            tuple(segments),
        ).packed()
        for header, segments in (
            (reference.machine_header, [still]),
            (reference.enhancement_header, claiming),
        )
        if header is not None
    )
    return machine, enhancement


@pytest.mark.parametrize("script", [MEASURE, MEASURE_PREDICTED])
def test_the_largest_forgery_takes_bounded_memory(script: str) -> None:
    """Beside a codec that has decoded a small frame, and beside the reference of a predicted one."""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    measured: dict[str, Any] = json.loads(run.stdout)
    assert set(measured["outcomes"]) <= {"DesynchronisedError", "TrailingDataError"}
    assert measured["more"] < LARGEST_MEMORY
