"""Standard deviations of the symbols, by integer index."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor

from shared_models.fixed_point import floor_through

SMALLEST_SIGMA: Final = 0.11
INDEX_STEP: Final = 0.125
"""Neighbouring indices differ by this much in ln(sigma)."""
LEVELS: Final = 52
"""Indices 0..51, sigma 0.11..64.6. Symbols of index 0 are neither coded nor decoded: they are 0."""


def index_of(log_sigma: Tensor) -> Tensor:
    """Index of ``ln(sigma / 0.11)``, as integers in float32; exact for fixed-point input.

    The gradient passes through the rounding, and through the clamp wherever it would lead back into the range.
    """
    index = floor_through((log_sigma / INDEX_STEP).add_(0.5))
    if not index.requires_grad:
        return index.clamp_(0.0, LEVELS - 1.0)
    return _ClampKeepingWayBack.apply(index)  # type: ignore[no-untyped-call]


class _ClampKeepingWayBack(torch.autograd.Function):
    """Clamp to 0..LEVELS-1 whose gradient vanishes only where descent would lead further out."""

    @staticmethod
    def forward(ctx: Any, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return index.clamp(0.0, LEVELS - 1.0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (index,) = ctx.saved_tensors
        stuck = ((index < 0.0) & (gradient > 0.0)) | ((index > LEVELS - 1.0) & (gradient < 0.0))
        return gradient.masked_fill(stuck, 0.0)


def sigma_of(index: Tensor) -> Tensor:
    """Standard deviation that an index stands for."""
    return SMALLEST_SIGMA * torch.exp(INDEX_STEP * index)


def log_sigma_of(sigma: Tensor) -> Tensor:
    """``ln(sigma / 0.11)``: what a net has to put out for `sigma`."""
    return torch.log(sigma.clamp_min(1e-6) / SMALLEST_SIGMA).clamp(0.0, (LEVELS - 1) * INDEX_STEP)


def sigmas() -> list[float]:
    """Every index's standard deviation, in float64."""
    return [SMALLEST_SIGMA * math.exp(INDEX_STEP * index) for index in range(LEVELS)]
