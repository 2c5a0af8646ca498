"""Goals, contests and text of streams, from curves worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from shared_models.evaluation.report_page import page_of
from shared_models.evaluation.stream import GROUPS, KEYS_ALONE, ClipFindings
from shared_models.evaluation.stream_goals import StreamLimits, contests, stream_goals
from shared_models.evaluation.stream_report import STREAM_KEYS, stream_report
from tests.shared_models.evaluation.streams import curve, findings, point

LIMITS = StreamLimits(rate=0.15, both_ratio=2.0, share=0.25)
PEER = curve([point(100, 30, 0.9), point(400, 40, 1.0)])
"""0.2 bit/pixel at 35 dB, and at 95 % agreement."""


def told(clip: ClipFindings) -> dict[str, Any]:
    return clip.as_dict()


def reached(clip: ClipFindings) -> dict[str, bool | None]:
    return {goal.text: goal.reached for goal in stream_goals(told(clip), LIMITS)}


def test_a_codec_that_pays_for_change_alone_reaches_the_goals() -> None:
    ours = curve([point(50, 35, 0.8, enhancement=50), point(100, 36, 1.0, enhancement=50)], GROUPS)
    clip = findings(ours, PEER)
    assert set(reached(clip).values()) == {True}
    assert len(reached(clip)) == 4
    assert {contest.better for contest in contests(told(clip), LIMITS)} == {"ours"}


def test_one_that_costs_more_does_not_and_is_told_to() -> None:
    ours = curve([point(300, 35, 0.8, enhancement=300), point(500, 36, 1.0, enhancement=300)], GROUPS)
    clip = findings(ours, PEER)
    assert set(reached(clip).values()) == {False}
    verdicts = [contest.better for contest in contests(told(clip), LIMITS)]
    assert verdicts[:2] == ["x265", "x265, by 3.00"]
    assert len(verdicts) == 5
    assert all(verdict.startswith("x265") for verdict in verdicts)


def test_one_setting_that_reaches_a_goal_suffices_and_all_are_told() -> None:
    ours = curve([point(50, 35, 1.0, enhancement=50), point(500, 36, 1.0, enhancement=50)], GROUPS)
    *_, every, share = stream_goals(told(findings(ours, PEER)), LIMITS)
    assert every.reached is True
    assert share.reached is True
    for goal in (every, share):
        cheap, dear = (float(each.split(": ")[1].split()[0]) for each in goal.found.split("; "))
        assert cheap < 1.0 < 2.0 < dear


def test_our_lowest_setting_counts_as_what_it_costs_and_the_others_as_no_more_than_known() -> None:
    peer = curve([point(10, 30, 1.0), point(400, 40, 1.0)])
    ours = curve([point(20, 35, 1.0, enhancement=1), point(100, 36, 1.0, enhancement=1)], GROUPS)
    goals = reached(findings(ours, peer))
    assert goals["machine layer: at most 0.15 bit/pixel at 95 % agreement of detector"] is True
    assert goals["machine layer: no more bits than x265 at 95 % agreement of detector"] is False
    lower = curve([point(5, 35, 1.0, enhancement=1), point(100, 36, 1.0, enhancement=1)], GROUPS)
    clip = findings(lower, peer)
    assert reached(clip)["machine layer: no more bits than x265 at 95 % agreement of detector"] is None
    assert contests(told(clip), LIMITS)[0].better == "not decided by what was measured"


@pytest.mark.parametrize(("size", "better"), [(90, True), (110, False)])
def test_a_moving_camera_has_to_do_no_worse_than_key_frames_alone(size: int, better: bool) -> None:
    keys = curve([point(50, 30, 1.0, enhancement=50), point(50, 36, 1.0, enhancement=50)], KEYS_ALONE)
    ours = curve([point(size - 10, 33, 1.0, enhancement=10)], GROUPS)
    (goal,) = stream_goals(told(findings(ours, keys, PEER, moving=True)), LIMITS)
    assert goal.reached is better
    (unmeasured,) = stream_goals(told(findings(ours, PEER, moving=True)), LIMITS)
    assert unmeasured.reached is None


def test_without_x265_nothing_is_held_against_it() -> None:
    ours = curve([point(50, 35, 1.0, enhancement=50)], GROUPS)
    clip = told(findings(ours))
    assert contests(clip) == []
    assert [goal.reached for goal in stream_goals(clip, LIMITS)] == [True, None, None, None]


def figures(*clips: ClipFindings) -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys(STREAM_KEYS, 1)
    return values | {
        "command": "secondsight eval stream folder",
        "model": "0123456789abcdef",
        "group": {"longest": 250},
        "truth_score": 0.5,
        "clips": [told(clip) for clip in clips],
    }


def test_the_text_tells_every_point_and_shows_every_plot() -> None:
    ours = curve([point(50, 35, 0.8, enhancement=50), point(100, 36, 1.0, enhancement=50)], GROUPS)
    keys = curve([point(500, 35, 1.0, enhancement=300)], KEYS_ALONE)
    jpeg = curve([point(2000, 33, 1.0)], "JPEG (by hand) per frame")
    report = stream_report(figures(findings(ours, keys, PEER, jpeg)), "stream")
    assert sorted(report.pictures) == [
        "stream/gate-1-cost.svg",
        "stream/gate-1-detector.svg",
        "stream/gate-1-psnr.svg",
    ]
    assert "## gate\\|1.mp4" in report.text
    assert "secondsight eval stream folder" in report.text
    points = report.text.partition("### All points")[2].strip().splitlines()
    assert len(points) == 2 + 6
    plot = report.pictures["stream/gate-1-detector.svg"].decode()
    assert all(name in plot for name in ("ours, groups", "ours, keys alone", "x265", "JPEG"))
    assert "<svg" not in report.text
    assert page_of(report).count("data:image/svg+xml;base64,") == 3


def test_a_clip_without_x265_or_anything_to_see_is_told_all_the_same() -> None:
    ours = curve([point(50, 35, 0.8, enhancement=50)], GROUPS)
    report = stream_report(figures(findings(ours)), "stream")
    assert "was not measured around the PSNR of our settings" in report.text
    assert list(report.pictures) == ["stream/gate-1-detector.svg", "stream/gate-1-psnr.svg"]
