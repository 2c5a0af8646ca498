"""The first convolutions of all slices' nets, over inputs that become known one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from shared_models.fixed_point import FixedPointConv2d

_ROW_COUNTS: Final = 16
"""Into so many steps the number of positions that are computed is rounded up."""


class Gathering:
    """What 1x1 convolutions make of all that is known, for the nets of slices 0, 1, 2, ...

    ::

        what is known first --+------------+------------+---
                              |  slice 0 --+------------+---
                              |            |  slice 1 --+---
                             net 0        net 1        net 2

    Net k sees what was added before it was asked for. Whatever is added is multiplied at once with the weights of all
    nets that are still to come, and nothing is joined. In fixed point the order of a sum changes nothing. Parts are
    taken in the precision of the convolutions.

    Args:
        convolutions: of the nets, all of one width.
        rows: numbers of the positions that anyone will look at, counted through batch and rows of the picture; all of
            them when None. The others are left at 0.
    """

    def __init__(
        self, convolutions: Sequence[nn.Conv2d | FixedPointConv2d], rows: Tensor | None = None
    ) -> None:
        self._rows = rows
        operands = [_operands(convolution) for convolution in convolutions]
        self._weights = [weight.flatten(1) for weight, _ in operands]
        self._sums = [bias for _, bias in operands]
        self._seen = 0
        self._positions: tuple[int, int, int] | None = None

    def add(self, part: Tensor) -> None:
        """`part`, (B, C, H, W), is known from now on."""
        channels = slice(self._seen, self._seen + part.shape[1])
        self._seen += part.shape[1]
        if not self._weights:
            return
        flat = part.to(self._weights[0].dtype).permute(0, 2, 3, 1).reshape(-1, part.shape[1])
        if self._rows is not None:
            flat = flat[_rounded_up(self._rows, len(flat))]
        # A sum begins as the bias, which is not ours to overwrite.
        add = torch.addmm if self._positions is None or torch.is_grad_enabled() else Tensor.addmm_
        self._sums = [
            add(total, flat, weight[:, channels].T.contiguous())
            for total, weight in zip(self._sums, self._weights, strict=True)
        ]
        self._positions = (len(part), *part.shape[2:])

    def next(self) -> Tensor:
        """Output of the next net's convolution, (B, width, H, W)."""
        assert self._positions is not None, "nothing is known yet"
        total, *self._sums = self._sums
        self._weights = self._weights[1:]
        if self._rows is not None:
            everywhere = total.new_zeros(math.prod(self._positions), total.shape[1])
            total = everywhere.index_copy(0, self._rows, total[: len(self._rows)])
        return total.reshape(*self._positions, -1).permute(0, 3, 1, 2)


def _rounded_up(rows: Tensor, positions: int) -> Tensor:
    """`rows` and as many times the last one as make their number one of a few.

    For every number of rows that it multiplies, oneDNN makes a kernel and keeps it: without this, a stream of 768x432
    pixels soon held more than 1 GB of them.
    """
    step = math.ceil(positions / _ROW_COUNTS)
    return torch.cat((rows, rows[-1:].expand(-len(rows) % step)))


def _operands(convolution: nn.Conv2d | FixedPointConv2d) -> tuple[Tensor, Tensor]:
    if isinstance(convolution, FixedPointConv2d):
        return convolution.operands()
    assert convolution.bias is not None
    return convolution.weight, convolution.bias
