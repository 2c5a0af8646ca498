"""Where a picture really changed: sticky quantisation (the encoder's choice, of which the bitstream knows nothing)."""

from __future__ import annotations

import math
from typing import Final

from torch import Tensor

BITS_OF_SQUARED_STEP: Final = 6.0 / math.log(2.0)
"""Bits that a squared quantiser step of error is worth at the optimum, whatever the channel and the level.

From ``R = -log2(step)`` and ``D = step**2 / 12`` per symbol: 8.7.
"""


def change(y: Tensor, before: Tensor, gain: Tensor) -> Tensor:
    """How much every latent position changed, in squared quantiser steps, (B, 1, H, W).

    Args:
        y, before: latents of the two pictures' sources, (B, M, H, W), neither quantised.
        gain: factor from latents to symbols, (B, M, 1, 1).
    """
    return ((y - before) * gain).square().sum(1, keepdim=True)
