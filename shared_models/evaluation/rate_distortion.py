"""Rate and distortion over a folder of photos: bytes really written, PSNR of pictures really decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bjontegaard import bd_rate
from numpy.typing import NDArray
from PIL import Image

from shared_models.codec import Codec
from shared_models.errors import ImageError
from shared_models.evaluation.peers import Peer
from shared_models.evaluation.quality import psnr
from shared_models.photo_folder import photo_paths


@dataclass(frozen=True)
class Point:
    """Means over the folder. `bits_per_pixel` counts all that is needed for this view."""

    setting: str
    bits_per_pixel: float
    psnr_db: float


@dataclass(frozen=True)
class Curve:
    """A codec's points, by rising rate."""

    name: str
    points: tuple[Point, ...]

    def bd_rate_against(self, anchor: Curve) -> float:
        """Bjøntegaard delta rate against `anchor` over the PSNR range that both share, percent (VCEG-M33)."""
        ours, theirs = (
            ([p.bits_per_pixel for p in curve.points], [p.psnr_db for p in curve.points])
            for curve in (self, anchor)
        )
        return float(bd_rate(*theirs, *ours, method="akima", require_matching_points=False, min_overlap=0))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class LayeredCurves:
    """What one run over a folder measures of the layered codec.

    `machine`: machine views at every machine level. `both`: human views at every quality, machine layer at its default
    level, both layers' bytes. `slices`: the same at the default quality, from one stream cut after 1 to n slices.
    """

    machine: Curve
    both: Curve
    slices: Curve
    enhancement_bits_per_pixel: tuple[float, ...]


def photos_of(folder: Path) -> list[NDArray[np.uint8]]:
    """All photos of a folder, (H, W, 3) uint8 RGB.

    Raises:
        ImageError: there is none.
    """
    paths = photo_paths(folder)
    if not paths:
        raise ImageError(f"{folder} holds no photo")
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def layered(codec: Codec, photos: Sequence[NDArray[np.uint8]], advance: Callable[[], None]) -> LayeredCurves:
    """Encode and decode every photo at every level; `advance` is called after each photo."""
    config = codec.config
    machine = _Means()
    both = _Means()
    slices = _Means()
    added = _Means()
    for photo in photos:
        pixels = photo.shape[0] * photo.shape[1]
        for level in range(config.machine.levels):
            data = codec.encode(photo, machine_quality=level, slices=1).machine
            machine.add(f"level {level}", 8 * len(data) / pixels, psnr(photo, codec.decode_machine(data)))
        for quality in range(config.enhancement.levels):
            frame = codec.encode(photo, quality=quality)
            view = codec.decode_human(frame.machine, frame.enhancement)
            size = len(frame.machine) + len(frame.enhancement)
            both.add(f"quality {quality}", 8 * size / pixels, psnr(photo, view))
            added.add(f"quality {quality}", 8 * len(frame.enhancement) / pixels, 0.0)
            if quality == config.default_quality:
                for count in range(1, config.slices + 1):
                    sent = codec.cut(frame.enhancement, count)
                    view = codec.decode_human(frame.machine, sent)
                    size = len(frame.machine) + len(sent)
                    slices.add(f"{count} slices", 8 * size / pixels, psnr(photo, view))
        advance()
    return LayeredCurves(
        machine.curve("machine layer"),
        both.curve("both layers"),
        slices.curve("both layers, by slices"),
        tuple(point.bits_per_pixel for point in added.curve("").points),
    )


def peer(codec: Peer, photos: Iterable[NDArray[np.uint8]], advance: Callable[[], None]) -> Curve:
    """Encode and decode every photo at every rung of the peer's ladder."""
    means = _Means()
    for photo in photos:
        for quality in codec.ladder:
            data = codec.encode(photo, quality)
            rate = 8 * len(data) / (photo.shape[0] * photo.shape[1])
            means.add(f"quality {quality}", rate, psnr(photo, codec.decode(data)))
        advance()
    return means.curve(codec.name)


class _Means:
    """Rates and PSNRs by setting."""

    def __init__(self) -> None:
        self._values: dict[str, list[tuple[float, float]]] = {}

    def add(self, setting: str, rate: float, quality: float) -> None:
        self._values.setdefault(setting, []).append((rate, quality))

    def curve(self, name: str) -> Curve:
        means = {setting: np.mean(values, axis=0) for setting, values in self._values.items()}
        points = (Point(setting, float(rate), float(quality)) for setting, (rate, quality) in means.items())
        return Curve(name, tuple(sorted(points, key=lambda point: point.bits_per_pixel)))
