"""Pictures that are a machine view in one respect alone, and the original in all others."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from shared_models.picture import Picture

FINE: Final = 2.0
"""Pixels: the deviation of the Gaussian that tells coarse from fine."""

_Floats = NDArray[np.float32]


def mixed_views(original: Picture, machine: Picture) -> dict[str, Picture]:
    """By what is the machine view's: brightness or colour (BT.601), what is coarse or what is fine."""
    ours, theirs = (_luma_chroma(picture) for picture in (original, machine))
    bright, coloured = ours.copy(), ours.copy()
    bright[..., 0], coloured[..., 1:] = theirs[..., 0], theirs[..., 1:]
    first, second = original.astype(np.float32), machine.astype(np.float32)
    coarse, coarse_machine = _coarse(first), _coarse(second)
    return {
        "brightness": _picture(_rgb(bright)),
        "colour": _picture(_rgb(coloured)),
        "coarse": _picture(coarse_machine + first - coarse),
        "fine": _picture(coarse + second - coarse_machine),
    }


def _luma_chroma(picture: Picture) -> _Floats:
    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2YCrCb), np.float32)


def _rgb(planes: _Floats) -> _Floats:
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB), np.float32) * 255


def _coarse(picture: _Floats) -> _Floats:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), FINE), np.float32)


def _picture(samples: _Floats) -> Picture:
    return samples.round().clip(0, 255).astype(np.uint8)
