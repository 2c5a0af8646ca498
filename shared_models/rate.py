"""Rate of symbols: what an ideal entropy coder would write."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from shared_models.scale import sigma_of

_SMALLEST_LIKELIHOOD = 1e-6
_FAR = 4.75
_BITS_PER_FAR_SIGMA = 2.0


def gaussian_bits(symbols: Tensor, index: Tensor) -> Tensor:
    """R: bits of every symbol; of their shape.

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
    return far - torch.log2(likelihood)
