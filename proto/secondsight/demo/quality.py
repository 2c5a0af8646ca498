"""How near views come to the source."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from secondsight.demo.errors import ClipError

Picture = NDArray[np.uint8]


def source_frames(clip: Path, times_us: Iterable[int]) -> dict[int, Picture]:
    """The frames of `clip` at these presentation times (microseconds since its first frame), decoded anew.

    A time at which no frame begins is left out.

    Raises:
        ClipError: the clip cannot be read.
    """
    import av

    wanted = frozenset(times_us)
    found: dict[int, Picture] = {}
    first: Fraction | None = None
    try:
        with av.open(str(clip)) as container:
            for frame in container.decode(video=0):
                if frame.pts is None or frame.time_base is None:
                    continue
                at = frame.pts * Fraction(frame.time_base)
                first = at if first is None else first
                time_us = round((at - first) * 1_000_000)
                if time_us in wanted:
                    found[time_us] = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
                    if len(found) == len(wanted):
                        break
    except (av.FFmpegError, OSError) as error:
        raise ClipError(f"cannot read {clip} as a video: {error}") from error
    return found


def psnr_db(view: Picture, source: Picture) -> float:
    """Peak signal-to-noise ratio over all RGB samples, decibels; `inf` when equal.

    A source of another size is first scaled to the view's, as the edge did.
    """
    if source.shape != view.shape:
        size = (view.shape[1], view.shape[0])
        source = np.asarray(Image.fromarray(source).resize(size, Image.Resampling.LANCZOS))
    error = float(np.mean((view.astype(np.float64) - source.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
