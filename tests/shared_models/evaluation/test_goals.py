"""Goals held against figures made up so that the answer is known."""

from __future__ import annotations

from typing import Any

import pytest

from shared_models.evaluation.goals import Goal, below, goals
from shared_models.evaluation.rate_distortion import Curve, Figures, Point, Series


def curve(name: str, *points: tuple[float, float], settings: str = "point") -> Curve:
    made = tuple(Point(f"{settings} {n}", Figures(rate, db, None)) for n, (rate, db) in enumerate(points))
    return Curve(Series(name, "ours", "bits"), made)


def the(found: list[Goal], text: str) -> Goal:
    (goal,) = [goal for goal in found if text in goal.text]
    return goal


def deltas(**values: float | None) -> dict[str, dict[str, float | None]]:
    names = {
        "jpeg": "JPEG (Pillow)",
        "webp": "WebP (Pillow)",
        "lic": "single-layer LIC (ours)",
        "dc": "DC (ours)",
        "x265": "x265 intra (4:4:4)",
        "vvc": "VVC intra (4:2:0)",
    }
    return {names[name]: {"both layers": value, "machine layer": -99.0} for name, value in values.items()}


@pytest.mark.parametrize(
    ("anchor", "text", "enough", "too_little"),
    [
        ("jpeg", "against JPEG", -45.0, -44.9),
        ("webp", "against WebP", -20.0, -19.9),
        ("lic", "against single-layer LIC", 15.0, 15.1),
        ("dc", "against DC", -0.1, 0.0),
        ("x265", "against x265", -0.1, 0.0),
        ("vvc", "against VVC intra: BD", 10.0, 10.1),
    ],
)
def test_bd_rates_are_held_against_their_limits(
    anchor: str, text: str, enough: float, too_little: float
) -> None:
    for value, reached in ((enough, True), (too_little, False)):
        goal = the(goals([], deltas(**{anchor: value}), {}), text)
        assert goal.reached is reached
        assert goal.found == f"{value:+.1f} %"
    for missing in ({}, deltas(**{anchor: None})):
        assert the(goals([], missing, {}), text).reached is None


def test_where_a_curve_needs_fewer_bits_than_another() -> None:
    ours, anchor = curve("a", (0.1, 30.0), (0.4, 34.0)), curve("b", (0.2, 30.0), (0.2, 34.0))
    shared, spans = below(ours, anchor)
    assert shared is not None
    assert (shared.low, shared.high) == (30.0, 34.0)
    (span,) = spans
    assert span.low == 30.0
    assert span.high == pytest.approx(32.0, abs=0.011)
    assert below(ours, curve("c", (0.1, 35.0), (0.2, 36.0))) == (None, [])


def test_the_enhancement_has_to_win_at_the_low_end_of_the_default_level() -> None:
    machine = curve("machine layer", (0.1, 25.0), (0.2, 27.0), settings="level")
    vvc = curve("VVC intra (4:2:0)", (0.2, 29.0), (0.8, 35.0))
    low = curve("enhancement alone, machine level 0", (0.1, 30.0), (0.9, 34.0))
    high = curve("enhancement alone, machine level 1", (0.5, 30.0), (0.5, 34.0))
    text = "enhancement alone"
    default = curve("enhancement alone", (0.1, 30.0), (0.9, 34.0))
    reached = the(goals([machine, vvc, default, low, high], {}, {}), text)
    assert reached.reached
    assert "machine level 0 (default), 0.100 bit/pixel beneath: 30.00 to" in reached.found
    assert "machine level 1, 0.200 bit/pixel beneath" in reached.found
    default = curve("enhancement alone", (0.5, 30.0), (0.5, 34.0))
    only_above = the(goals([machine, vvc, default, low, high], {}, {}), text)
    assert only_above.reached is False
    assert "to 34.00 dB (both reach 30.00 to 34.00 dB)" in only_above.found
    assert the(goals([machine, default, high], {}, {}), text).reached is None


def detector(leads: dict[str, float | None], shares: list[tuple[float, float]]) -> dict[str, Any]:
    def against(peer: str, lead: float | None) -> dict[str, Any]:
        difference = None if lead is None else {"value": lead, "low": lead - 0.01, "high": lead + 0.01}
        sure = lead is not None and lead > 0.01
        verdict = "above" if sure else "not surely"
        return {"peer": peer, "bits_per_pixel": 0.15, "difference": difference, "verdict": verdict}

    return {
        "machine_layer_against_peers": [against(peer, lead) for peer, lead in leads.items()],
        "machine_layer_share_of_original": [{"bits_per_pixel": 0.2, "share": None}],
        "curves": [
            {
                "name": "machine layer",
                "points": [
                    {"bits_per_pixel": rate, "share_of_original": {"value": share}} for rate, share in shares
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("first", "second", "reached"),
    [(0.02, 0.005, True), (0.02, -0.001, False), (0.02, None, None), (-0.02, None, False)],
)
def test_the_machine_layer_has_to_lead_in_all_detectors_eyes(
    first: float, second: float | None, reached: bool | None
) -> None:
    found = goals([], {}, {"a": detector({"AVIF (x)": first}, []), "b": detector({"AVIF (x)": second}, [])})
    goal = the(found, "above AVIF")
    assert goal.reached is reached
    assert f"a: {first:+.3f} at least, at 0.150 bit/pixel" in goal.found
    assert the(found, "above JPEG").reached is None


def test_one_detector_alone_reaches_nothing() -> None:
    found = goals([], {}, {"a": detector({"JPEG": 0.1}, [(0.19, 0.95)])})
    assert the(found, "above JPEG").reached is None
    assert the(found, "at 0.2 bit/pixel or less").reached is None


@pytest.mark.parametrize(("share", "reached"), [(0.9, True), (0.899, False)])
def test_the_share_of_the_originals_counts_at_no_more_than_its_rate(share: float, reached: bool) -> None:
    both = {
        "a": detector({}, [(0.1, 0.5), (0.2, 0.95), (0.3, 0.99)]),
        "b": detector({}, [(0.2, share), (0.21, 1.0)]),
    }
    found = goals([], {}, both)
    goal = the(found, "at 0.2 bit/pixel or less")
    assert goal.reached is reached
    assert goal.found == f"a: 95.0 % at 0.200 bit/pixel; b: {100 * share:.1f} % at 0.200 bit/pixel"
    stretch = the(found, "stretch: machine layer: at least 90 %")
    assert stretch.reached is False
    assert stretch.found == "a: 50.0 % at 0.100 bit/pixel; b: not measured"


def test_a_peers_settings_stand_in_the_goal() -> None:
    both = {name: detector({"VVC intra (preset faster)": 0.1}, []) for name in ("a", "b")}
    goal = the(goals([], {}, both), "above VVC intra (preset faster)")
    assert goal.reached
    assert "surely above at 1 of 1 points (0.150)" in goal.found


@pytest.mark.parametrize(("last", "reached"), [(31.5, True), (31.0, False)])
def test_every_slice_has_to_raise_psnr(last: float, reached: bool) -> None:
    cut = [
        curve(f"both layers, quality {quality}, by slices", (0.1, 30.0), (0.2, 31.0), (0.3, end))
        for quality, end in enumerate((33.0, last))
    ]
    goal = the(goals(cut, {}, {}), "every slice")
    assert goal.reached is reached
    assert f"{last - 31.0:+.2f} dB (both layers, quality 1, by slices" in goal.found
