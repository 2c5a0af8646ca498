from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.errors import SourceError
from edge.sources import open_source
from tests.edge.conftest import ClipMaker


def test_a_video_file_gives_its_frames_with_their_times(make_clip: ClipMaker) -> None:
    before = time.time_ns()
    frames = list(open_source(str(make_clip(frames=10, rate=10)), threading.Event()).frames())
    assert [frame.pts_us for frame in frames] == [100_000 * index for index in range(10)]
    assert [round(float(frame.image.mean()) / 8) for frame in frames] == list(range(10))
    assert all(frame.image.shape == (48, 64, 3) and frame.image.dtype == np.uint8 for frame in frames)
    assert all(before <= frame.captured_at_ns <= time.time_ns() for frame in frames)


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


@pytest.mark.parametrize("address", ["nowhere.mp4", "ftp://camera/stream", "v4l2:///dev/video0?zoom=2"])
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


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(SourceError, match=r"a\.png"):
        list(open_source(str(tmp_path), threading.Event()).frames())
