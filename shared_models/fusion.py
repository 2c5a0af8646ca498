"""Feature fusion of the two layers, eq. (6) and (7) of the paper."""

from __future__ import annotations

from torch import Tensor


def fuse(machine: Tensor, enhancement: Tensor) -> Tensor:
    """Add the m slices of the enhancement to the first m of the machine layer's n slices.

    ::

        y_1 .. y_m | y_m+1 .. y_n      machine, (B, n w, H, W)
         +      +
        a_1 .. a_m                     enhancement, (B, m w, H, W)

    Returns a new tensor (B, n w, H, W); neither argument is changed.
    """
    fused = machine.clone()
    fused[:, : enhancement.shape[1]] += enhancement
    return fused
