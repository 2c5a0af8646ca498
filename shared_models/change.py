"""Where a picture really changed: sticky quantisation (the encoder's choice, of which the bitstream knows nothing)."""

from __future__ import annotations

from torch import Tensor


def change(y: Tensor, before: Tensor, gain: Tensor) -> Tensor:
    """How much every latent position changed, in squared quantiser steps, (B, 1, H, W).

    Steps are what an encoder trades against bits: near the optimum, a squared step of error costs as much as about 8.7
    bits (the derivative of ``R = -log2(step)`` against ``D = step**2 / 12``), whatever the channel and the level.

    Args:
        y, before: latents of the two pictures' sources, (B, M, H, W), neither quantised.
        gain: factor from latents to symbols, (B, M, 1, 1).
    """
    return ((y - before) * gain).square().sum(1, keepdim=True)
