from __future__ import annotations

import gc
import re
import subprocess
import threading
import time
from dataclasses import replace
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from edge.config import WatchdogConfig
from edge.errors import SourceError
from edge.metrics import SourceState, Tally
from edge.sources import decoded_video, open_source
from edge.sources.synthetic import Scene, SyntheticPicture
from tests.edge.conftest import ClipMaker


def test_a_video_file_gives_its_frames_with_their_times(make_clip: ClipMaker) -> None:
    before = time.time_ns()
    frames = list(open_source(str(make_clip(frames=10, rate=10)), threading.Event()).frames())
    assert [frame.pts_us for frame in frames] == [100_000 * index for index in range(10)]
    assert [round(float(frame.image.mean()) / 8) for frame in frames] == list(range(10))
    assert all(frame.image.shape == (48, 64, 3) and frame.image.dtype == np.uint8 for frame in frames)
    assert all(before <= frame.captured_at_ns <= time.time_ns() for frame in frames)


@pytest.mark.parametrize(
    "displayed",
    [
        "-display_rotation 90",
        "-display_rotation -90",
        "-display_rotation 180",
        "-display_rotation 0 -display_hflip",
        "-display_rotation 90 -display_hflip",
    ],
)
def test_a_recording_is_turned_as_players_turn_it(
    make_moving_clip: ClipMaker, tmp_path: Path, displayed: str
) -> None:
    ffmpeg, turned = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"], tmp_path / "turned.mp4"
    held = [*ffmpeg, "-i", make_moving_clip(frames=2), "-c:v", "libx264", "-qp", "0", tmp_path / "held.mp4"]
    subprocess.run(held, check=True)
    subprocess.run(
        [*ffmpeg, *displayed.split(), "-i", tmp_path / "held.mp4", "-c", "copy", turned], check=True
    )
    shown = tmp_path / "shown.png"
    subprocess.run([*ffmpeg, "-i", turned, "-frames:v", "1", shown], check=True)
    frame = next(iter(open_source(str(turned), threading.Event()).frames()))
    with Image.open(shown) as picture:
        expected = np.asarray(picture.convert("RGB"))
    assert frame.image.shape == expected.shape
    assert np.abs(frame.image.astype(int) - expected).mean() < 3
    assert frame.image.flags.c_contiguous


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """100 frames of H.264."""
    path = tmp_path_factory.mktemp("recording") / "clip.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=4", "-c:v", "libx264"]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *picture, path], check=True)
    return path.read_bytes()


def test_decoded_pictures_are_let_go_of_at_once(recording: bytes, tmp_path: Path) -> None:
    """They hold threads, too: what waits for the collection of garbage adds up."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(recording)
    gc.collect()
    gc.disable()
    try:
        before = _pictures_alive()
        frames = open_source(str(path), threading.Event()).frames()
        assert len(list(islice(frames, 60))) == 60
        waiting = _pictures_alive() - before
    finally:
        gc.enable()
    # The one in hand, and what its packet gave besides.
    assert waiting <= 3


def test_nothing_of_a_recording_that_was_read_before_waits_for_garbage_to_be_collected(
    recording: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(recording)

    def read_some() -> None:
        assert len(list(islice(open_source(str(path), threading.Event()).frames(), 3))) == 3

    read_some()
    gc.collect()
    gc.disable()
    try:
        threads, before = _threads(), _pictures_alive()
        for _ in range(10):
            read_some()
        more, waiting = _threads() - threads, _pictures_alive() - before
    finally:
        gc.enable()
    # A thread that has ended may still be seen for a moment.
    assert more < 10
    assert waiting <= 0


def _pictures_alive() -> int:
    """Decoded pictures that Python has not let go of, but for the small copies that are asked for their side data."""
    # By type, for some objects of other libraries warn when they are asked for their class.
    return sum(type(each) is av.VideoFrame and each.width > 16 for each in gc.get_objects())


def _threads() -> int:
    """Of this process, also those that Python knows nothing of."""
    return len(list(Path("/proc/self/task").iterdir()))


def _damaged(recording: bytes, begin: int, length: int) -> bytes:
    noise = np.random.default_rng(2).integers(0, 256, length, np.uint8).tobytes()
    return recording[:begin] + noise + recording[begin + length :]


def test_a_recording_goes_on_behind_its_damage(
    recording: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(_damaged(recording, len(recording) // 3, 4000))
    frames = list(open_source(str(path), threading.Event()).frames())
    (told,) = caplog.messages
    left_out = re.fullmatch(rf"{path}: (\d+) packets could not be decoded and were left out", told)
    assert left_out is not None
    assert len(frames) == 100 - int(left_out[1]) < 100
    assert frames[-1].pts_us == 99 * 40_000


def test_a_recording_of_nothing_but_damage_is_an_error(
    recording: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, begin = tmp_path / "clip.mp4", recording.index(b"mdat") + 4
    length = int.from_bytes(recording[begin - 8 : begin - 4], "big") - 8
    path.write_bytes(_damaged(recording, begin, length))
    source = open_source(str(path), threading.Event())
    with pytest.raises(SourceError, match="none of its packets can be decoded"):
        list(source.frames())
    monkeypatch.setattr(decoded_video, "_MOST_DAMAGED", 20)
    with pytest.raises(SourceError, match="20 packets in a row cannot be decoded"):
        list(source.frames())


def test_a_recording_can_be_read_anew(make_clip: ClipMaker) -> None:
    source = open_source(str(make_clip(frames=3)), threading.Event())
    assert not source.live
    assert len(list(source.frames())) == len(list(source.frames())) == 3


def test_a_file_url_is_a_file(make_clip: ClipMaker) -> None:
    assert len(list(open_source(make_clip(frames=2).as_uri(), threading.Event()).frames())) == 2


def test_a_folder_gives_its_images_by_name_upright_and_in_rgb(tmp_path: Path) -> None:
    Image.new("L", (40, 20), 200).save(tmp_path / "b.png")
    rotated = Image.new("RGB", (40, 20), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    rotated.save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "notes.txt").write_text("no image")
    frames = list(open_source(str(tmp_path), threading.Event()).frames())
    assert [frame.image.shape for frame in frames] == [(40, 20, 3), (20, 40, 3)]
    assert frames[0].image[20, 10].tolist() == pytest.approx([254, 0, 0], abs=2)
    assert frames[0].pts_us < frames[1].pts_us


@pytest.mark.parametrize("address", ["nowhere.mp4", "ftp://camera/stream"])
def test_an_address_that_names_nothing_is_refused(address: str) -> None:
    with pytest.raises(SourceError):
        open_source(address, threading.Event())


def test_a_file_that_is_no_video_says_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("no video")
    with pytest.raises(SourceError, match=r"notes\.mp4"):
        list(open_source(str(path), threading.Event()).frames())


def test_a_folder_without_images_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no images"):
        list(open_source(str(tmp_path), threading.Event()).frames())


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_images_of_16_bits_keep_their_grey_levels(tmp_path: Path, name: str) -> None:
    levels = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 20, 0)
    Image.fromarray(levels).save(tmp_path / name)
    (frame,) = open_source(str(tmp_path), threading.Event()).frames()
    assert np.array_equal(frame.image, np.repeat((levels // 257).astype(np.uint8)[..., None], 3, axis=2))


def test_an_image_that_cannot_be_read_is_left_out_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    for name in ("a.png", "b.png", "f.png"):
        Image.fromarray(picture).save(tmp_path / name)
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "c.jpg").touch()
    (tmp_path / "d.jpg").mkdir()
    (tmp_path / "._a.png").write_bytes(b"Mac OS X")
    source = open_source(str(tmp_path), threading.Event())
    for _ in range(2):
        frames = list(source.frames())
        assert [frame.pts_us for frame in frames] == [0, 200_000]
        assert all(np.array_equal(frame.image, picture) for frame in frames)
    one, two = caplog.messages
    assert one.startswith(f"an image is left out, 1 of {tmp_path} so far: {tmp_path / 'b.png'}")
    assert two.startswith(f"an image is left out, 2 of {tmp_path} so far: {tmp_path / 'c.jpg'}")


def test_a_folder_of_nothing_but_broken_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(SourceError, match=r"none of the images in .* can be read"):
        list(open_source(str(tmp_path), threading.Event()).frames())


def test_what_is_joined_from_several_recordings_goes_on_in_time(tmp_path: Path) -> None:
    parts = []
    for start_s in (7200, 100, 100):
        path = tmp_path / "part.ts"
        with av.open(str(path), "w", format="mpegts") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width, stream.height = 64, 48
            stream.pix_fmt = "yuv420p"
            for index in range(5):
                picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
                picture.pts, picture.time_base = 25 * start_s + index, Fraction(1, 25)
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        parts.append(path.read_bytes())
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(parts))
    times = [frame.pts_us for frame in open_source(str(joined), threading.Event()).frames()]
    assert len(times) >= 13
    steps = {round((later - earlier) / 1000) for earlier, later in pairwise(times)}
    assert steps <= {40, 80}


def test_a_synthetic_camera_gives_a_scene_in_its_own_pace() -> None:
    tally = Tally()
    source = open_source("synthetic://?width=160&height=96&fps=100&seed=3", threading.Event(), tally)
    assert source.live
    began = time.monotonic()
    frames = []
    for frame in source.frames():
        frames.append(frame)
        if len(frames) == 20:
            source.close()
    assert time.monotonic() - began >= 0.15
    assert tally.source_reconnects == 0
    assert all(frame.image.shape == (96, 160, 3) and frame.image.dtype == np.uint8 for frame in frames)
    picture = SyntheticPicture(Scene(width=160, height=96, fps=100, seed=3))
    # Its name in the scene is its time: whoever was late has left some out.
    assert np.array_equal(frames[-1].image, picture.at(round(frames[-1].pts_us / 10_000)))


def test_a_scene_is_that_of_its_seed_with_noise_and_motion() -> None:
    scene = Scene(width=160, height=96, seed=1, noise=3.0)
    one, again, other = (SyntheticPicture(s) for s in (scene, scene, replace(scene, seed=2)))
    assert np.array_equal(one.at(7), again.at(7))
    assert not np.array_equal(one.at(7), other.at(7))
    still = SyntheticPicture(replace(scene, objects=0))
    noise = still.at(7).astype(float) - still.at(8)
    assert np.std(noise) == pytest.approx(3.0 * 2**0.5, rel=0.1)
    moved = np.abs(one.at(0).astype(float) - one.at(15)) > 30
    assert 0.01 < moved.mean() < 0.9


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("synthetic://?widht=64", "widht"),
        ("synthetic://?width=wide", "'wide'"),
        ("synthetic://?width=8", "16 to 8192"),
        ("synthetic://?fps=0", "frames per second"),
        ("v4l2:///dev/video0?zoom=2", "zoom"),
        ("v4l2:///dev/video0?width=640", "width and height"),
        ("v4l2:///dev/video0?fps=fast", "'fast'"),
        ("ftp://camera/stream", "rtsp://"),
    ],
)
def test_what_cannot_be_asked_of_a_camera_is_named(address: str, named: str) -> None:
    with pytest.raises(SourceError, match=re.escape(named)):
        open_source(address, threading.Event())


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("rtsp://", "names no host"),
        ("rtsps:///stream", "names no host"),
        ("rtsp://user:hunter2@/stream", "names no host"),
        ("rtsp://user:hunter2@door:high/stream", "is no number to 65535"),
        ("rtsp://user:hunter[2@door/stream", "cannot be read"),
    ],
)
def test_a_network_camera_without_a_host_is_refused(address: str, told: str) -> None:
    with pytest.raises(SourceError, match=rf"{told}: (give rtsp://HOST/PATH|write `\[`)") as caught:
        open_source(address, threading.Event())
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("address", ["/dev/video97", "v4l2:///dev/video97?width=640&height=480&format=mjpeg"])
def test_a_device_that_is_not_plugged_in_is_waited_for(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    tally = Tally()
    camera = open_source(
        address, threading.Event(), tally, WatchdogConfig(reopen_base_s=0.01, reopen_cap_s=0.01)
    )
    assert camera.live
    thread = threading.Thread(target=lambda: list(camera.frames()))
    thread.start()
    while tally.source_reconnects < 3:
        time.sleep(0.01)
    camera.close()
    thread.join()
    assert tally.source is SourceState.AWAY
    assert "/dev/video97: No such file or directory" in caplog.text


@pytest.mark.skipif(not Path("/dev/video0").exists(), reason="no camera is plugged in at /dev/video0")
def test_a_camera_that_is_plugged_in_gives_frames() -> None:
    source = open_source("/dev/video0", threading.Event())
    frame = next(iter(source.frames()))
    source.close()
    assert frame.image.dtype == np.uint8 and frame.image.ndim == 3
