"""Outlines as run lengths, as COCO's annotations have them where polygons do not do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def decoded(run_lengths: dict[str, Any], size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """The mask (H, W) of COCO's run lengths: ``size`` and ``counts``, a list or its compressed text.

    Runs go down the columns, and the first of them lies outside.

    Args:
        run_lengths: what stands under ``segmentation``.
        size: height and width of the photo; None is returned for an outline in a picture of another size.

    Raises:
        KeyError, TypeError, ValueError: these are no run lengths.
    """
    height, width = run_lengths["size"]
    if (height, width) != size:
        return None
    counts = run_lengths["counts"]
    if isinstance(counts, str):
        counts = _expanded(counts)
    if not all(isinstance(count, int) and count >= 0 for count in counts) or sum(counts) != height * width:
        raise ValueError(f"run lengths that do not fill {width} x {height} pixels")
    inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return inside.reshape(width, height).T


def _expanded(text: str) -> list[int]:
    """Counts of the compressed text, as pycocotools' ``rleFrString`` reads it.

    Every character has five bits of a number, the lowest first, and a sixth that says whether more follow; from the
    fourth number on they are differences to the last but one.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(f"run lengths with {character!r} among them")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("run lengths that break off")
    return counts
