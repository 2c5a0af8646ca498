"""Curves held against each other, by figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from server.evaluation.average_precision import AveragePrecision
from server.evaluation.comparison import Curve, Estimate, compare, share_at, share_of
from server.evaluation.recognition import Measured

COVERAGE = 0.95
CONTEST = (0.1, 0.25)


def point(rates: list[float], values: list[float], setting: str = "") -> Measured:
    precision = np.array(values)
    return Measured(setting, np.array(rates), AveragePrecision(precision, precision))


def test_between_points_precision_follows_the_logarithm_of_the_rate() -> None:
    curve = Curve.of("peer", "peer", [point([0.4, 0.4], [0.3, 0.5]), point([0.1, 0.2], [0.1, 0.1])])
    assert [float(each.bits_per_pixel[0]) for each in curve.points] == [0.1, 0.4]
    # 0.2 is half way from 0.1 to 0.4; in the second sample the curve begins there.
    assert curve.at(np.array([0.2, 0.2])) == pytest.approx([0.2, 0.1])
    # Beyond the ends the outermost line goes on.
    assert curve.at(np.array([0.8, 0.8])) == pytest.approx([0.4, 0.9])
    assert (curve.reaches(0.1), curve.reaches(0.4), curve.reaches(0.41)) == (True, True, False)


def test_a_middle_segment_is_found() -> None:
    curve = Curve.of("peer", "peer", [point([rate], [value]) for rate, value in ((1, 0), (10, 1), (100, 5))])
    assert curve.at(np.array([10.0])) == pytest.approx([1])
    assert curve.at(np.array([10**1.5])) == pytest.approx([3])


def test_only_points_of_the_contest_are_compared_and_only_where_the_peer_is() -> None:
    peer = Curve.of("peer", "peer", [point([0.12] * 3, [0.1] * 3), point([0.3] * 3, [0.1] * 3)])
    ours = Curve.of(
        "machine layer",
        "ours",
        [
            point([0.09] * 3, [0.9] * 3, "below"),
            point([0.11] * 3, [0.9] * 3, "too low for the peer"),
            point([0.15] * 3, [0.2, 0.15, 0.25], "better"),
            point([0.2] * 3, [0.05, 0.02, 0.15], "unsure"),
            point([0.26] * 3, [0.9] * 3, "above"),
        ],
    )
    none, better, unsure = compare(ours, peer, CONTEST, COVERAGE)
    assert (none.setting, none.difference, none.verdict) == (
        "too low for the peer",
        None,
        "out of the peer's range",
    )
    assert better.difference is not None
    assert better.difference.value == pytest.approx(0.1)
    assert 0.05 < better.difference.low < better.difference.high < 0.15
    assert (better.verdict, unsure.verdict) == ("above", "below, not surely")


def test_a_curve_held_against_itself_differs_by_nothing_in_every_resample() -> None:
    rng = np.random.default_rng(1)
    points = [
        point(list(rate + 0.01 * rng.random(50)), list(rng.random(50)), str(rate))
        for rate in (0.11, 0.15, 0.24)
    ]
    for comparison in compare(
        Curve.of("a", "ours", points), Curve.of("b", "peer", points), CONTEST, COVERAGE
    ):
        assert comparison.difference is not None
        for value in (comparison.difference.value, comparison.difference.low, comparison.difference.high):
            assert value == pytest.approx(0, abs=1e-12)


def test_estimates_are_the_set_and_the_percentiles_of_the_resamples() -> None:
    samples = np.concatenate([[7.0], np.arange(101.0), [np.nan]])
    assert Estimate.of(samples, 0.9) == Estimate(7.0, pytest.approx(5.0), pytest.approx(95.0))
    assert Estimate.of(np.array([3.0]), 0.9) == Estimate(3.0, 3.0, 3.0)


def test_shares_leave_out_resamples_in_which_nothing_is_found_in_the_original() -> None:
    original = point([0] * 4, [0.4, 0.5, 0.0, 0.5])
    assert share_of(np.array([0.2, 0.4, 0.1, 0.4]), original, COVERAGE) == Estimate(
        pytest.approx(0.5), pytest.approx(0.8), pytest.approx(0.8)
    )
    curve = Curve.of("ours", "ours", [point([0.1] * 4, [0.2] * 4), point([0.4] * 4, [0.4] * 4)])
    at = share_at(curve, original, 0.2, COVERAGE)
    assert at is not None
    assert (at.value, at.low) == (pytest.approx(0.75), pytest.approx(0.6))
    assert share_at(curve, original, 0.5, COVERAGE) is None
