"""What follows from measured streams, by figures worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest

from shared_models.evaluation.stream import (
    GROUPS,
    KEYS_ALONE,
    Closeness,
    HumanViews,
    LayerSizes,
    Reached,
    StreamPoint,
)
from tests.shared_models.evaluation.streams import FRAMES, SHAPE, VIEWS, curve, findings, point


def test_rates_are_bits_over_pixels_and_over_time() -> None:
    rate = SHAPE.rate(4000, 8)
    assert (rate.bits_per_pixel, rate.bits_per_second) == (0.5, 40_000)


def test_a_keys_enhancement_counts_once_and_with_every_view_of_its_group() -> None:
    """Frames 0 to 2 are one group, 3 and 4 another."""
    sizes = LayerSizes((50, 1, 2, 60, 3), (500, 10, 20, 600, 30), (0, 0, 0, 3, 3))
    machine = 116
    assert sizes.keys == 2
    assert sizes.costs([1, 2, 3, 0, 4]) == [
        machine,
        machine + 510,  # frame 1 and its key
        machine + 530,  # frame 2, whose key is there
        machine + 1130,  # frame 3, a key itself
        machine + 1130,  # frame 0, there already
        machine + 1160,
    ]


def test_shares_of_human_views_are_drawn_by_the_seed_and_grow() -> None:
    sizes = LayerSizes(tuple(range(100)), tuple(range(100, 200)), (0,) * 100)
    shares = (0.0, 0.001, 0.05, 0.5, 1.0)
    first, again, other = (HumanViews(shares, seed, draws=1).costs(SHAPE, sizes) for seed in (1, 1, 2))
    assert first == again
    assert first[2].rate != other[2].rate
    assert [cost.views for cost in first] == [0, 1, 5, 50, 100]
    assert first[0].rate == SHAPE.rate(sum(sizes.machine), 100)
    assert first[-1].rate == SHAPE.rate(sum(sizes.machine) + sum(sizes.enhancement), 100)
    assert [cost.layers for cost in first] == [0, 2, 6, 51, 100]


def test_costs_are_means_over_the_draws() -> None:
    """Of four frames in two groups, with keys of 100 and 300 bytes, others of 10 and 30."""
    sizes = LayerSizes((1, 1, 1, 1), (100, 10, 300, 30), (0, 0, 2, 2))
    views = HumanViews((0.0, 0.25, 1.0), seed=1, draws=2000)
    none, one, both = views.costs(SHAPE, sizes)
    assert (none.layers, both.layers) == (0, 4)
    assert one.layers == pytest.approx(1.5, abs=0.05)
    assert views.mean_bytes(sizes)[1] == pytest.approx(4 + (100 + 110 + 300 + 330) / 4, rel=0.02)
    (first,), (second,) = (
        [HumanViews((0.25,), seed, draws=2000).costs(SHAPE, sizes)[0].rate.bits_per_pixel] for seed in (1, 2)
    )
    assert first == pytest.approx(second, rel=0.02)


def test_decibels_are_those_of_the_mean_error() -> None:
    close = Closeness.of([0.0, 2 * 65.025], [0.0, 0.02])
    assert close.psnr_db == pytest.approx(30.0)
    assert close.ms_ssim_db == pytest.approx(20.0)
    assert Closeness.of([0.0], [0.0]) == Closeness(math.inf, math.inf)
    assert Closeness.of([1.0], [None]).ms_ssim_db is None


def test_the_rate_at_an_agreement_lies_between_two_points() -> None:
    found = curve([point(400, 40, 1.0), point(100, 30, 0.9)]).rate_at_agreement("detector", 0.95)
    assert found == Reached(pytest.approx(0.2), "at")
    assert curve([point(100, 30, 0.9)]).rate_at_agreement("another", 0.95) is None


def test_what_the_ladder_does_not_bracket_is_told_as_that() -> None:
    high, low = (
        curve([point(100, 30, agreement), point(400, 40, agreement)]).rate_at_agreement("detector", 0.95)
        for agreement in (0.96, 0.94)
    )
    assert (high, low) == (Reached(0.1, "below"), Reached(0.4, "above"))
    assert (str(high), str(low)) == ("below 0.1000", "above 0.4000")


def test_the_first_rate_that_agrees_counts_where_a_curve_bends_back() -> None:
    bent = curve([point(100, 30, 0.9), point(200, 31, 1.0), point(400, 32, 0.9), point(800, 33, 1.0)])
    assert bent.rate_at_agreement("detector", 1.0) == Reached(pytest.approx(0.2), "at")


@pytest.mark.parametrize(
    ("ours", "theirs", "less"),
    [
        (Reached(0.1, "at"), Reached(0.2, "at"), True),
        (Reached(0.2, "at"), Reached(0.2, "at"), False),
        (Reached(0.1, "at"), Reached(0.2, "below"), None),
        (Reached(0.3, "at"), Reached(0.2, "below"), False),
        (Reached(0.1, "below"), Reached(0.2, "at"), True),
        (Reached(0.1, "at"), Reached(0.2, "above"), True),
        (Reached(0.3, "at"), Reached(0.2, "above"), None),
        (Reached(0.3, "above"), Reached(0.2, "at"), False),
        (Reached(0.1, "above"), Reached(0.2, "at"), None),
        (Reached(0.1, "above"), Reached(0.2, "above"), None),
    ],
    ids=str,
)
def test_rates_are_compared_as_far_as_they_are_known(
    ours: Reached, theirs: Reached, less: bool | None
) -> None:
    assert ours.less_than(theirs) is less


def test_rates_are_held_against_limits() -> None:
    assert Reached(0.2, "at").at_most(0.2) is True
    assert Reached(0.2, "below").at_most(0.2) is True
    assert Reached(0.21, "at").at_most(0.2) is False
    assert Reached(0.21, "below").at_most(0.2) is None
    assert Reached(0.2, "above").at_most(0.2) is None
    assert Reached(0.21, "above").at_most(0.2) is False


def test_the_rate_at_a_psnr_is_read_off_by_its_logarithm() -> None:
    peer = curve([point(100, 30, 1), point(400, 40, 1), point(500, math.inf, 1)])
    assert peer.rate_at_psnr(35) == pytest.approx(0.2)
    assert (peer.rate_at_psnr(29.9), peer.rate_at_psnr(40.1)) == (None, None)
    assert (peer.rate_at_psnr(30), peer.rate_at_psnr(40)) == (pytest.approx(0.1), pytest.approx(0.4))


def test_ours_against_another_at_equal_psnr() -> None:
    """x265 needs 1600 bytes at 35 dB. Ours: 800, and 150 for each view, before which its key may have to come."""
    peer = curve([point(100, 30, 1), point(400, 40, 1)])
    own = point(100, 35, 1, enhancement=150)
    against = VIEWS.against(curve([own], GROUPS), own, peer)
    assert against.bits_per_pixel == pytest.approx(0.2)
    assert against.machine_ratio == pytest.approx(0.5)
    assert against.both_ratio == pytest.approx(1.25)
    assert against.share_ratios is not None
    assert against.share_ratios[0.0] == against.machine_ratio
    assert against.share_ratios[1.0] == against.both_ratio
    # 800 bytes are five enhancement layers and a bit: those of both keys and three more, or fewer views beside them.
    assert own.sizes is not None
    affordable = [cost <= 1600 for cost in VIEWS.mean_bytes(own.sizes)]
    assert against.break_even == (sum(affordable) - 1) / FRAMES
    assert 3 <= sum(affordable) - 1 <= 5


def test_a_machine_layer_that_costs_more_alone_has_no_break_even() -> None:
    peer = curve([point(100, 30, 1), point(400, 40, 1)])
    dear, cheap = (point(size, 35, 1, enhancement=50) for size in (201, 149))
    assert VIEWS.against(curve([dear], GROUPS), dear, peer).break_even is None
    assert VIEWS.against(curve([cheap], GROUPS), cheap, peer).break_even == 1.0
    beyond = point(100, 41, 1, enhancement=50)
    against = VIEWS.against(curve([beyond], GROUPS), beyond, peer)
    assert (against.bits_per_pixel, against.both_ratio, against.break_even) == (None, None, None)


def test_points_come_back_from_a_file_as_they_were() -> None:
    for each in (point(100, 35, 0.9, enhancement=20), point(100, math.inf, 0.9)):
        assert StreamPoint.recalled(json.loads(json.dumps(asdict(each)))) == each


def test_all_of_it_is_told_for_json() -> None:
    ours = curve([point(100, 35, 0.9, enhancement=50), point(200, 39, 1.0, enhancement=100)], GROUPS)
    keys = curve([point(400, 35, 1.0, enhancement=200), point(800, 40, 1.0, enhancement=200)], KEYS_ALONE)
    peer = curve([point(100, 30, 0.5), point(400, math.inf, 1.0)])
    told = json.loads(json.dumps(findings(ours, keys, peer).as_dict(), allow_nan=False))
    assert told["truths"] == {"detector": 12, "blind": 0}
    rates = told["bits_per_pixel_at_agreement"]
    assert rates["agreement"] == 0.95
    assert list(rates["detectors"]) == ["detector"]
    assert rates["detectors"]["detector"][GROUPS] == {
        "bits_per_pixel": pytest.approx(0.141421),
        "bound": "at",
    }
    assert rates["detectors"]["detector"][KEYS_ALONE]["bound"] == "below"
    groups, alone, x265 = told["curves"]
    assert [share["share"] for share in groups["points"][0]["both_for_a_share"]] == [0.0, 0.05, 0.25, 1.0]
    assert (groups["points"][0]["keys"], groups["points"][0]["changed"]) == (2, 0.125)
    assert "keys" not in x265["points"][0]
    assert x265["points"][1]["human_view"]["psnr_db"] is None
    assert alone["points"][0]["both"] == {"bits_per_pixel": 0.6, "bits_per_second": 48_000}
    held = told["at_equal_psnr"][KEYS_ALONE][GROUPS]
    assert held[0]["both_ratio"] == pytest.approx(0.25)
    assert set(held[0]["share_ratios"]) == {"0 %", "5 %", "25 %", "100 %"}
