"""Marks as operators make them, without a server."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from server.marks.mark import Mark, MarkedBox, Seen, Verdict
from server.recognition import Mask

WIDTH, HEIGHT = 96, 64
_CAPTURED_NS = 1_700_000_000 * 10**9


def outline() -> Mask:
    """Of a thing in the upper left corner."""
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[:20, :30] = True
    return Mask.of(pixels)


def mark(
    verdict: Verdict = Verdict.RIGHT,
    detection: int | None = 0,
    label: str | None = "person",
    *,
    seen: str = "person",
    camera: str = "gate",
    frame: str = "1-1",
    box: tuple[float, float, float, float] = (0.0, 0.0, 30.0, 20.0),
    by: str = "otto",
    at: int = 0,
    mask: Mask | None = None,
) -> Mark:
    """A mark said `at` seconds after the frame was."""
    outlined = None if mask is None else mask.counts.decode()
    return Mark(
        camera=camera,
        frame=frame,
        captured_ns=_CAPTURED_NS,
        width=WIDTH,
        height=HEIGHT,
        detections=3,
        verdict=verdict,
        label=label,
        box=MarkedBox(*box),
        seen=None if detection is None else Seen(detection, seen, 0.9, "spotter", outlined),
        note="",
        by=by,
        at_ns=_CAPTURED_NS + at * 10**9,
    )


def picture(width: int = WIDTH, height: int = HEIGHT, kind: str = "png") -> bytes:
    """A file."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 90)).save(file, kind)
    return file.getvalue()
