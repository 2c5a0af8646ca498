"""Where a picture really changed: sticky quantisation (the encoder's choice, of which the bitstream knows nothing)."""

from __future__ import annotations

from torch import Tensor


def change(y: Tensor, before: Tensor, gain: Tensor) -> Tensor:
    """How much every latent position changed, in squared quantiser steps, (B, 1, H, W).

    Args:
        y, before: latents of the two pictures' sources, (B, M, H, W), neither quantised.
        gain: factor from latents to symbols, (B, M, 1, 1).
    """
    return (y - before).mul_(gain).square_().sum(1, keepdim=True)
