from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from shared_models import Codec, EncodedFrame, Layer, errors, load_codec
from shared_models.bitstream import Bitstream, BytesLike, Segment
from shared_models.codec import OperatingPoint
from shared_models.evaluation.quality import psnr
from shared_models.evaluation.speed import pink_noise
from shared_models.profile import enhancement_layer
from shared_models.weights import SHIPPED, Weights, read_weights_file


@pytest.mark.parametrize("size", [(16, 16), (16, 200), (17, 31), (64, 64), (65, 127), (100, 260)])
def test_any_frame_size_comes_back(codec: Codec, size: tuple[int, int]) -> None:
    image = pink_noise(*size)
    frame = codec.encode(image)
    assert codec.decode_machine(frame.machine).shape == image.shape
    view = codec.decode_human(frame.machine, frame.enhancement)
    assert view.shape == image.shape
    assert psnr(image, view) > psnr(image, codec.decode_machine(frame.machine))


def test_encoding_leaves_the_image_alone_and_repeats_itself(codec: Codec, picture: np.ndarray) -> None:
    image = picture.copy()
    image.setflags(write=False)
    assert codec.encode(image) == codec.encode(image[:, :, ::1])
    assert np.array_equal(image, picture)


def test_views_of_arrays_are_encoded_as_their_copies(codec: Codec) -> None:
    image = pink_noise(64, 96)
    assert codec.encode(image[:, ::-1]) == codec.encode(image[:, ::-1].copy())


def test_quality_buys_bits_and_closeness(codec: Codec, picture: np.ndarray) -> None:
    sizes, closeness = [], []
    for quality in range(codec.config.enhancement.levels):
        frame = codec.encode(picture, quality=quality)
        sizes.append(len(frame.enhancement))
        closeness.append(psnr(picture, codec.decode_human(frame.machine, frame.enhancement)))
    assert sizes == sorted(set(sizes))
    assert closeness == sorted(set(closeness))


def test_machine_quality_is_chosen_apart(codec: Codec, picture: np.ndarray) -> None:
    sizes = [
        len(codec.encode(picture, machine_quality=level).machine)
        for level in range(codec.config.machine.levels)
    ]
    assert sizes == sorted(set(sizes))
    same = {
        codec.encode(picture, quality=quality).machine for quality in range(codec.config.enhancement.levels)
    }
    assert len(same) == 1


def test_every_slice_brings_the_view_closer(codec: Codec, picture: np.ndarray, frame: EncodedFrame) -> None:
    closeness = [
        psnr(picture, codec.decode_human(frame.machine, frame.enhancement, slices=m)) for m in range(1, 6)
    ]
    assert closeness == sorted(set(closeness))


def test_a_cut_stream_decodes_as_fewer_slices(codec: Codec, frame: EncodedFrame) -> None:
    for count in range(1, 6):
        cut = codec.cut(frame.enhancement, count)
        assert frame.enhancement.startswith(cut)
        whole = codec.decode_human(frame.machine, frame.enhancement, slices=count)
        assert np.array_equal(codec.decode_human(frame.machine, cut), whole)
    with pytest.raises(errors.SlicesError, match="holds 2"):
        codec.decode_human(frame.machine, codec.cut(frame.enhancement, 2), slices=3)


def test_fewer_slices_can_be_encoded(codec: Codec, picture: np.ndarray) -> None:
    frame = codec.encode(picture, slices=2)
    assert codec.inspect(frame.enhancement, Layer.ENHANCEMENT).slices == 2
    assert codec.decode_human(frame.machine, frame.enhancement).shape == picture.shape


def test_a_machine_layer_tells_about_itself(codec: Codec, frame: EncodedFrame, picture: np.ndarray) -> None:
    header = codec.inspect(frame.machine)
    assert (header.height, header.width) == picture.shape[:2]
    assert header.model_id == codec.model_id
    assert header.machine_quality == codec.config.default_machine_quality


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((15, 64, 3), np.uint8), "64x15"),
        (np.zeros((64, 8193, 3), np.uint8), "8193x64"),
        (np.zeros((64, 64), np.uint8), "uint8"),
        (np.zeros((64, 64, 3), np.float32), "float32"),
        (np.zeros((64, 64, 4), np.uint8), "4"),
    ],
)
def test_pictures_outside_the_limits_are_refused(codec: Codec, image: np.ndarray, message: str) -> None:
    with pytest.raises(errors.ImageError, match=message):
        codec.encode(image)


def test_levels_and_slices_outside_the_limits_are_refused(codec: Codec, picture: np.ndarray) -> None:
    with pytest.raises(errors.QualityError):
        codec.encode(picture, quality=4)
    with pytest.raises(errors.QualityError):
        codec.encode(picture, machine_quality=-1)
    with pytest.raises(errors.SlicesError):
        codec.encode(picture, slices=0)


@pytest.mark.parametrize("image", [None, [[[0, 0, 0]]], Image.new("RGB", (64, 64)), "a.png"])
def test_what_is_no_array_is_no_image(codec: Codec, image: object) -> None:
    with pytest.raises(errors.ImageError, match=f"not {type(image).__name__}"):
        codec.encode(image)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [1.5, "1", [1]])
def test_levels_and_slices_are_whole_numbers(
    codec: Codec, picture: np.ndarray, frame: EncodedFrame, wrong: Any
) -> None:
    with pytest.raises(errors.QualityError, match="whole number"):
        codec.encode(picture, quality=wrong)
    with pytest.raises(errors.QualityError, match="whole number"):
        codec.encode(picture, machine_quality=wrong)
    for call in (
        lambda: codec.encode(picture, slices=wrong),
        lambda: codec.decode_human(frame.machine, frame.enhancement, slices=wrong),
        lambda: codec.cut(frame.enhancement, wrong),
    ):
        with pytest.raises(errors.SlicesError, match="whole number"):
            call()
    assert codec.operating_point(np.int64(1), np.uint8(2), np.int32(3)) == OperatingPoint(1, 2, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_layers_are_any_bytes(codec: Codec, frame: EncodedFrame, kind: Callable[[bytes], BytesLike]) -> None:
    machine, enhancement = kind(frame.machine), kind(frame.enhancement)
    assert np.array_equal(codec.decode_machine(machine), codec.decode_machine(frame.machine))
    human = codec.decode_human(frame.machine, frame.enhancement)
    assert np.array_equal(codec.decode_human(machine, enhancement), human)
    assert codec.inspect(machine) == codec.inspect(frame.machine)
    assert codec.cut(enhancement, 2) == codec.cut(frame.enhancement, 2)
    assert isinstance(codec.cut(enhancement, 2), bytes)


@pytest.mark.parametrize("wrong", [None, "layer", 40])
def test_what_is_no_bytes_is_no_layer(codec: Codec, wrong: Any) -> None:
    with pytest.raises(errors.BitstreamError, match=f"not {type(wrong).__name__}"):
        codec.decode_machine(wrong)


def test_layers_of_different_frames_are_told_apart(codec: Codec, frame: EncodedFrame) -> None:
    other = codec.encode(pink_noise(88, 120, seed=9))
    with pytest.raises(errors.MismatchError):
        codec.decode_human(other.machine, frame.enhancement)


def test_swapped_layers_are_refused(codec: Codec, frame: EncodedFrame) -> None:
    with pytest.raises(errors.LayerError):
        codec.decode_machine(frame.enhancement)
    with pytest.raises(errors.LayerError):
        codec.decode_human(frame.enhancement, frame.machine)


def test_streams_of_another_model_are_refused(codec: Codec, frame: EncodedFrame) -> None:
    weights = Weights.load(SHIPPED / "lite.safetensors")
    with torch.no_grad():
        weights.machine.analysis.stem.weight[0, 0] += 1e-3
    other = Codec(weights, device="cpu")
    with pytest.raises(errors.ModelError, match=codec.model_id.hex()):
        other.decode_machine(frame.machine)


def test_wrong_integers_are_never_shown(codec: Codec, frame: EncodedFrame) -> None:
    """A payload of the right form and checksum that stands for other integers, as a device at odds would read it."""
    stream = Bitstream.parsed(frame.machine, Layer.MACHINE)
    (segment,) = stream.segments
    forged = bytes(len(segment.payload))
    with pytest.raises(errors.DesynchronisedError):
        codec.decode_machine(Bitstream(stream.header, (Segment(forged, segment.integers_crc),)).packed())


def test_every_flipped_byte_is_noticed(codec: Codec, frame: EncodedFrame) -> None:
    for at in range(0, len(frame.machine), 7):
        damaged = bytearray(frame.machine)
        damaged[at] ^= 0x10
        with pytest.raises(errors.BitstreamError):
            codec.decode_machine(bytes(damaged))


def test_a_segment_longer_than_its_frame_is_refused(codec: Codec, frame: EncodedFrame) -> None:
    stream = Bitstream.parsed(frame.machine, Layer.MACHINE)
    (segment,) = stream.segments
    for padding in (8, 2**20):
        padded = Segment(segment.payload + bytes(padding), segment.integers_crc)
        with pytest.raises(errors.TrailingDataError):
            codec.decode_machine(Bitstream(stream.header, (padded,)).packed())


def test_a_machine_layer_is_whole(codec: Codec, frame: EncodedFrame) -> None:
    stream = Bitstream.parsed(frame.machine, Layer.MACHINE)
    with pytest.raises(errors.CorruptError):
        codec.inspect(replace(stream, header=replace(stream.header, slices=4)).packed())


def test_threads_share_a_codec(codec: Codec) -> None:
    pictures = [pink_noise(48, 64, seed) for seed in range(6)]
    alone = [codec.encode(image) for image in pictures]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(codec.encode, pictures)) == alone


def test_unknown_profiles_devices_and_files_are_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(errors.WeightsError, match="known: lite"):
        load_codec("heavy")
    with pytest.raises(errors.DeviceError, match="tpu"):
        load_codec("lite", device="tpu")
    with pytest.raises(errors.WeightsError, match="missing"):
        load_codec("lite", weights=tmp_path / "none.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(errors.WeightsError, match="no weights file"):
        load_codec("lite", weights=tmp_path / "junk.safetensors")


def test_a_weights_file_with_switches_of_another_version_is_refused(tmp_path: Path) -> None:
    weights = Weights.load(SHIPPED / "lite.safetensors")
    metadata, tensors = read_weights_file(SHIPPED / "lite.safetensors")
    assert json.loads(metadata["switches"]) == weights.config.switches
    for switches in ('{"gated": true}', "{"):
        save_file(tensors, tmp_path / "other.safetensors", metadata | {"switches": switches})
        with pytest.raises(errors.WeightsError, match=r"other\.safetensors does not fit profile 'lite'"):
            Weights.load(tmp_path / "other.safetensors")


def test_a_weights_file_survives_saving(codec: Codec, tmp_path) -> None:  # type: ignore[no-untyped-def]
    weights = Weights.load(SHIPPED / "lite.safetensors")
    weights.save(tmp_path / "again.safetensors")
    assert Weights.load(tmp_path / "again.safetensors").model_id == codec.model_id


def test_models_that_share_a_machine_layer_say_so() -> None:
    weights = Weights.load(SHIPPED / "lite.safetensors")
    other = replace(weights, enhancement=enhancement_layer(weights.config))
    assert other.machine_id == weights.machine_id
    assert other.model_id != weights.model_id
