"""Curves of average precision over bits per pixel, held against each other resample by resample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.evaluation.recognition import Measured

Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """The value of the set itself, and the percentile interval of the resamples; without resamples both ends are it."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Samples, coverage: float) -> Estimate:
        """From samples of which the first is the set itself. A resample without an object has no value (NaN)."""
        tail = 50 * (1 - coverage)
        low, high = np.nanpercentile(samples[1:] if len(samples) > 1 else samples, [tail, 100 - tail])
        return cls(float(samples[0]), float(low), float(high))


@dataclass(frozen=True)
class Curve:
    """A codec's settings by rising rate, in one recogniser's eyes. `kind` is "ours" or "peer"."""

    name: str
    kind: str
    points: tuple[Measured, ...]

    @classmethod
    def of(cls, name: str, kind: str, points: Sequence[Measured]) -> Curve:
        """Sort the points."""
        return cls(name, kind, tuple(sorted(points, key=lambda point: float(point.bits_per_pixel[0]))))

    def reaches(self, bits_per_pixel: float) -> bool:
        """Whether the rate lies between those of the curve's ends, for the set itself."""
        first, last = self.points[0].bits_per_pixel[0], self.points[-1].bits_per_pixel[0]
        return bool(first <= bits_per_pixel <= last)

    def at(self, bits_per_pixel: Samples) -> Samples:
        """Average precision at a rate of each resample: linear over the logarithm of the rate between two points.

        A resample's rate may lie a little outside the curve's in that resample: there the outermost line goes on.
        """
        rates = np.log([point.bits_per_pixel for point in self.points])
        values = np.array([point.precision.mean for point in self.points])
        wanted = np.log(bits_per_pixel)
        left = np.clip((rates <= wanted).sum(0) - 1, 0, len(rates) - 2)
        sample = np.arange(len(wanted))
        start, end = rates[left, sample], rates[left + 1, sample]
        share = (wanted - start) / (end - start)
        found: Samples = (1 - share) * values[left, sample] + share * values[left + 1, sample]
        return found


@dataclass(frozen=True)
class Comparison:
    """One of our points held against a peer at the same rate. `difference` is None where the peer has no such rate."""

    setting: str
    bits_per_pixel: float
    peer: str
    difference: Estimate | None

    @property
    def verdict(self) -> str:
        """Whether we are above or below, and whether the interval leaves doubt."""
        if self.difference is None:
            return "out of the peer's range"
        side = "above" if self.difference.value > 0 else "below"
        sure = self.difference.low > 0 or self.difference.high < 0
        return side if sure else f"{side}, not surely"


def compare(ours: Curve, peer: Curve, contest: tuple[float, float], coverage: float) -> list[Comparison]:
    """Our points whose rates lie in the contest, each against the peer's curve at its rate."""
    compared = []
    for point in ours.points:
        rate = float(point.bits_per_pixel[0])
        if contest[0] <= rate <= contest[1]:
            difference = (
                Estimate.of(point.precision.mean - peer.at(point.bits_per_pixel), coverage)
                if peer.reaches(rate)
                else None
            )
            compared.append(Comparison(point.setting, rate, peer.name, difference))
    return compared


def share_of(values: Samples, original: Measured, coverage: float) -> Estimate:
    """What part of the original's average precision is kept; left out are resamples in which the original has none."""
    whole = original.precision.mean
    shares = np.divide(values, whole, out=np.full_like(values, np.nan), where=whole > 0)
    return Estimate.of(shares, coverage)


def share_at(curve: Curve, original: Measured, bits_per_pixel: float, coverage: float) -> Estimate | None:
    """What part of the original's average precision a curve keeps at a rate; None where it has no such rate."""
    if not curve.reaches(bits_per_pixel):
        return None
    rates = np.full_like(original.precision.mean, bits_per_pixel)
    return share_of(curve.at(rates), original, coverage)
