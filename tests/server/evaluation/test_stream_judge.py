"""Judging by what is known of the pictures and of who looks at them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from server.evaluation.cache import Cache
from server.evaluation.stream_clip import Clip
from server.evaluation.stream_judge import Judge, agreement
from server.recognition import Detection
from tests.server.evaluation.clips import moving, written
from tests.server.evaluation.synthetic import ColourRecogniser


def seen(label: str, x: float, score: float = 0.9) -> Detection:
    return Detection(label, score, x, 10.0, x + 20.0, 40.0)


def test_who_sees_the_same_agrees_whatever_was_unsure() -> None:
    truth = [[seen("person", 10), seen("car", 60)], [], [seen("person", 20)]]
    found = agreement(truth, [[*frame, seen("person", 90, 0.3), seen("dog", 5)] for frame in truth])
    assert (found.at_half, found.mean) == (1.0, 1.0)


def test_categories_weigh_as_much_as_they_have_truths() -> None:
    """Three persons are found and one car is not: 3/4, where a mean over categories would be 1/2."""
    truth = [[seen("person", 10), seen("car", 60)], [seen("person", 20)], [seen("person", 30)]]
    persons = [[found for found in frame if found.label == "person"] for frame in truth]
    assert agreement(truth, persons).at_half == pytest.approx(0.75)
    assert agreement(truth, [[], [], []]).at_half == 0.0


def test_boxes_count_by_their_overlap_and_mistakes_by_their_rank() -> None:
    truth = [[seen("person", 10)]]
    beside = agreement(truth, [[seen("person", 15)]])  # overlap 15/25
    assert (beside.at_half, beside.mean) == (1.0, pytest.approx(0.3))
    wrong_first = agreement(truth, [[seen("person", 70, 0.95), seen("person", 10)]])
    assert wrong_first.at_half == pytest.approx(0.5)


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    return Clip.opened(written(moving(6), tmp_path / "clip.mkv"))


def test_the_originals_agree_with_themselves(clip: Clip) -> None:
    with Cache(None) as cache:
        judge = Judge(clip, {"colours": ColourRecogniser()}, cache, judged=3)
        views = {place: judge.original(place) for place in judge.places}
        assert judge.places == (1, 3, 5)
        assert judge.truths == {"colours": 6}
        assert judge.agreement(views)["colours"].mean == 1.0
        close = judge.closeness(views, similarity=False)
        assert (close.psnr_db, close.ms_ssim_db) == (math.inf, None)
        shifted = {place: np.roll(view, 64, axis=1) for place, view in views.items()}
        assert judge.agreement(shifted)["colours"].at_half == 0.0
        darker = {place: view - np.uint8(5) for place, view in views.items()}
        assert judge.closeness(darker, similarity=True).psnr_db == pytest.approx(34.15, abs=0.01)


def test_who_sees_nothing_in_the_originals_has_no_opinion(clip: Clip) -> None:
    with Cache(None) as cache:
        judge = Judge(clip, {"blind": ColourRecogniser(lambda call: False)}, cache, judged=2)
        views = {place: view[::-1].copy() for place in judge.places for view in [judge.original(place)]}
        assert judge.truths == {"blind": 0}
        assert judge.agreement(views) == {}
