"""Whether a camera's frames come, since when, and what they wait for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from secondsight.v1 import analytics_pb2
from secondsight.verdict import WELL, Cause, Verdict
from server.camera_state import tell_state

LAST = 1_700_000_000.0
LIVE, STALE, OFFLINE = (
    analytics_pb2.CAMERA_STATE_LIVE,
    analytics_pb2.CAMERA_STATE_STALE,
    analytics_pb2.CAMERA_STATE_OFFLINE,
)


@dataclass(frozen=True)
class Watched:
    connected: bool = True
    came_again_at: float | None = LAST - 60
    ours: bool = True
    verdict: Verdict = WELL


def told(
    silent: float, watched: Watched | None, *, uplink_seen: bool = False, edge_verdict: str = ""
) -> analytics_pb2.Camera:
    camera = analytics_pb2.Camera(camera_id="gate", edge={"verdict": edge_verdict} if edge_verdict else None)
    camera.last_frame_at.FromNanoseconds(round(LAST * 1e9))
    tell_state(camera, uplink_seen=uplink_seen, watched=watched, now=LAST + silent)
    return camera


@pytest.mark.parametrize(
    ("silent", "watched", "uplink_seen", "state"),
    [
        (1, Watched(), False, LIVE),
        (9, Watched(), False, LIVE),
        (11, Watched(), False, STALE),
        (11, None, True, STALE),
        (2, Watched(connected=False), False, LIVE),
        (4, Watched(connected=False), False, OFFLINE),
        (4, None, True, LIVE),
        (4000, None, False, OFFLINE),
    ],
)
def test_a_camera_is_live_stale_or_offline(
    silent: float, watched: Watched | None, uplink_seen: bool, state: int
) -> None:
    assert told(silent, watched, uplink_seen=uplink_seen).state == state


def test_since_is_the_last_frame_unless_it_is_live() -> None:
    assert told(20, Watched()).since.seconds == LAST
    assert told(20, None).since.seconds == LAST
    assert told(1, Watched()).since.seconds == LAST - 60
    assert not told(1, None, uplink_seen=True).HasField("since")


@pytest.mark.parametrize(
    ("watched", "edge_verdict", "slow"),
    [
        (Watched(), "", ""),
        (Watched(verdict=Verdict(Cause.BACKLOG, "8 frames wait")), "", "server"),
        (Watched(verdict=Verdict(Cause.BACKLOG)), "encoder_slow", "server"),
        (Watched(), "encoder_slow", "encoder"),
        (Watched(verdict=Verdict(Cause.SOURCE_SILENT)), "few_frames", "camera"),
        (Watched(verdict=Verdict(Cause.BACKLOG), ours=False), "", ""),
        (Watched(), "a word of a later version", ""),
        (Watched(), "not_connected", ""),
        (None, "slow_answers", "network"),
    ],
)
def test_the_server_says_who_is_slow_and_else_the_edge(
    watched: Watched | None, edge_verdict: str, slow: str
) -> None:
    assert told(1, watched, uplink_seen=True, edge_verdict=edge_verdict).slow == slow


def test_of_a_camera_that_is_offline_the_network_is_slow_whatever_its_edge_told_before() -> None:
    camera = told(30, Watched(connected=False), edge_verdict="encoder_slow")
    assert (camera.slow, camera.slow_detail) == ("network", "no uplink is open")


def test_why_is_told_with_its_numbers() -> None:
    camera = told(1, Watched(verdict=Verdict(Cause.BACKLOG, "8 frames wait")))
    assert camera.slow_detail == "recognition lags (8 frames wait)"
