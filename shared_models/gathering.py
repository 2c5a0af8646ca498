"""The first convolutions of all slices' nets, over inputs that become known one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from shared_models.byte_product import ByteProduct
from shared_models.fixed_point import FixedPointConv2d
from shared_models.positions import Positions


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
        positions: where they are computed.
    """

    def __init__(self, convolutions: Sequence[nn.Conv2d | FixedPointConv2d], positions: Positions) -> None:
        self._positions = positions
        operands = [_operands(convolution) for convolution in convolutions]
        self._weights = [weight.flatten(1) for weight, _ in operands]
        self._sums = [bias for _, bias in operands]
        self._seen = 0

    def add(self, part: Tensor) -> None:
        """`part`, (B, C, H, W), is known from now on."""
        channels = slice(self._seen, self._seen + part.shape[1])
        begun = self._seen > 0
        self._seen += part.shape[1]
        if not self._weights:
            return
        rows = self._positions.rows(part.to(self._weights[0].dtype))
        # A sum begins as the bias, which is not ours to overwrite.
        add = Tensor.addmm_ if begun and not torch.is_grad_enabled() else torch.addmm
        self._sums = [
            add(total, rows, weight[:, channels].T.contiguous())
            for total, weight in zip(self._sums, self._weights, strict=True)
        ]

    def next(self) -> Tensor:
        """Output of the next net's convolution, the picture of the positions."""
        assert self._seen > 0, "nothing is known yet"
        total, *self._sums = self._sums
        self._weights = self._weights[1:]
        return self._positions.picture(total)


class ByteGathering:
    """A `Gathering` over activations from 0 to 255, in products of bytes. These are small enough to be joined."""

    def __init__(self, products: Sequence[ByteProduct], positions: Positions) -> None:
        self._positions = positions
        self._products = list(products)
        self._known = torch.empty(0, dtype=torch.uint8)

    def add(self, part: Tensor) -> None:
        """`part`, (B, C, H, W), is known from now on."""
        # torch converts floats to uint8 one by one, but not integers.
        rows = self._positions.rows(part).to(torch.int32).to(torch.uint8)
        self._known = torch.cat((self._known, rows), 1) if len(self._known) else rows.contiguous()

    def next(self) -> Tensor:
        """Output of the next net's convolution, the picture of the positions."""
        product, *self._products = self._products
        return self._positions.picture(product(self._known))


def _operands(convolution: nn.Conv2d | FixedPointConv2d) -> tuple[Tensor, Tensor]:
    if isinstance(convolution, FixedPointConv2d):
        return convolution.operands()
    assert convolution.bias is not None
    return convolution.weight, convolution.bias
