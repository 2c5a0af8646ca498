"""Real streams of the FFmpeg that imageio-ffmpeg bundles, on small pictures."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from shared_models import Codec
from shared_models.errors import PeerError
from shared_models.evaluation import video_peers
from shared_models.evaluation.machine_plus_vvc import MachinePlusVvc
from shared_models.evaluation.quality import psnr
from shared_models.evaluation.speed import pink_noise
from shared_models.evaluation.video_peers import (
    VVC,
    X264_STREAM,
    X265,
    X265_STREAM,
    FfmpegPeer,
    FfmpegStreamPeer,
)

FAST_VVC = dataclasses.replace(
    VVC, encoder=tuple("faster" if word == "medium" else word for word in VVC.encoder)
)
BOTH = pytest.mark.parametrize("peer", [X265, FAST_VVC], ids=["x265", "vvc"])
STREAMS = pytest.mark.parametrize("peer", [X264_STREAM, X265_STREAM], ids=["x264", "x265"])
RATE = Fraction(25, 2)


@pytest.fixture(autouse=True, scope="module")
def _ffmpeg_is_there() -> None:
    try:
        imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        pytest.skip(f"imageio-ffmpeg bundles no FFmpeg for this machine: {error}")


@BOTH
def test_a_lower_qp_costs_bits_and_gives_quality(peer: FfmpegPeer) -> None:
    image = pink_noise(96, 128)
    streams = [peer.encode(image, qp) for qp in (37, 27, 17)]
    assert [len(stream) for stream in streams] == sorted({len(stream) for stream in streams})
    closeness = [psnr(image, peer.decode(stream)) for stream in streams]
    assert closeness == sorted(closeness)
    assert closeness[0] > 20.0


@BOTH
@pytest.mark.parametrize("size", [(65, 97), (64, 97), (65, 98)], ids=str)
def test_odd_sizes_come_back_as_they_were(peer: FfmpegPeer, size: tuple[int, int]) -> None:
    image = pink_noise(*size)
    decoded = peer.decode(peer.encode(image, 22))
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint8
    assert psnr(image, decoded) > 27.0


def test_padding_costs_one_byte_and_only_where_there_is_some() -> None:
    image = pink_noise(64, 98)
    even, odd = FAST_VVC.encode(image, 32), FAST_VVC.encode(image[:, :97], 32)
    assert even.startswith(b"\0\0")
    assert odd[0] == 1
    assert odd[1:].startswith(b"\0\0")
    with_repeated_edge = np.concatenate([image[:, :97], image[:, 96:97]], axis=1)
    assert odd[1:] == FAST_VVC.encode(with_repeated_edge, 32)


def test_a_stream_is_parameter_sets_and_one_picture_and_nothing_else() -> None:
    """No SEI, no delimiter, no container, whose bytes would be counted: types of H.265 table 7-1, H.266 table 5."""
    image = pink_noise(64, 64)
    x265, vvc = (re.split(b"\x00\x00\x01", peer.encode(image, 32))[1:] for peer in (X265, FAST_VVC))
    assert [unit[0] >> 1 & 63 for unit in x265] == [32, 33, 34, 20]
    assert [unit[1] >> 3 for unit in vvc] == [15, 16, 17, 7]


def test_colours_survive_the_way_there_and_back() -> None:
    """With nothing lost between: exactly at 4:4:4, and flat colours also at 4:2:0."""
    raw = dataclasses.replace(
        X265, encoder=("-c:v", "libx265", "-x265-params", "lossless=1:info=0:log-level=none")
    )
    ramp = np.stack(np.meshgrid(*[np.linspace(0, 255, 16).astype(np.uint8)] * 3), -1).reshape(64, 64, 3)
    assert np.array_equal(raw.decode(raw.encode(ramp, 0)), ramp)
    flat = np.kron(ramp[::16, ::16], np.ones((16, 16, 1), np.uint8))
    half = dataclasses.replace(raw, pixel_format="yuv420p10le")
    centres = (slice(8, None, 16), slice(8, None, 16))
    difference = half.decode(half.encode(flat, 0))[centres].astype(int) - flat[centres]
    assert np.abs(difference).max() <= 1


def test_near_lossless_x265_gives_near_the_source_back() -> None:
    image = pink_noise(64, 96)
    assert psnr(image, X265.decode(X265.encode(image, 1))) > 50.0


def test_samples_keep_more_than_eight_bits() -> None:
    ramp = np.linspace(0, 2**16 - 1, 64 * 64).astype(np.uint16).reshape(64, 64, 1).repeat(3, axis=2)
    decoded = X265.decode_samples(X265.encode_samples(ramp, 4))
    assert np.abs(decoded.astype(int) - ramp).mean() < 100.0  # an 8-bit step is 257


def test_machine_layer_and_difference_beat_the_machine_layer(codec: Codec) -> None:
    image = pink_noise(65, 97)
    peer = MachinePlusVvc(codec)
    machine = codec.encode(image).machine
    streams = [peer.encode(image, qp) for qp in (33, 21)]
    assert all(stream[4:].startswith(machine) for stream in streams)
    views = [codec.decode_machine(machine), *(peer.decode(stream) for stream in streams)]
    closeness = [psnr(image, view) for view in views]
    assert closeness == sorted(set(closeness))
    assert views[-1].shape == image.shape


def test_differences_of_any_size_are_kept(codec: Codec) -> None:
    """Black and white stripes under the machine layer's resolution: differences of both signs, far from zero."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[::2] = 255
    peer = MachinePlusVvc(codec)
    assert psnr(image, peer.decode(peer.encode(image, 4))) > 35.0


@pytest.fixture
def _asked_anew() -> object:
    video_peers._ffmpeg_path.cache_clear()
    yield
    video_peers._ffmpeg_path.cache_clear()


@pytest.mark.usefixtures("_asked_anew")
def test_an_ffmpeg_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    with pytest.raises(PeerError, match="unset IMAGEIO_FFMPEG_EXE"):
        X265.encode(pink_noise(16, 16), 32)


@pytest.mark.usefixtures("_asked_anew")
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(PeerError, match="make install"):
        X265.encode(pink_noise(16, 16), 32)


def test_what_ffmpeg_says_is_passed_on() -> None:
    absent = dataclasses.replace(X265, encoder=("-c:v", "libnothing"))
    with pytest.raises(PeerError, match="libnothing"):
        absent.encode(pink_noise(16, 16), 32)
    with pytest.raises(PeerError, match="failed"):
        VVC.decode(b"\0\0\0\1 no stream")


def moving(count: int, height: int = 96, width: int = 128) -> list[NDArray[np.uint8]]:
    """Frames of a fixed camera: a picture in which a square goes to the right, two pixels a frame."""
    still = pink_noise(height, width)
    frames = [still.copy() for _ in range(count)]
    for number, frame in enumerate(frames):
        frame[20:44, 2 * number : 2 * number + 24] = (220, 30, 30)
    return frames


def units(stream: bytes, peer: FfmpegStreamPeer) -> list[int]:
    """Types of the NAL units: of H.264 table 7-1, of H.265 table 7-1."""
    found = re.split(b"\x00\x00\x01", stream)[1:]
    return [unit[0] & 31 if peer is X264_STREAM else unit[0] >> 1 & 63 for unit in found]


@STREAMS
def test_a_stream_costs_less_with_a_higher_crf_and_loses_quality(peer: FfmpegStreamPeer) -> None:
    frames = moving(8)
    streams = [peer.encode(frames, crf, frame_rate=RATE, keyint=125) for crf in (44, 34, 24)]
    assert [len(stream) for stream in streams] == sorted({len(stream) for stream in streams})
    decoded = [list(peer.decode(stream)) for stream in streams]
    assert [len(each) for each in decoded] == [8, 8, 8]
    closeness = [
        np.mean([psnr(frame, view) for frame, view in zip(frames, each, strict=True)]) for each in decoded
    ]
    assert closeness == sorted(closeness)
    assert closeness[0] > 18.0
    alone = sum(len(peer.encode([frame], 34, frame_rate=RATE, keyint=125)) for frame in frames)
    assert len(streams[1]) < alone / 2


@STREAMS
def test_key_frames_come_as_often_as_asked_and_nothing_else_is_counted(peer: FfmpegStreamPeer) -> None:
    """Parameter sets and a key frame, then frames predicted from others in the order of capture; no SEI."""
    stream = peer.encode(moving(6), 34, frame_rate=RATE, keyint=3)
    parameters, key, later = ([7, 8], 5, 5) if peer is X264_STREAM else ([32, 33, 34], 20, 21)
    assert units(stream, peer) == [*parameters, key, 1, 1, *parameters, later, 1, 1]
    assert units(peer.encode(moving(6), 34, frame_rate=RATE, keyint=125), peer) == [
        *parameters,
        key,
        *[1] * 5,
    ]


@STREAMS
def test_streams_of_odd_sizes_come_back_as_they_were(peer: FfmpegStreamPeer) -> None:
    frames = moving(3, 65, 97)
    stream = peer.encode(frames, 20, frame_rate=RATE, keyint=125)
    assert stream[0] == 17
    decoded = list(peer.decode(stream))
    assert [view.shape for view in decoded] == [(65, 97, 3)] * 3
    assert min(psnr(frame, view) for frame, view in zip(frames, decoded, strict=True)) > 25.0


def test_a_streams_colours_come_back() -> None:
    flat = [np.full((64, 64, 3), colour, np.uint8) for colour in ((255, 255, 255), (200, 40, 90), (0, 0, 0))]
    decoded = X265_STREAM.decode(X265_STREAM.encode(flat, 1, frame_rate=RATE, keyint=1))
    for frame, view in zip(flat, decoded, strict=True):
        assert np.abs(frame.astype(int) - view).max() <= 3


def test_a_source_that_breaks_off_is_told_as_itself() -> None:
    def breaking() -> Iterator[NDArray[np.uint8]]:
        yield from moving(2)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        X265_STREAM.encode(breaking(), 34, frame_rate=RATE, keyint=125)
    with pytest.raises(PeerError, match="at least one frame"):
        X265_STREAM.encode([], 34, frame_rate=RATE, keyint=125)


def test_frames_of_a_stream_may_be_left_undecoded() -> None:
    stream = X264_STREAM.encode(moving(8), 20, frame_rate=RATE, keyint=125)
    decoding = X264_STREAM.decode(stream)
    assert next(decoding).shape == (96, 128, 3)
    decoding.close()  # type: ignore[attr-defined]
    with pytest.raises(PeerError, match="failed"):
        next(X265_STREAM.decode(b"\0\0\0\1 no stream"))
