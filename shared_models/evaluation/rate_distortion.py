"""Rate and distortion over a folder of photos: bytes really written, quality of pictures really decoded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from bjontegaard import bd_rate
from numpy.typing import NDArray

from shared_models.codec import Codec
from shared_models.config import CodecConfig
from shared_models.errors import ImageError
from shared_models.evaluation.peers import Peer
from shared_models.evaluation.quality import ms_ssim_db, psnr
from shared_models.photo_file import read_picture
from shared_models.photo_folder import photo_paths

Kind = Literal["ours", "comparison", "peer", "published"]

MACHINE: Final = "machine layer"
BOTH: Final = "both layers"
ENHANCEMENT: Final = "enhancement alone"
SLICES: Final = "both layers, by slices"
MAIN: Final = (MACHINE, BOTH, ENHANCEMENT, SLICES)
_MACHINE_BITS: Final = "machine layer"
ENHANCEMENT_BITS: Final = "enhancement layer"
_BOTH_BITS: Final = "machine layer and enhancement layer"
_DECIMALS: Final = 6
_FEWEST_POINTS: Final = 4
"""That Bjøntegaard's interpolation is defined for (VCEG-M33)."""


@dataclass(frozen=True)
class Photo:
    """A source picture, (H, W, 3) uint8 RGB."""

    name: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Series:
    """What a curve is of. `counts` says which bytes its bits are."""

    name: str
    kind: Kind
    counts: str


@dataclass(frozen=True)
class Figures:
    """Rate and quality: of one photo, or means over photos. The decibels, not the errors, are averaged."""

    bits_per_pixel: float
    psnr_db: float
    ms_ssim_db: float | None

    @classmethod
    def mean(cls, figures: Sequence[Figures]) -> Figures:
        """Arithmetic means; no MS-SSIM when one of them has none."""
        similar = [one.ms_ssim_db for one in figures if one.ms_ssim_db is not None]
        return cls(
            float(np.mean([one.bits_per_pixel for one in figures])),
            float(np.mean([one.psnr_db for one in figures])),
            float(np.mean(similar)) if len(similar) == len(figures) else None,
        )


@dataclass(frozen=True)
class Measured:
    """One photo, coded and decoded at one setting."""

    photo: Photo
    series: Series
    setting: str
    figures: Figures


@dataclass(frozen=True)
class Point:
    """A setting and its means."""

    setting: str
    figures: Figures

    def as_dict(self) -> dict[str, Any]:
        """For JSON, to `_DECIMALS`. It has no infinity: equal pictures have null."""
        values: dict[str, float | None] = asdict(self.figures)
        written = {
            name: None if value is None or not math.isfinite(value) else round(value, _DECIMALS)
            for name, value in values.items()
        }
        return {"setting": self.setting, **written}


@dataclass(frozen=True)
class Curve:
    """A codec's points, by rising rate."""

    series: Series
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        """Of its series."""
        return self.series.name

    def bd_rate_against(self, anchor: Curve) -> float | None:
        """Bjøntegaard delta rate against `anchor` over the PSNR range that both share, percent (VCEG-M33).

        None where the ranges do not overlap, where either curve has fewer than four points, or where its PSNR does not
        rise with its rate or is infinite.
        """
        ours, theirs = (
            ([p.figures.bits_per_pixel for p in curve.points], [p.figures.psnr_db for p in curve.points])
            for curve in (self, anchor)
        )
        for _, quality in (ours, theirs):
            rises = np.all(np.isfinite(quality)) and np.all(np.diff(quality) > 0.0)
            if len(quality) < _FEWEST_POINTS or not rises:
                return None
        if min(ours[1][-1], theirs[1][-1]) <= max(ours[1][0], theirs[1][0]):
            return None
        return float(bd_rate(*theirs, *ours, method="akima", require_matching_points=False, min_overlap=0))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self.series), "points": [point.as_dict() for point in self.points]}


def photos_of(folder: Path, most: int | None = None) -> list[Photo]:
    """The first `most` photos of a folder by name, or all.

    Raises:
        ImageError: there is none.
        PhotoError: one of them cannot be read.
    """
    paths = photo_paths(folder)[:most]
    if not paths:
        raise ImageError(f"{folder} holds no photo")
    return [Photo(path.name, read_picture(path)) for path in paths]


def layered(codec: Codec, photo: Photo) -> list[Measured]:
    """Every machine view of one photo, and its human view at every quality on every machine level.

    On the default machine level every quality's stream is also cut after each of its slices.
    """
    config = codec.config
    measured = []
    for level in range(config.machine.levels):
        for quality in range(config.enhancement.levels):
            frame = codec.encode(photo.pixels, quality=quality, machine_quality=level)
            if quality == 0:
                figures = _figures(photo, len(frame.machine), codec.decode_machine(frame.machine))
                series = Series(MACHINE, "ours", _MACHINE_BITS)
                measured.append(Measured(photo, series, f"level {level}", figures))
            fewest = 1 if level == config.default_machine_quality else config.slices
            for count in range(fewest, config.slices + 1):
                enhancement = codec.cut(frame.enhancement, count)
                alone = _figures(photo, len(enhancement), codec.decode_human(frame.machine, enhancement))
                both = replace(alone, bits_per_pixel=alone.bits_per_pixel + _rate(photo, len(frame.machine)))
                for name, setting in _curves_of_both(config, level, quality, count):
                    measured.append(Measured(photo, Series(name, "ours", _BOTH_BITS), setting, both))
                for name, setting in _curves_of_enhancement(config, level, quality, count):
                    measured.append(Measured(photo, Series(name, "ours", ENHANCEMENT_BITS), setting, alone))
    return measured


def coded_by(peer: Peer, kind: Kind, photo: Photo, quality: int) -> list[Measured]:
    """One photo at one rung of a peer's ladder."""
    data = peer.encode(photo.pixels, quality)
    figures = _figures(photo, len(data), peer.decode(data))
    return [Measured(photo, Series(peer.name, kind, peer.counts), f"{peer.dial} {quality}", figures)]


def recalled(
    images: Sequence[Mapping[str, Any]], photos: Sequence[Photo], series: Series
) -> list[Measured] | None:
    """What `by_photo` told of a curve earlier, for the same photos; None where one of them is not in it."""
    earlier = {(image["photo"], image["width"], image["height"]): image["curves"] for image in images}
    measured = []
    for photo in photos:
        height, width = photo.pixels.shape[:2]
        points = earlier.get((photo.name, width, height), {}).get(series.name)
        if points is None:
            return None
        for point in points:
            psnr_db = math.inf if point["psnr_db"] is None else point["psnr_db"]
            figures = Figures(point["bits_per_pixel"], psnr_db, point["ms_ssim_db"])
            measured.append(Measured(photo, series, point["setting"], figures))
    return measured


def side_by_side(
    tasks: Sequence[Callable[[], list[Measured]]], workers: int, advance: Callable[[], None]
) -> list[Measured]:
    """Results of all tasks, in the tasks' order, computed in threads; `advance` is called after each task."""
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            for future in as_completed(futures):
                future.result()
                advance()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [measured for future in futures for measured in future.result()]


def curves_of(measured: Iterable[Measured]) -> list[Curve]:
    """Means over photos, our main curves first."""
    series: dict[Series, dict[str, list[Figures]]] = {}
    for one in measured:
        series.setdefault(one.series, {}).setdefault(one.setting, []).append(one.figures)
    curves = []
    for of, settings in series.items():
        points = (Point(setting, Figures.mean(figures)) for setting, figures in settings.items())
        curves.append(Curve(of, tuple(sorted(points, key=lambda point: point.figures.bits_per_pixel))))
    return sorted(curves, key=lambda curve: MAIN.index(curve.name) if curve.name in MAIN else len(MAIN))


def bd_rates(curves: Sequence[Curve], anchors: Sequence[Curve]) -> dict[str, dict[str, float | None]]:
    """By anchor and curve, percent: what `Curve.bd_rate_against` tells."""
    return {
        anchor.name: {
            curve.name: curve.bd_rate_against(anchor) for curve in curves if curve.name != anchor.name
        }
        for anchor in anchors
    }


def by_photo(measured: Iterable[Measured]) -> list[dict[str, Any]]:
    """Figures of every photo by curve, for JSON."""
    photos: dict[str, dict[str, Any]] = {}
    for one in measured:
        height, width = one.photo.pixels.shape[:2]
        photo = photos.setdefault(
            one.photo.name, {"photo": one.photo.name, "width": width, "height": height, "curves": {}}
        )
        point = Point(one.setting, one.figures).as_dict()
        photo["curves"].setdefault(one.series.name, []).append(point)
    return list(photos.values())


def by_slices(quality: int) -> str:
    """Name of the curve of one quality's stream, cut after each of its slices."""
    return f"{BOTH}, quality {quality}, by slices"


def _curves_of_both(config: CodecConfig, level: int, quality: int, count: int) -> Iterator[tuple[str, str]]:
    """Names and settings under which a human view stands with the bits of both layers."""
    default = level == config.default_machine_quality
    if count == config.slices:
        yield f"{BOTH}, machine level {level}", f"quality {quality}"
        if default:
            yield BOTH, f"quality {quality}"
    if default:
        yield by_slices(quality), f"{count} slices"
        if quality == config.default_quality:
            yield SLICES, f"{count} slices"


def _curves_of_enhancement(
    config: CodecConfig, level: int, quality: int, count: int
) -> Iterator[tuple[str, str]]:
    """The same with the enhancement layer's bits alone, the machine layer having been sent already.

    The solid line of the paper's Fig. 6; both layers together are its dotted line.
    """
    if count == config.slices:
        yield f"{ENHANCEMENT}, machine level {level}", f"quality {quality}"
        if level == config.default_machine_quality:
            yield ENHANCEMENT, f"quality {quality}"


def _rate(photo: Photo, size: int) -> float:
    """Bits per pixel of `size` bytes."""
    height, width = photo.pixels.shape[:2]
    return 8 * size / (height * width)


def _figures(photo: Photo, size: int, decoded: NDArray[np.uint8]) -> Figures:
    source = photo.pixels
    return Figures(_rate(photo, size), psnr(source, decoded), ms_ssim_db(source, decoded))
