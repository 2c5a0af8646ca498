"""Blocks of an analysis in integers of 8 bits, for processors that multiply those faster than floats.

Post-training quantisation (Jacob et al., CVPR 2018): weights have one scale for every output channel, what goes into a
convolution has one range, measured beforehand on photos. The residual stream, which carries the latents, stays in
float32. Products and sums are exact; what is lost is rounding before every convolution.

Only an encoder may compute so: nothing on the other side has to repeat an analysis.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from shared_models.blocks import SLOPE, DepthwiseBlock

_LARGEST_WEIGHT: Final = 127
_STEPS: Final = 255
_WHOLE: Final = 2.0**23
"""Floats from here to twice this are whole numbers."""
_LEAST_SCALE: Final = 1e-9
_SAMPLES: Final = 8192
"""Values of each picture that a range is fitted to."""
_SHRUNK: Final = tuple(1.0 - 0.05 * step for step in range(17))
"""Shares of the whole range that are tried: values beyond it are clipped, those within it told more finely."""


@dataclass(frozen=True)
class AnalysisRanges:
    """What the convolutions of both analyses take in, lowest and highest value: (number of convolutions, 2) each."""

    machine: Tensor
    enhancement: Tensor


class EightBitBlocks(nn.Module):
    """`DepthwiseBlock` one after the other, in 8 bits.

    ::

        x --+-- u8 -- 1x1, leaky -- u8 -- 3x3 depthwise -- u8 -- 1x1 --+--+-- u8 -- 1x1, leaky -- u8 -- 1x1 --+-- y
            +---------------------------- float32 ---------------------+  +-------------- float32 ------------+

    Args:
        blocks: trained blocks, in float32.
        ranges: of their convolutions in order, (5 * number of blocks, 2).

    Raises:
        ValueError: the ranges are those of other blocks.
    """

    def __init__(self, blocks: nn.Sequential, ranges: Tensor) -> None:
        super().__init__()
        taken = _convolutions(blocks)
        if ranges.shape != (len(taken), 2) or not bool((ranges[:, 0] < ranges[:, 1]).all()):
            raise ValueError(f"there are {len(taken)} convolutions, and ranges {tuple(ranges.shape)}")
        grids = [_Grid.over(low, high) for low, high in ranges.tolist()]
        quantised = [_Convolution(part, grid) for part, grid in zip(taken, grids, strict=True)]
        of_block = len(_Block._fields)
        self._blocks = [
            _Block(*quantised[first : first + of_block]) for first in range(0, len(quantised), of_block)
        ]

    def multiply_accumulates(self, x: Tensor) -> int:
        """Those of all blocks: none of them calls a convolution of `nn`."""
        positions = x.numel() // x.shape[1]
        return positions * sum(part.weights for block in self._blocks for part in block)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) float32 -> the same. Overwrites `x` if it is in channels_last memory."""
        frames, width, height, across = x.shape
        # These operators take their operands to be contiguous, whatever the strides say.
        rows = x.permute(0, 2, 3, 1).reshape(-1, width).contiguous()
        for enter, spread, leave, widen, narrow in self._blocks:
            entered = enter.leaky(enter.grid.told(rows), spread.grid)
            picture = entered.view(frames, height, across, width).permute(0, 3, 1, 2)
            around = spread.depthwise(picture, leave.grid).permute(0, 2, 3, 1).reshape(-1, width)
            rows = leave.added(around, rows)
            rows = narrow.added(widen.leaky(widen.grid.told(rows), narrow.grid), rows)
        return rows.view(frames, height, across, width).permute(0, 3, 1, 2)


def measured_ranges(blocks: nn.Sequential, batches: Iterable[Tensor]) -> Tensor:
    """Ranges of what the convolutions of float32 blocks take in: those that make the smallest squared error.

    Args:
        blocks: in float32, `DepthwiseBlock`.
        batches: inputs of the blocks, (B, width, H, W).

    Returns:
        (number of convolutions, 2), float32.
    """
    taken = _convolutions(blocks)
    seen: list[list[Tensor]] = [[] for _ in taken]

    def sample(into: list[Tensor], _: nn.Module, arguments: tuple[Any, ...]) -> None:
        values = arguments[0].detach().flatten()
        into.append(values[:: max(1, len(values) // _SAMPLES)].clone())

    with ExitStack() as hooks, torch.no_grad():
        for part, into in zip(taken, seen, strict=True):
            hooks.enter_context(part.register_forward_pre_hook(partial(sample, into)))
        for batch in batches:
            blocks(batch)
    return torch.tensor([_best_range(torch.cat(samples)) for samples in seen])


class _Grid(NamedTuple):
    """Bytes for floats: ``float = scale * (byte - zero)``."""

    scale: float
    zero: int

    @classmethod
    def over(cls, low: float, high: float) -> _Grid:
        """Bytes for a range, which is widened to have 0 in it."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max((high - low) / _STEPS, _LEAST_SCALE)
        return cls(scale, round(-low / scale))

    def told(self, x: Tensor) -> Tensor:
        """Floats as bytes, uint8."""
        # Adding 2**23 leaves whole numbers in the lowest bits of a float: one pass to round, and torch converts floats
        # to uint8 one by one, but not integers.
        steps = torch.add(x.new_tensor(_WHOLE + self.zero), x, alpha=1.0 / self.scale)
        return steps.clamp_(_WHOLE, _WHOLE + _STEPS).view(torch.int32).to(torch.uint8)

    def floats(self, told: Tensor) -> Tensor:
        """Bytes as floats."""
        return self.scale * (told.float() - self.zero)


class _Convolution:
    """A convolution's weights in 8 bits, and the grid of what it takes in."""

    def __init__(self, convolution: nn.Conv2d, grid: _Grid) -> None:
        assert convolution.bias is not None
        weight = convolution.weight.detach().float()
        self.grid = grid
        self.weights = weight.numel()
        self._groups = convolution.groups
        self._scales = weight.abs().amax((1, 2, 3)).clamp_min(_LEAST_SCALE) / _LARGEST_WEIGHT
        self._zeros = torch.zeros(len(weight), dtype=torch.int32)
        self._bias = convolution.bias.detach().float()
        told = torch.round(weight / self._scales[:, None, None, None]).to(torch.int8)
        if self._groups == 1:
            self._packed = torch.ops.onednn.qlinear_prepack(told.flatten(1), None)
        else:
            self._packed = torch.ops.onednn.qconv_prepack(
                told, self._scales, *grid, [1, 1], [1, 1], [1, 1], self._groups
            )

    def leaky(self, rows: Tensor, out: _Grid) -> Tensor:
        """1x1 and LeakyReLU: bytes (N, inputs) -> bytes (N, outputs)."""
        return torch.ops.onednn.qlinear_pointwise(
            rows, *self.grid, *self._operands, *out, torch.uint8, "leaky_relu", [SLOPE], ""
        )

    def depthwise(self, picture: Tensor, out: _Grid) -> Tensor:
        """3x3, every channel for itself: bytes (B, C, H, W) -> bytes of that shape, in channels_last memory."""
        strides, padding, dilation = [1, 1], [1, 1], [1, 1]
        return torch.ops.onednn.qconv2d_pointwise(
            picture,
            *self.grid,
            *self._operands,
            strides,
            padding,
            dilation,
            self._groups,
            *out,
            torch.uint8,
            "none",
            [],
            None,
        )

    def added(self, rows: Tensor, to: Tensor) -> Tensor:
        """1x1, its outputs added to floats (N, outputs), which are overwritten."""
        packed, scales, zeros, bias = self._operands
        return torch.ops.onednn.qlinear_pointwise.binary(
            rows,
            *self.grid,
            packed,
            scales,
            zeros,
            to,
            bias,
            1.0,
            0,
            to.dtype,
            1.0,
            0,
            "sum",
            1.0,
            "none",
            [],
            "",
        )

    @property
    def _operands(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self._packed, self._scales, self._zeros, self._bias


class _Block(NamedTuple):
    """The convolutions of a `DepthwiseBlock`."""

    enter: _Convolution
    spread: _Convolution
    leave: _Convolution
    widen: _Convolution
    narrow: _Convolution


def _convolutions(blocks: nn.Sequential) -> list[nn.Conv2d]:
    assert all(isinstance(block, DepthwiseBlock) for block in blocks)
    return [part for part in blocks.modules() if isinstance(part, nn.Conv2d)]


def _best_range(values: Tensor) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())

    def error(share: float) -> float:
        grid = _Grid.over(share * low, share * high)
        return float((grid.floats(grid.told(values)) - values).square().mean())

    share = min(_SHRUNK, key=error)
    return share * low, share * high
