"""Frames in which nothing happens are left out, and nothing that happens is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.capture import Capture
from edge.config import CaptureConfig, MotionConfig
from edge.errors import ConfigError
from edge.frame import CapturedFrame
from edge.metrics import DropReason, Tally
from edge.motion_gate import MotionGate
from edge.sources.synthetic import Scene, SyntheticPicture

SCENE = Scene(width=320, height=192, seed=5, noise=4.0)


def let_through(pictures: list[NDArray[np.uint8]], motion: MotionConfig) -> list[int]:
    gate = MotionGate(motion)
    return [
        number
        for number, picture in enumerate(pictures)
        if gate.lets_through(CapturedFrame(picture, 0, 100_000 * number))
    ]


def test_the_noise_of_a_camera_is_no_motion() -> None:
    still = SyntheticPicture(replace(SCENE, objects=0))
    assert let_through([still.at(number) for number in range(60)], MotionConfig()) == [0]


def test_a_still_scene_is_seen_in_intervals() -> None:
    still = SyntheticPicture(replace(SCENE, objects=0))
    pictures = [still.at(number) for number in range(45)]
    assert let_through(pictures, MotionConfig(longest_interval_s=2)) == [0, 20, 40]


def test_what_moves_is_let_through() -> None:
    moving = SyntheticPicture(replace(SCENE, objects=1))
    pictures = [moving.at(15 * number) for number in range(10)]
    assert let_through(pictures, MotionConfig()) == list(range(10))


def test_what_comes_slowly_adds_up() -> None:
    scene = SyntheticPicture(replace(SCENE, objects=0)).at(0)
    pictures = [np.clip(scene.astype(int) + number, 0, 255).astype(np.uint8) for number in range(30)]
    assert let_through(pictures, MotionConfig()) == [0, 9, 18, 27]


class Recording:
    """A still scene in which something happens once, in frame 12."""

    live = False

    def frames(self) -> Iterator[CapturedFrame]:
        still, moving = SyntheticPicture(replace(SCENE, objects=0)), SyntheticPicture(SCENE)
        for number in range(20):
            yield CapturedFrame((moving if number == 12 else still).at(number), 0, 100_000 * number)

    def close(self) -> None:
        pass


async def test_frames_without_motion_are_counted_also_where_the_source_is_held_back() -> None:
    tally = Tally()
    config = CaptureConfig(speed=0, motion=MotionConfig(longest_interval_s=1.5))
    capture = Capture(Recording(), config, tally, hold_source=True, stopped=threading.Event())
    capture.start()
    taken = []
    while (frame := await capture.take()) is not None:
        taken.append(frame.pts_us // 100_000)
    assert taken == [0, 12, 13]
    assert tally.captured == 20
    assert tally.dropped == {DropReason.NO_MOTION: 17}


@pytest.mark.parametrize("option", [{"least_change": 0.0}, {"threshold": 0.0}, {"longest_interval_s": 0.0}])
def test_an_impossible_gate_is_refused(option: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        MotionConfig(**option)
