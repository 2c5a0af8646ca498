"""Networks whose results are the same bits on every device.

Entropy coding needs the same probability table for a symbol on both sides, to the last bit. Float networks do not
give that: the order of a sum differs between devices, libraries and thread counts. Here weights and activations are
integers times a power of two, carried in float32, and every layer is narrow enough that no partial sum reaches
2**24 units. Then all products and sums are exact, and any order of summation gives the same result
(integer-in-float convolution as in the VCM reference software; integer networks: Ballé et al., ICLR 2019).

TF32 changes nothing: operands have at most 11 significant bits.

Training runs the same forward pass; rounding passes gradients straight through.
"""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATION_UNIT: Final = 2.0**-4
"""What an activation of 1 stands for."""
LARGEST_ACTIVATION: Final = 255.0
_EXACT_UNITS: Final = 2**24
_MOST_WEIGHT_BITS: Final = 10
_FEWEST_WEIGHT_BITS: Final = 6
_NARROW_FAN_IN: Final = 64
_LARGEST_BIAS: Final = 16.0
_LARGEST_INTEGER: Final = 15.0


def round_through(x: Tensor) -> Tensor:
    """Round half to even; the gradient passes as if there were no rounding."""
    return x + (torch.round(x) - x).detach() if x.requires_grad else torch.round(x)


def floor_through(x: Tensor) -> Tensor:
    """Floor; the gradient passes as if there were no rounding."""
    return x + (torch.floor(x) - x).detach() if x.requires_grad else torch.floor(x)


class FixedPointConv2d(nn.Module):
    """Convolution with weights on a grid, for inputs on the activation grid.

    Weights have as many bits as `fan_in` leaves room for, 10 at most, and lie within +-1 (+-2 for a fan-in of 64 or
    less). Inputs are activations: integers within +-255, in units of 1/16. The output is in the same units, exact, and
    not yet an integer: give it to `requantised_relu`, or scale and floor it.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> None:
        super().__init__()
        fan_in = inputs // groups * kernel**2
        reach = 2.0 if fan_in <= _NARROW_FAN_IN else 1.0
        bits = next(
            (
                bits
                for bits in range(_MOST_WEIGHT_BITS, _FEWEST_WEIGHT_BITS - 1, -1)
                if _exact(fan_in, bits, reach)
            ),
            None,
        )
        if bits is None:
            raise ValueError(f"a fan-in of {fan_in} is too large for exact sums in float32")
        self.largest_weight = 2**bits - 1
        self.weight_unit = reach / 2**bits
        self.groups = groups
        self.padding = kernel // 2
        bound = min(reach, 1.0 / math.sqrt(fan_in))
        self.weight = nn.Parameter(
            torch.empty(outputs, inputs // groups, kernel, kernel).uniform_(-bound, bound)
        )
        self.bias = nn.Parameter(torch.zeros(outputs))

        self.frozen = False

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.operands()
        return F.conv2d(x, weight, bias, padding=self.padding, groups=self.groups)

    def operands(self) -> tuple[Tensor, Tensor]:
        """Weight and bias on their grids, the bias in units of activations."""
        if self.frozen:
            return self.weight, self.bias
        return self._grid_weight(), on_grid(self.bias) / ACTIVATION_UNIT

    def freeze(self) -> None:
        """Put weight and bias on their grids once, instead of in every call."""
        self.weight.data, self.bias.data = (operand.detach() for operand in self.operands())
        self.frozen = True

    def _grid_weight(self) -> Tensor:
        units = round_through(self.weight / self.weight_unit)
        return units.clamp(-self.largest_weight, self.largest_weight) * self.weight_unit


def freeze(module: nn.Module) -> None:
    """Freeze every fixed-point convolution within `module`: it is not going to be trained any more."""
    for part in module.modules():
        if isinstance(part, FixedPointConv2d):
            part.freeze()


def _exact(fan_in: int, bits: int, reach: float) -> bool:
    """Whether sums over `fan_in` products of the largest weights and activations, and the bias, stay exact."""
    bias_units = _LARGEST_BIAS / (reach / 2**bits * ACTIVATION_UNIT)
    return fan_in * 255 * (2**bits - 1) + bias_units < _EXACT_UNITS


def on_grid(bias: Tensor) -> Tensor:
    """`bias` rounded to the activation grid, within +-16."""
    return round_through(bias.clamp(-_LARGEST_BIAS, _LARGEST_BIAS) / ACTIVATION_UNIT) * ACTIVATION_UNIT


def requantised_relu(x: Tensor) -> Tensor:
    """ReLU to activations: integers from 0 to 255. Overwrites `x` unless a gradient is wanted."""
    if not x.requires_grad:
        return x.floor_().clamp_(0.0, LARGEST_ACTIVATION)
    return floor_through(x).clamp(0.0, LARGEST_ACTIVATION)


def as_activation(integers: Tensor) -> Tensor:
    """Integers of any size as activations, clamped to +-15."""
    return integers.clamp(-_LARGEST_INTEGER, _LARGEST_INTEGER).div_(ACTIVATION_UNIT)


def as_magnitude(integers: Tensor) -> Tensor:
    """Absolute values of integers of any size as activations, clamped to 15. No gradient passes."""
    return integers.detach().abs().clamp_max_(_LARGEST_INTEGER).div_(ACTIVATION_UNIT)
