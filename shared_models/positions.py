"""Which positions of a picture are computed, where nobody will look at the others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

_COUNTS: Final = 16
"""Into so many steps the number of positions that are computed is rounded up."""


class Positions:
    """All positions of pictures (B, C, H, W), or some alone, which are then a picture of their own (1, C, N, 1).

    Convolutions of 1x1 do not see a difference; one that looks at neighbours is led `around` it::

        (1, C, N, 1) -- whole -- (B, C, H, W), 0 elsewhere -- convolution -- taken -- (1, C, N, 1)

    Args:
        size: B, H and W.
        numbers: of the positions, counted through batch and rows of the pictures; all when None.
    """

    def __init__(self, size: tuple[int, int, int], numbers: Tensor | None = None) -> None:
        self._size = size
        self._numbers = numbers
        self._taken = None if numbers is None else _rounded_up(numbers, math.prod(size))

    def rows(self, pictures: Tensor) -> Tensor:
        """Of pictures (B, C, H, W) what stands at the positions, (N, C)."""
        flat = pictures.permute(0, 2, 3, 1).reshape(-1, pictures.shape[1])
        return flat if self._taken is None else flat[self._taken]

    def picture(self, rows: Tensor) -> Tensor:
        """(N, C) as the picture of the positions."""
        if self._taken is None:
            frames, height, width = self._size
            return rows.reshape(frames, height, width, -1).permute(0, 3, 1, 2)
        return rows[None, :, None].permute(0, 3, 1, 2)

    def whole(self, picture: Tensor) -> Tensor:
        """The pictures (B, C, H, W), 0 at all other positions."""
        if self._numbers is None:
            return picture
        frames, height, width = self._size
        rows = picture[0, :, :, 0].t()
        everywhere = rows.new_zeros(math.prod(self._size), rows.shape[1])
        everywhere = everywhere.index_copy(0, self._numbers, rows[: len(self._numbers)])
        return everywhere.view(frames, height, width, -1).permute(0, 3, 1, 2)

    def around(self, convolution: Callable[[Tensor], Tensor], picture: Tensor) -> Tensor:
        """A convolution that looks at neighbours, over the picture of the positions."""
        if self._taken is None:
            return convolution(picture)
        return self.picture(self.rows(convolution(self.whole(picture))))


def _rounded_up(numbers: Tensor, positions: int) -> Tensor:
    """`numbers` and as many times the last one as make their count one of a few, and no convolution's input empty.

    For every number of rows that it multiplies, oneDNN makes a kernel and keeps it: without this, a stream of 768x432
    pixels soon held more than 1 GB of them.
    """
    step = math.ceil(positions / _COUNTS)
    last = numbers[-1:] if len(numbers) else numbers.new_zeros(1)
    missing = -len(numbers) % step if len(numbers) else step
    return torch.cat((numbers, last.expand(missing)))
