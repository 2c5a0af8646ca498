"""Which zones a thing stands in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.recognition.seen import Detection
from server.watch.rules import Zone

Corners = NDArray[np.float64]


def zones_of(detection: Detection, zones: dict[str, Zone], size: tuple[int, int]) -> tuple[str, ...]:
    """Names of the zones that a detection counts in, of a picture of this (width, height).

    What counts is the middle of the box's lower edge: where a thing that stands on the ground touches it.
    """
    at = ((detection.x_min + detection.x_max) / 2 / size[0], detection.y_max / size[1])
    return tuple(
        name
        for name, zone in zones.items()
        if detection.score >= zone.minimum_score
        and (zone.labels is None or detection.label in zone.labels)
        and contains(zone.polygon, at)
    )


def contains(polygon: tuple[tuple[float, float], ...], point: tuple[float, float]) -> bool:
    """Whether a point lies in a polygon or on its edge; where edges cross, by the even-odd rule."""
    corners: Corners = np.asarray(polygon)
    following = np.roll(corners, -1, axis=0)
    along, towards = following - corners, np.asarray(point) - corners
    across = along[:, 0] * towards[:, 1] - along[:, 1] * towards[:, 0]
    between = (towards * (np.asarray(point) - following)).sum(1) <= 1e-12
    if np.any((np.abs(across) <= 1e-12) & between):
        return True
    crosses = (corners[:, 1] > point[1]) != (following[:, 1] > point[1])
    is_left = (across > 0) == (along[:, 1] > 0)
    return bool(np.count_nonzero(crosses & is_left) % 2)
