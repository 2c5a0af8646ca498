"""The rules by which an edge says which part is slow, over minutes that pass by hand."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from edge.diagnosis import Diagnosis
from edge.metrics import DropReason, SourceState, Tally
from secondsight.trailing import Trailing
from secondsight.verdict import Cause, Part


class Edge:
    """A tally whose clocks are turned by hand, second by second."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.tally = Tally(
            live=True,
            connected=True,
            connections=1,
            credits=8,
            captured_minute=Trailing(clock=lambda: self.now),
        )
        self.diagnosis = Diagnosis(self.tally, clock=lambda: self.now)

    def live(self, seconds: int, each: Callable[[Tally], None] = lambda _: None, frames: int = 10) -> None:
        for _ in range(seconds):
            self.now += 1
            for _ in range(frames):
                self.tally.capture()
                self.tally.last_captured = self.now
            each(self.tally)
            self.diagnosis.look()

    @property
    def cause(self) -> Cause:
        return self.tally.verdict.cause


def waits(unsent: int, credits: int) -> Callable[[Tally], None]:
    def each(tally: Tally) -> None:
        tally.unsent, tally.credits = unsent, credits

    return each


def test_nothing_is_slow_while_frames_flow() -> None:
    edge = Edge()
    edge.live(120)
    assert edge.cause is Cause.NONE
    assert edge.tally.verdict.part is Part.NONE
    assert "nothing is slow" in edge.tally.status_line()


def test_a_camera_that_gives_nothing_is_slow() -> None:
    edge = Edge()
    edge.live(20)
    edge.live(4, frames=0)
    assert edge.cause is Cause.NONE
    edge.live(3, frames=0)
    assert edge.cause is Cause.SOURCE_SILENT
    assert edge.tally.verdict.part is Part.CAMERA
    assert "camera is slow" in edge.tally.status_line()


def test_a_slow_camera_is_silent_after_ten_frame_times() -> None:
    edge = Edge()
    for _ in range(30):
        edge.live(1, frames=1)
        edge.live(3, frames=0)
    edge.live(10, frames=0)
    assert edge.cause is Cause.NONE
    edge.live(31, frames=0)
    assert edge.cause is Cause.SOURCE_SILENT


def test_a_wall_clock_that_is_set_neither_hides_a_silence_nor_makes_one() -> None:
    edge = Edge()
    edge.live(20)
    edge.tally.last_captured_at = time.time() - 3600
    edge.live(1, frames=0)
    assert edge.cause is Cause.NONE
    edge.tally.last_captured_at = time.time() + 3600
    edge.live(10, frames=0)
    assert edge.cause is Cause.SOURCE_SILENT


def test_a_source_that_has_ended_is_not_silent() -> None:
    edge = Edge()
    edge.live(20)
    edge.tally.source = SourceState.ENDED
    edge.live(20, frames=0)
    assert edge.cause is not Cause.SOURCE_SILENT


def test_a_camera_that_gives_fewer_frames_than_in_its_best_minute_is_slow() -> None:
    edge = Edge()
    edge.live(130)
    edge.live(60, frames=7)
    assert edge.cause is Cause.FEW_FRAMES


def test_without_a_connection_the_network_is_slow() -> None:
    edge = Edge()
    edge.live(10)
    edge.tally.connected = False
    edge.live(8)
    assert edge.cause is Cause.NONE
    edge.live(12)
    assert edge.cause is Cause.NOT_CONNECTED
    assert edge.tally.verdict.part is Part.NETWORK
    edge.tally.connected = True
    edge.live(1)
    assert edge.cause is Cause.NONE


@pytest.mark.parametrize(
    ("unsent", "credits", "cause", "part"),
    [
        (3, 0, Cause.NO_CREDITS, Part.SERVER),
        (3, 4, Cause.NO_CREDITS, Part.SERVER),
        (3, 5, Cause.SLOW_ANSWERS, Part.NETWORK),
        (3, 8, Cause.SLOW_ANSWERS, Part.NETWORK),
        (0, 0, Cause.NONE, Part.NONE),
    ],
)
def test_credits_tell_the_server_from_the_network(
    unsent: int, credits: int, cause: Cause, part: Part
) -> None:
    edge = Edge()
    edge.live(30)
    edge.live(5, waits(unsent, credits))
    assert edge.cause is Cause.NONE
    edge.live(5, waits(unsent, credits))
    assert (edge.cause, edge.tally.verdict.part) == (cause, part)


def test_credits_are_compared_within_a_connection() -> None:
    """Another server may grant fewer: that is no sign that it is slow."""
    edge = Edge()
    edge.live(30)
    edge.tally.connect()
    edge.live(30, waits(1, 2))
    assert edge.cause is Cause.SLOW_ANSWERS


def test_a_busy_encoder_is_slow() -> None:
    edge = Edge()

    def drop(tally: Tally) -> None:
        tally.drop(DropReason.ENCODER_SLOW)

    edge.live(30, drop)
    assert edge.cause is Cause.ENCODER_SLOW
    assert edge.tally.verdict.part is Part.ENCODER
