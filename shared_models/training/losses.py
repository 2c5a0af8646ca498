"""Rates and distortions: eq. (1) to (3) of the paper."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from shared_models.scale import sigma_of

_SMALLEST_LIKELIHOOD = 1e-6
_FAR = 4.75
_BITS_PER_FAR_SIGMA = 2.0


def bits(symbols: Tensor, index: Tensor) -> Tensor:
    """R: bits of every frame of a batch, (B,).

    `symbols` are zero-mean Gaussian of standard deviation ``sigma_of(index)``, integrated over a unit interval around
    each value (Ballé et al., 2018); either integers or integers with uniform noise in their place. Beyond 4.75 standard
    deviations, where that likelihood has no usable gradient, the cost rises linearly.
    """
    reach = symbols.abs()
    sigma = sigma_of(index)
    scale = 1.0 / (sigma * math.sqrt(2.0))
    upper = torch.erfc((reach - 0.5) * scale)
    lower = torch.erfc((reach + 0.5) * scale)
    likelihood = (0.5 * (upper - lower)).clamp_min(_SMALLEST_LIKELIHOOD)
    far = ((reach - 0.5) / sigma - _FAR).clamp_min(0.0) * _BITS_PER_FAR_SIGMA
    return (far - torch.log2(likelihood)).flatten(1).sum(1)


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
