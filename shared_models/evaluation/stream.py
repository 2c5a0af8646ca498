"""Streams of a camera: what their layers cost, how close their views are, and how two codecs' streams compare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np

from shared_models.evaluation.rate_distortion import Series

GROUPS: Final = "groups"
KEYS_ALONE: Final = "keys alone"
_DECIMALS: Final = 6


@dataclass(frozen=True)
class Shape:
    """What bytes are turned into rates with. `frame_rate` in frames per second."""

    width: int
    height: int
    frame_rate: Fraction

    def rate(self, size: float, frames: int) -> Rate:
        """Of `size` bytes for so many frames."""
        bits = 8 * size / frames
        return Rate(bits / (self.width * self.height), bits * float(self.frame_rate))


@dataclass(frozen=True)
class Rate:
    """Means over a clip."""

    bits_per_pixel: float
    bits_per_second: float


@dataclass(frozen=True)
class LayerSizes:
    """Bytes of every frame's layers, and which frame's layers it needs beside its own: its key's, by position."""

    machine: tuple[int, ...]
    enhancement: tuple[int, ...]
    key: tuple[int, ...]

    @property
    def keys(self) -> int:
        """How many of the frames are key frames."""
        return sum(key == place for place, key in enumerate(self.key))

    def costs(self, order: Sequence[int]) -> list[int]:
        """Bytes of all machine layers and of the enhancement layers that human views need, frames drawn in `order`.

        Entry n is for the first n drawn; a key's enhancement counts once, however many of its frames are drawn.
        """
        costs, fetched = [sum(self.machine)], set[int]()
        for place in order:
            wanted = {place, self.key[place]} - fetched
            costs.append(costs[-1] + sum(self.enhancement[each] for each in wanted))
            fetched |= wanted
        return costs


@dataclass(frozen=True)
class Closeness:
    """Of decoded frames to their sources.

    Attributes:
        psnr_db: of the mean over the frames of their mean squared errors.
        ms_ssim_db: of the mean MS-SSIM likewise; None where it was not measured.
    """

    psnr_db: float
    ms_ssim_db: float | None

    @classmethod
    def of(cls, squared_errors: Sequence[float], unlike: Sequence[float | None]) -> Closeness:
        """From every frame's mean squared error of 8-bit samples, and its 1 - MS-SSIM where there is one."""
        error = float(np.mean(squared_errors))
        measured = [each for each in unlike if each is not None]
        return cls(
            _decibels(error / 255.0**2),
            _decibels(float(np.mean(measured))) if len(measured) == len(unlike) else None,
        )


@dataclass(frozen=True)
class Agreement:
    """Average precision of the detections on decoded frames, with those on the originals as truth; 0 to 1.

    Categories weigh as much as they have truths. `at_half` at an overlap of 0.5, `mean` over 0.5 to 0.95.
    """

    at_half: float
    mean: float


@dataclass(frozen=True)
class StreamPoint:
    """A clip at one setting of a codec.

    Attributes:
        frames: that were coded and counted.
        machine_bytes: of what machines need.
        both_bytes: of what a human view of every frame needs; the same where there is but one stream.
        sizes: of our layers, frame by frame.
        changed: mean share of changed positions of predicted frames; None where there are none.
        agreement: by detector; one that sees nothing in the originals is left out.
    """

    setting: str
    frames: int
    machine_bytes: int
    both_bytes: int
    machine_view: Closeness
    human_view: Closeness
    agreement: Mapping[str, Agreement]
    sizes: LayerSizes | None = None
    changed: float | None = None

    @classmethod
    def recalled(cls, figures: Mapping[str, Any]) -> StreamPoint:
        """What `asdict` gave, also through JSON."""
        sizes = figures["sizes"]
        return cls(
            **{
                **figures,
                "machine_view": Closeness(**figures["machine_view"]),
                "human_view": Closeness(**figures["human_view"]),
                "agreement": {name: Agreement(**found) for name, found in figures["agreement"].items()},
                "sizes": None if sizes is None else LayerSizes(**{k: tuple(v) for k, v in sizes.items()}),
            }
        )


@dataclass(frozen=True)
class Reached:
    """The rate at which a curve reaches something, bits per pixel.

    `bound` is "at" where the ladder brackets it, "below" where its lowest rate has reached it already (the rate is that
    one), "above" where none has (the highest).
    """

    bits_per_pixel: float
    bound: Literal["at", "below", "above"]

    def __str__(self) -> str:
        mark = {"at": "", "below": "below ", "above": "above "}[self.bound]
        return f"{mark}{self.bits_per_pixel:.4f}"

    def at_most(self, bits_per_pixel: float) -> bool | None:
        """Whether the rate is at most this one; None where that was not measured."""
        return self.less_than(Reached(math.nextafter(bits_per_pixel, math.inf), "at"))

    def less_than(self, other: Reached) -> bool | None:
        """Whether this is the lower rate; None where what was measured does not tell."""
        (low, high), (other_low, other_high) = self._ends, other._ends
        if high < other_low:
            return True
        return False if low >= other_high else None

    @property
    def _ends(self) -> tuple[float, float]:
        """Between which the rate lies."""
        rate = self.bits_per_pixel
        return 0.0 if self.bound == "below" else rate, math.inf if self.bound == "above" else rate


@dataclass(frozen=True)
class StreamCurve:
    """A codec's points on one clip, by rising rate of what machines need."""

    series: Series
    shape: Shape
    points: tuple[StreamPoint, ...]

    @classmethod
    def of(cls, series: Series, shape: Shape, points: Sequence[StreamPoint]) -> StreamCurve:
        """Sort the points."""
        return cls(series, shape, tuple(sorted(points, key=lambda point: point.machine_bytes / point.frames)))

    @property
    def name(self) -> str:
        """Of its series."""
        return self.series.name

    def machine_rate(self, point: StreamPoint) -> Rate:
        """What machines need."""
        return self.shape.rate(point.machine_bytes, point.frames)

    def both_rate(self, point: StreamPoint) -> Rate:
        """What a human view of every frame needs."""
        return self.shape.rate(point.both_bytes, point.frames)

    def rate_at_agreement(self, detector: str, wanted: float) -> Reached | None:
        """The lowest rate of what machines need at which a detector's agreement at overlap 0.5 is `wanted`.

        Between two points agreement is linear over the logarithm of the rate. None where the detector saw nothing.
        """
        pairs = [
            (self.machine_rate(point).bits_per_pixel, point.agreement[detector].at_half)
            for point in self.points
            if detector in point.agreement
        ]
        if not pairs:
            return None
        if pairs[0][1] >= wanted:
            return Reached(pairs[0][0], "below")
        for (low, less), (high, more) in pairwise(pairs):
            if less < wanted <= more:
                share = (wanted - less) / (more - less)
                return Reached(math.exp((1 - share) * math.log(low) + share * math.log(high)), "at")
        return Reached(pairs[-1][0], "above")

    def rate_at_psnr(self, psnr_db: float) -> float | None:
        """Bits per pixel of all layers at a PSNR of the human view; None where the curve does not reach around it.

        Between two points the logarithm of the rate is linear over PSNR.
        """
        pairs = sorted(
            (point.human_view.psnr_db, math.log(self.both_rate(point).bits_per_pixel))
            for point in self.points
            if math.isfinite(point.human_view.psnr_db)
        )
        if not pairs or not pairs[0][0] <= psnr_db <= pairs[-1][0]:
            return None
        qualities, rates = zip(*pairs, strict=True)
        return math.exp(float(np.interp(psnr_db, qualities, rates)))


@dataclass(frozen=True)
class ShareCost:
    """Machine layers of all frames and what human views of a share of them need, in the mean over the draws.

    `views` frames are drawn; `layers` enhancement layers are fetched for them, those of keys included.
    """

    share: float
    views: int
    layers: float
    rate: Rate


@dataclass(frozen=True)
class Against:
    """One of our points held against another codec's curve at the same PSNR of the human view.

    Attributes:
        bits_per_pixel: of the other codec there; None where its ladder does not reach around it, as all that follows.
        machine_ratio: our machine layer's rate over it.
        both_ratio: that of both layers at every frame over it.
        share_ratios: that of both for a share of the frames over it, by the share.
        break_even: the largest share of frames with human views at which ours costs no more; also None where
            already the machine layer alone costs more.
    """

    setting: str
    psnr_db: float
    bits_per_pixel: float | None
    machine_ratio: float | None = None
    both_ratio: float | None = None
    share_ratios: Mapping[float, float] | None = None
    break_even: float | None = None


@dataclass(frozen=True)
class HumanViews:
    """Which frames people ask to see: drawn at random, many times.

    What few views cost depends on how many of them happen to share a key frame, so that one draw tells little.

    Attributes:
        shares: of the frames, 0 to 1, that costs are told for.
        seed: of the drawing.
        draws: over which costs are means.
    """

    shares: tuple[float, ...]
    seed: int
    draws: int

    def costs(self, shape: Shape, sizes: LayerSizes) -> list[ShareCost]:
        """Of every share."""
        frames = len(sizes.key)
        bytes_of = self.mean_bytes(sizes)
        orders = self.orders(frames)
        costs = []
        for share in self.shares:
            views = self._count(share, frames)
            layers = [
                len({each for place in order[:views] for each in (place, sizes.key[place])})
                for order in orders
            ]
            costs.append(ShareCost(share, views, float(np.mean(layers)), shape.rate(bytes_of[views], frames)))
        return costs

    def mean_bytes(self, sizes: LayerSizes) -> list[float]:
        """`LayerSizes.costs` in the mean over the draws; entry n is for n views."""
        drawn = [sizes.costs(order) for order in self.orders(len(sizes.key))]
        return [float(cost) for cost in np.mean(drawn, 0)]

    def against(self, ours: StreamCurve, point: StreamPoint, other: StreamCurve) -> Against:
        """A point of ours, with sizes, at its PSNR."""
        psnr_db = point.human_view.psnr_db
        theirs = other.rate_at_psnr(psnr_db)
        if theirs is None or point.sizes is None:
            return Against(point.setting, psnr_db, None)
        costs = [ours.shape.rate(size, point.frames).bits_per_pixel for size in self.mean_bytes(point.sizes)]
        cheaper = sum(cost <= theirs for cost in costs) - 1
        return Against(
            point.setting,
            psnr_db,
            theirs,
            costs[0] / theirs,
            costs[-1] / theirs,
            {share: costs[self._count(share, point.frames)] / theirs for share in self.shares},
            cheaper / point.frames if cheaper >= 0 else None,
        )

    def orders(self, frames: int) -> list[list[int]]:
        """In which frames are drawn; one a draw."""
        random = np.random.default_rng(self.seed)
        return [[int(place) for place in random.permutation(frames)] for _ in range(self.draws)]

    @staticmethod
    def _count(share: float, frames: int) -> int:
        """How many frames a share of them is; never none but for a share of zero."""
        return min(frames, max(1, round(share * frames))) if share else 0


@dataclass(frozen=True)
class ClipFindings:
    """All that was measured on one clip, and what follows from it.

    Attributes:
        moving: whether the camera does, as far as who measured told.
        truths: detections on the originals that count as truth, by detector.
        anchors: names of the curves that ours are held against.
        wanted: agreement at which rates are told.
    """

    clip: str
    moving: bool
    frames: int
    judged: int
    shape: Shape
    truths: Mapping[str, int]
    curves: tuple[StreamCurve, ...]
    views: HumanViews
    anchors: tuple[str, ...]
    wanted: float

    @cached_property
    def rates_at_agreement(self) -> dict[str, dict[str, Reached | None]]:
        """By detector and curve."""
        return {
            detector: {curve.name: curve.rate_at_agreement(detector, self.wanted) for curve in self.curves}
            for detector, count in self.truths.items()
            if count
        }

    @cached_property
    def against(self) -> dict[str, dict[str, list[Against]]]:
        """Points of our curves held against each anchor that was measured, by anchor and curve."""
        return {
            anchor.name: {
                curve.name: [self.views.against(curve, point, anchor) for point in curve.points]
                for curve in self.curves
                if curve.series.kind == "ours" and curve is not anchor
            }
            for anchor in self.curves
            if anchor.name in self.anchors
        }

    def as_dict(self) -> dict[str, Any]:
        """For JSON; shares of frames by their percentage, equal pictures' PSNR null."""
        return {
            "clip": self.clip,
            "camera": "moving" if self.moving else "fixed",
            "width": self.shape.width,
            "height": self.shape.height,
            "frames_per_second": float(self.shape.frame_rate),
            "frames": self.frames,
            "judged": self.judged,
            "truths": dict(self.truths),
            "curves": [
                {**asdict(curve.series), "points": [self._point(curve, point) for point in curve.points]}
                for curve in self.curves
            ],
            "bits_per_pixel_at_agreement": {
                "agreement": self.wanted,
                "detectors": {
                    detector: {
                        name: None if reached is None else _written(asdict(reached))
                        for name, reached in rates.items()
                    }
                    for detector, rates in self.rates_at_agreement.items()
                },
            },
            "at_equal_psnr": {
                anchor: {name: [_against(each) for each in compared] for name, compared in curves.items()}
                for anchor, curves in self.against.items()
            },
        }

    def _point(self, curve: StreamCurve, point: StreamPoint) -> dict[str, Any]:
        told: dict[str, Any] = {
            "setting": point.setting,
            "frames": point.frames,
            "machine": _written(asdict(curve.machine_rate(point))),
            "both": _written(asdict(curve.both_rate(point))),
            "machine_view": _written(asdict(point.machine_view)),
            "human_view": _written(asdict(point.human_view)),
            "agreement": {name: _written(asdict(found)) for name, found in point.agreement.items()},
        }
        if point.sizes is not None:
            told["keys"] = point.sizes.keys
            told["changed"] = point.changed
            told["both_for_a_share"] = [
                {
                    "share": cost.share,
                    "views": cost.views,
                    "layers": cost.layers,
                    **_written(asdict(cost.rate)),
                }
                for cost in self.views.costs(curve.shape, point.sizes)
            ]
        return told


def percentage(share: float) -> str:
    """For example 5 %."""
    return f"{100 * share:g} %"


def _against(compared: Against) -> dict[str, Any]:
    ratios = compared.share_ratios
    told = _written({name: value for name, value in vars(compared).items() if name != "share_ratios"})
    told["share_ratios"] = None if ratios is None else {percentage(share): r for share, r in ratios.items()}
    return told


def _written(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers to `_DECIMALS`; JSON has no infinity."""
    return {
        name: (round(value, _DECIMALS) if math.isfinite(value) else None)
        if isinstance(value, float)
        else value
        for name, value in figures.items()
    }


def _decibels(error: float) -> float:
    return math.inf if error <= 0.0 else -10.0 * math.log10(error)
