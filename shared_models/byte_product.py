"""Convolutions in fixed point as products of bytes, for processors that multiply those faster than floats."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shared_models.device import multiplies_bytes_exactly
from shared_models.fixed_point import LARGEST_ACTIVATION, FixedPointConv2d

_LARGEST_BYTE = 127
_HIGH = 128
"""What a unit of a weight's high part stands for."""
_TRIED_AT_RANDOM = 64


class ByteProduct:
    """A frozen 1x1 `FixedPointConv2d` over activations from 0 to 255: the same numbers, to the last bit.

    A weight that no signed byte holds is ``128 * high + low``: two products, whose sum is as exact as they are.
    """

    def __init__(self, convolution: FixedPointConv2d) -> None:
        weight, self._bias = convolution.operands()
        units = torch.round(weight.flatten(1) / convolution.weight_unit)
        self._zeros = torch.zeros(len(units), dtype=torch.int32)
        parts = {1: units}
        if units.abs().max().item() > _LARGEST_BYTE:
            high = torch.round(units / _HIGH)
            parts = {1: units - _HIGH * high, _HIGH: high}
        self._parts = [
            (
                torch.ops.onednn.qlinear_prepack(part.to(torch.int8), None),
                torch.full((len(units),), unit * convolution.weight_unit),
            )
            for unit, part in parts.items()
        ]

    def __call__(self, rows: Tensor) -> Tensor:
        """(N, inputs) uint8, contiguous -> (N, outputs) float32."""
        (packed, scales), *rest = self._parts
        total = torch.ops.onednn.qlinear_pointwise(
            rows, 1.0, 0, packed, scales, self._zeros, self._bias, 1.0, 0, torch.float32, "none", [], ""
        )
        for packed, scales in rest:
            total = torch.ops.onednn.qlinear_pointwise.binary(
                rows,
                1.0,
                0,
                packed,
                scales,
                self._zeros,
                total,
                None,
                1.0,
                0,
                torch.float32,
                1.0,
                0,
                "sum",
                1.0,
                "none",
                [],
                "",
            )
        return total


def byte_product(convolution: FixedPointConv2d) -> ByteProduct | None:
    """`convolution`, frozen, in bytes; None where this device does not compute the same that way, or no faster.

    Entropy coding stands on it, so that it is tried, with what makes the largest sums and with numbers at random.
    """
    weight, bias = convolution.operands()
    if not multiplies_bytes_exactly(weight.device):
        return None
    signs = weight.flatten(1) > 0
    random = torch.randint(
        int(LARGEST_ACTIVATION) + 1,
        (_TRIED_AT_RANDOM, signs.shape[1]),
        generator=torch.Generator().manual_seed(0),
    )
    largest = torch.cat((signs, ~signs)) * int(LARGEST_ACTIVATION)
    rows = torch.cat((largest, random)).to(torch.uint8)
    product = ByteProduct(convolution)
    return product if torch.equal(product(rows), F.linear(rows.float(), weight.flatten(1), bias)) else None
