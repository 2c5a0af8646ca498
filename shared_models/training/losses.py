"""Distortions, and the Lagrangian of distortion and rate: eq. (1) to (3) of the paper."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def masked_error(
    source: Tensor, decoded: Tensor, masks: Tensor, outside: float, detail: float = 1.0
) -> Tensor:
    """mse(x * m, x^ * m) of eq. (2), per frame, (B,), with two weights that the paper does not have.

    Args:
        source: x, (B, 3, H, W).
        decoded: x^, likewise.
        masks: m, (B, 1, H, W).
        outside: weight of what lies outside the mask: 0 as in the paper, 1 for the plain error of eq. (1).
        detail: weight of what lies above half the resolution, that is of the part of the error that averaging 2x2
            pixels removes: 1 as in the paper. Recognisers work on pictures of 300 to 640 pixels a side.
    """
    weight = outside + (1.0 - outside) * masks
    difference = source - decoded
    whole = (weight * difference**2).mean((1, 2, 3))
    coarse = (F.avg_pool2d(weight, 2) * F.avg_pool2d(difference, 2) ** 2).mean((1, 2, 3))
    return detail * whole + (1.0 - detail) * coarse


def squared_error(source: Tensor, decoded: Tensor) -> Tensor:
    """mse(x, x^) of eq. (1) and (3), per frame, (B,)."""
    return ((source - decoded) ** 2).mean((1, 2, 3))


def lagrangian(error: Tensor, bits_per_pixel: Tensor, lambdas: Tensor) -> Tensor:
    """``lambda * 255**2 * mse + R``, averaged over the batch. All arguments (B,)."""
    return (lambdas * 255.0**2 * error + bits_per_pixel).mean()
