"""Curves of streams with figures that are worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from shared_models.evaluation.rate_distortion import Series
from shared_models.evaluation.stream import (
    GROUPS,
    KEYS_ALONE,
    Agreement,
    ClipFindings,
    Closeness,
    HumanViews,
    LayerSizes,
    Shape,
    StreamCurve,
    StreamPoint,
)

SHAPE = Shape(100, 80, Fraction(10))
"""8000 pixels: 1000 bytes a frame are one bit per pixel."""
X265 = "x265 (libx265, by hand)"
FRAMES = 8
VIEWS = HumanViews((0.0, 0.05, 0.25, 1.0), seed=1, draws=20)


def point(
    machine: int, psnr_db: float, agreement: float, *, enhancement: int | None = None, frames: int = FRAMES
) -> StreamPoint:
    """Bytes are those of each frame; with an enhancement layer, the first half and the second are groups."""
    half = frames // 2
    sizes = (
        None
        if enhancement is None
        else LayerSizes((machine,) * frames, (enhancement,) * frames, (0,) * half + (half,) * (frames - half))
    )
    both = machine + (enhancement or 0)
    view = Closeness(psnr_db, None)
    found = {"detector": Agreement(agreement, agreement / 2)}
    return StreamPoint(
        f"{machine}", frames, machine * frames, both * frames, view, view, found, sizes, sizes and 0.125
    )


def curve(points: Sequence[StreamPoint], name: str = X265) -> StreamCurve:
    """Ours if it is called so."""
    kind = "ours" if name in (GROUPS, KEYS_ALONE) else "peer"
    return StreamCurve.of(Series(name, kind, "bytes"), SHAPE, points)


def findings(*curves: StreamCurve, moving: bool = False) -> ClipFindings:
    """Of one clip, held against x265 and key frames alone at 95 % agreement."""
    return ClipFindings(
        "gate|1.mp4",
        moving,
        FRAMES,
        4,
        SHAPE,
        {"detector": 12, "blind": 0},
        curves,
        VIEWS,
        (X265, KEYS_ALONE),
        0.95,
    )
