"""How close a decoded picture is to its source."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_msssim import ms_ssim

MS_SSIM_SMALLEST_SIDE: Final = 161
"""Pixels: its fifth scale needs an 11 x 11 window after four halvings."""


def psnr(source: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio over all samples of two (H, W, 3) uint8 RGB pictures, dB; infinite for equal ones."""
    error = float(np.mean((source.astype(np.float64) - decoded.astype(np.float64)) ** 2))
    return math.inf if error == 0.0 else 10.0 * math.log10(255.0**2 / error)


def ms_ssim_db(source: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float | None:
    """-10 log10(1 - MS-SSIM) of two (H, W, 3) uint8 RGB pictures, the mean of the three channels' MS-SSIM.

    Infinite for equal pictures; None for pictures under `MS_SSIM_SMALLEST_SIDE` a side, which have no fifth scale.
    Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality assessment", 2003.
    """
    if min(source.shape[:2]) < MS_SSIM_SMALLEST_SIDE:
        return None
    ours, theirs = (torch.tensor(image).permute(2, 0, 1)[None].float() for image in (source, decoded))
    with torch.inference_mode():
        unlike = 1.0 - float(ms_ssim(ours, theirs, data_range=255.0))
    return math.inf if unlike <= 0.0 else -10.0 * math.log10(unlike)
