"""What the project set out to reach, held against what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from shared_models.evaluation.markdown import Report, escaped
from shared_models.evaluation.rate_distortion import BOTH, ENHANCEMENT, MACHINE, SLICES, Curve


@dataclass(frozen=True)
class GoalLimits:
    """What counts as reached.

    Attributes:
        bd_rates: of both layers together, at most, percent, by the beginning of the anchor's name.
        stretch_bd_rates: the same, of what was hoped for with more training.
        share: of the average precision on originals that the machine layer has to keep.
        share_rate: bits per pixel at which it has to, at most.
        stretch_share_rate: the same, as was hoped for beyond.
        contest: bits per pixel between which the machine layer is held against its peers.
        peers: of the machine layer, by the beginnings of their names.
        stretch_peers: the same, of what was hoped for beyond.
        detectors: that have to agree.
    """

    bd_rates: tuple[tuple[str, float], ...] = (
        ("JPEG", -45.0),
        ("WebP", -20.0),
        ("single-layer LIC", 15.0),
        ("DC", 0.0),
    )
    stretch_bd_rates: tuple[tuple[str, float], ...] = (("x265 intra", 0.0), ("VVC intra", 10.0))
    share: float = 0.9
    share_rate: float = 0.2
    stretch_share_rate: float = 0.15
    contest: tuple[float, float] = (0.1, 0.25)
    peers: tuple[str, ...] = ("JPEG", "WebP", "AVIF", "half size, WebP")
    stretch_peers: tuple[str, ...] = ("VVC intra",)
    detectors: int = 2


LIMITS: Final = GoalLimits()
_VVC: Final = "VVC intra"
_GRID: Final = 0.01
"""dB between the places where two curves are compared."""


@dataclass(frozen=True)
class Goal:
    """One of them. `reached` is None where it was not measured."""

    text: str
    reached: bool | None
    found: str


@dataclass(frozen=True)
class Span:
    """A range of PSNR, dB."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.2f} to {self.high:.2f} dB"


def tell_goals(report: Report, found: Sequence[Goal]) -> None:
    """A table of goals, with verdicts."""
    verdicts = {True: "**reached**", False: "not\u00a0reached", None: "not\u00a0measured"}
    rows = [(escaped(goal.text), verdicts[goal.reached], escaped(goal.found)) for goal in found]
    report.table(("goal", "verdict", "found"), rows)


def goals(
    curves: Sequence[Curve],
    bd_rates: Mapping[str, Mapping[str, float | None]],
    detectors: Mapping[str, Mapping[str, Any]],
    limits: GoalLimits = LIMITS,
) -> list[Goal]:
    """All goals.

    Args:
        curves: of rd.json; empty when that is missing.
        bd_rates: of rd.json.
        detectors: of recognition.json.
    """
    return [
        *(_bd_rate(bd_rates, anchor, most) for anchor, most in limits.bd_rates),
        *(_bd_rate(bd_rates, anchor, most, "stretch: ") for anchor, most in limits.stretch_bd_rates),
        _enhancement(curves),
        *(_above(detectors, peer, limits) for peer in limits.peers),
        *(_above(detectors, peer, limits, "stretch: ") for peer in limits.stretch_peers),
        _share(detectors, limits, limits.share_rate),
        _share(detectors, limits, limits.stretch_share_rate, "stretch: "),
        _slices(curves),
    ]


def below(ours: Curve, anchor: Curve) -> tuple[Span | None, list[Span]]:
    """The range of PSNR that two curves share, and where in it `ours` needs fewer bits.

    Between two points the logarithm of the rate is linear over PSNR.
    """
    (our_quality, our_rate), (their_quality, their_rate) = (_rising(curve) for curve in (ours, anchor))
    low, high = max(our_quality[0], their_quality[0]), min(our_quality[-1], their_quality[-1])
    if low >= high:
        return None, []
    quality = np.linspace(low, high, max(2, round((high - low) / _GRID) + 1))
    fewer = np.interp(quality, our_quality, our_rate) < np.interp(quality, their_quality, their_rate)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], fewer.astype(int), [0]])))
    spans = [
        Span(float(quality[first]), float(quality[past - 1]))
        for first, past in edges.reshape(-1, 2)
        if past - first > 1
    ]
    return Span(low, high), spans


def _rising(curve: Curve) -> tuple[list[float], list[float]]:
    """PSNR and logarithm of the rate by rising PSNR."""
    pairs = sorted(
        (point.figures.psnr_db, float(np.log(point.figures.bits_per_pixel))) for point in curve.points
    )
    return [quality for quality, _ in pairs], [rate for _, rate in pairs]


def _bd_rate(
    deltas: Mapping[str, Mapping[str, float | None]], anchor: str, most: float, mark: str = ""
) -> Goal:
    text = f"{mark}both layers against {anchor}: BD-rate {'below 0' if most == 0 else f'at most {most:+g}'} %"
    measured = next((those.get(BOTH) for name, those in deltas.items() if name.startswith(anchor)), None)
    if measured is None:
        return Goal(text, None, "not measured")
    return Goal(text, measured < 0 if most == 0 else measured <= most, f"{measured:+.1f} %")


def _enhancement(curves: Sequence[Curve]) -> Goal:
    """Reached where the default machine level's enhancement needs fewer bits at the lowest PSNR that both reach.

    The others are told beside it: the more bits lie beneath, the fewer are left for the enhancement.
    """
    text = "enhancement alone: fewer bits than VVC intra at equal PSNR, at low rates, on the default machine level"
    vvc = next((curve for curve in curves if curve.name.startswith(_VVC)), None)
    main = next((curve for curve in curves if curve.name == ENHANCEMENT), None)
    prefix = f"{ENHANCEMENT}, machine level "
    levels = [curve for curve in curves if curve.name.startswith(prefix)]
    if vvc is None or main is None:
        return Goal(text, None, "not measured")
    told: list[str] = []
    reached: bool | None = None
    machine = {
        point.setting: point.figures for curve in curves if curve.name == MACHINE for point in curve.points
    }
    for curve in sorted(levels, key=lambda curve: curve.name):
        shared, spans = below(curve, vvc)
        number = curve.name.removeprefix(prefix)
        beneath = machine[f"level {number}"].bits_per_pixel
        default = curve.points == main.points
        level = f"machine level {number}{' (default)' if default else ''}, {beneath:.3f} bit/pixel beneath"
        if shared is None:
            told.append(f"{level}: no PSNR in common")
            continue
        if default:
            reached = any(span.low == shared.low for span in spans)
        where = " and ".join(map(str, spans)) or "nowhere"
        told.append(f"{level}: {where} (both reach {shared})")
    return Goal(text, reached, "; ".join(told))


def _above(detectors: Mapping[str, Mapping[str, Any]], peer: str, limits: GoalLimits, mark: str = "") -> Goal:
    """Reached where every point of the contest lies above the peer, for every detector."""
    first, last = limits.contest
    names = {
        against["peer"]
        for figures in detectors.values()
        for against in figures["machine_layer_against_peers"]
    }
    full = next((name for name in sorted(names) if name.startswith(peer)), peer)
    text = (
        f"{mark}machine layer: AP above {full} at equal bits, {first:g} to {last:g} bit/pixel, "
        f"{limits.detectors} detectors"
    )
    told, leads = [], []
    for detector, figures in detectors.items():
        held = [
            against
            for against in figures["machine_layer_against_peers"]
            if against["peer"].startswith(peer)
            and against["difference"] is not None
            and first <= against["bits_per_pixel"] <= last
        ]
        if not held:
            told.append(f"{detector}: not measured")
            continue
        least = min(held, key=lambda against: float(against["difference"]["value"]))
        sure = sum(against["verdict"] == "above" for against in held)
        leads.append(least["difference"]["value"])
        rates = ", ".join(f"{rate:.3f}" for rate in sorted(against["bits_per_pixel"] for against in held))
        told.append(
            f"{detector}: {leads[-1]:+.3f} at least, at {least['bits_per_pixel']:.3f} bit/pixel; "
            f"surely above at {sure} of {len(held)} points ({rates})"
        )
    if len(leads) < max(limits.detectors, len(detectors)):
        missed = any(lead <= 0 for lead in leads)
        return Goal(text, False if missed else None, "; ".join(told) or "not measured")
    return Goal(text, all(lead > 0 for lead in leads), "; ".join(told))


def _share(
    detectors: Mapping[str, Mapping[str, Any]], limits: GoalLimits, most: float, mark: str = ""
) -> Goal:
    """Reached where every detector keeps the share at some rate of at most `most` bits per pixel."""
    text = (
        f"{mark}machine layer: at least {100 * limits.share:g} % of the AP on originals at {most:g} bit/pixel "
        f"or less, {limits.detectors} detectors"
    )
    told, best = [], []
    for detector, figures in detectors.items():
        kept = [(rate, share) for rate, share in _shares(figures) if rate <= most]
        if not kept:
            told.append(f"{detector}: not measured")
            continue
        rate, share = max(kept, key=lambda pair: pair[1])
        best.append(share)
        told.append(f"{detector}: {100 * share:.1f} % at {rate:.3f} bit/pixel")
    if len(best) < max(limits.detectors, len(detectors)):
        missed = any(share < limits.share for share in best)
        return Goal(text, False if missed else None, "; ".join(told) or "not measured")
    return Goal(text, all(share >= limits.share for share in best), "; ".join(told))


def _shares(figures: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    """Bits per pixel, and the share of the original's average precision that the machine layer keeps there."""
    for curve in figures["curves"]:
        if curve["name"] == MACHINE:
            for point in curve["points"]:
                yield point["bits_per_pixel"], point["share_of_original"]["value"]
    for between in figures["machine_layer_share_of_original"]:
        if between["share"] is not None:
            yield between["bits_per_pixel"], between["share"]["value"]


def _slices(curves: Sequence[Curve]) -> Goal:
    text = "PSNR rises with every slice, at every quality"
    steps = [
        (after.figures.psnr_db - before.figures.psnr_db, f"{curve.name}, {after.setting}")
        for curve in curves
        if curve.name.startswith(BOTH) and curve.name.endswith("by slices") and curve.name != SLICES
        for before, after in pairwise(sorted(curve.points, key=lambda point: point.setting))
    ]
    if not steps:
        return Goal(text, None, "not measured")
    least, where = min(steps)
    return Goal(text, least > 0, f"smallest step {least:+.2f} dB ({where})")
