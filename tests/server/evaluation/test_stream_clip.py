"""Videos as clips."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edge.sources.video_file import VideoFile
from server.evaluation.errors import ClipError
from server.evaluation.stream_clip import Clip, clips_of
from tests.server.evaluation.clips import moving, written


def test_frames_come_as_they_were_as_often_as_is_wanted(tmp_path: Path) -> None:
    pictures = moving(5, 48, 64)
    clip = Clip.opened(written(pictures, tmp_path / "a.mkv"))
    assert (clip.shape.width, clip.shape.height, clip.shape.frame_rate) == (64, 48, Fraction(10))
    for _ in range(2):
        assert np.array_equal(list(clip.pictures()), pictures)
    first = Clip.opened(clip.path, 2)
    assert (first.frames, first.digest) == (2, clip.digest)
    assert np.array_equal(list(first.pictures()), pictures[:2])


def test_a_clip_has_the_frames_that_the_edge_would_send(data_root: Path) -> None:
    path = data_root / "video" / "car-detection-10s.mp4"
    if not path.is_file():
        pytest.skip(f"no clip: {path} is missing; set SECONDSIGHT_DATA to a folder that has it")
    source = VideoFile(path)
    clip = Clip.opened(path, 3)
    sent = [frame.image for frame, _ in zip(source.frames(), range(3), strict=False)]
    assert np.array_equal(list(clip.pictures()), sent)
    assert clip.shape.frame_rate == Fraction(25, 2)


def test_looked_at_are_frames_all_over_the_clip(tmp_path: Path) -> None:
    clip = Clip.opened(written(moving(10, 16, 64), tmp_path / "a.mkv"))
    assert clip.spread(2) == (2, 7)
    assert clip.spread(5) == (1, 3, 5, 7, 9)
    assert clip.spread(10) == clip.spread(99) == tuple(range(10))


def test_a_folders_clips_come_by_name_and_other_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("b.mkv", "a.avi"):
        written(moving(2, 16, 64), tmp_path / name)
    (tmp_path / "README.md").write_text("clips")
    assert [clip.path.name for clip in clips_of(tmp_path)] == ["a.avi", "b.mkv"]
    assert [clip.path.name for clip in clips_of(tmp_path / "b.mkv")] == ["b.mkv"]


def test_what_is_no_clip_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"holds no clip .*\.mp4"):
        clips_of(tmp_path)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(ClipError, match=r"broken\.mp4 cannot be read"):
        clips_of(tmp_path)
    with pytest.raises(ClipError, match=r"none\.mp4 cannot be read"):
        clips_of(tmp_path / "none.mp4")
