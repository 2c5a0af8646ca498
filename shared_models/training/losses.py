"""Distortions, and the Lagrangian of distortion and rate: eq. (1) to (3) of the paper."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ErrorWeights:
    """What of an error counts in eq. (2); by default as in the paper."""

    outside: float = 0.0
    """Of what lies outside the mask; 1 makes it the plain error of eq. (1)."""
    detail: float = 1.0
    """Of what lies above half the resolution, that is of the part of the error that averaging 2x2 pixels removes.
    Recognisers work on pictures of 300 to 640 pixels a side."""
    edge_detail: float = 0.0
    """What `detail` has more within the mask."""
    colour: float = 1.0
    """Of the part of the error in which the three channels differ from their mean."""


def masked_error(source: Tensor, decoded: Tensor, masks: Tensor, weights: ErrorWeights) -> Tensor:
    """mse(x * m, x^ * m) of eq. (2), per frame, (B,), with weights that the paper does not have.

    Args:
        source: x, (B, 3, H, W).
        decoded: x^, likewise.
        masks: m, (B, 1, H, W).
        weights: of the parts of the error.
    """
    weight = weights.outside + (1.0 - weights.outside) * masks
    detail = weights.detail + weights.edge_detail * masks
    difference = source - decoded
    if weights.colour != 1.0:
        grey = difference.mean(1, keepdim=True)
        difference = grey + math.sqrt(weights.colour) * (difference - grey)
    whole = (weight * detail * difference**2).mean((1, 2, 3))
    coarse = (F.avg_pool2d(weight * (1.0 - detail), 2) * F.avg_pool2d(difference, 2) ** 2).mean((1, 2, 3))
    return whole + coarse


def squared_error(source: Tensor, decoded: Tensor) -> Tensor:
    """mse(x, x^) of eq. (1) and (3), per frame, (B,)."""
    return ((source - decoded) ** 2).mean((1, 2, 3))


def lagrangian(error: Tensor, bits_per_pixel: Tensor, lambdas: Tensor) -> Tensor:
    """``lambda * 255**2 * mse + R``, averaged over the batch. All arguments (B,)."""
    return (lambdas * 255.0**2 * error + bits_per_pixel).mean()
