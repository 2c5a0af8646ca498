"""Blocks of an analysis in integers of 8 bits, for processors that multiply those faster than floats.

Post-training quantisation (Jacob et al., CVPR 2018): weights have one scale for every output channel, what goes into a
convolution has a range, measured beforehand on photos. The residual stream, which carries the latents, stays in
float32; what is taken from it has a range for every channel, since one of them, brightness, is far larger than the
others (after SmoothQuant, Xiao et al., ICML 2023). Products and sums are exact; what is lost is rounding before every
convolution.

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
_AT_ONCE: Final = 2048
"""Rows that are told together: few enough to be in the cache still for the next pass."""
_LEAST_SCALE: Final = 1e-9
_OF_STREAM: Final = 2
"""Convolutions of a block that take in the residual stream."""
_WITHIN: Final = 3
_SAMPLES: Final = 8192
"""Values of each picture that a range is fitted to."""
_ROW_SAMPLES: Final = 2048
"""Values of each picture that the range of a channel is fitted to."""
_SHRUNK: Final = tuple(1.0 - 0.05 * step for step in range(17))
"""Shares of the whole range that are tried: values beyond it are clipped, those within it told more finely."""


@dataclass(frozen=True)
class Ranges:
    """Lowest and highest value of what the convolutions of N blocks take in.

    `stream` (2 N, width, 2): from the residual stream, by channel; `inner` (3 N, 2): within the branches.
    """

    stream: Tensor
    inner: Tensor


@dataclass(frozen=True)
class AnalysisRanges:
    """Those of both analyses."""

    machine: Ranges
    enhancement: Ranges


class EightBitBlocks(nn.Module):
    """`DepthwiseBlock` one after the other, in 8 bits.

    ::

        x --+-- u8 -- 1x1, leaky -- u8 -- 3x3 depthwise -- u8 -- 1x1 --+--+-- u8 -- 1x1, leaky -- u8 -- 1x1 --+-- y
            +---------------------------- float32 ---------------------+  +-------------- float32 ------------+

    Args:
        blocks: trained blocks, in float32.
        ranges: of what their convolutions take in.

    Raises:
        ValueError: the ranges are those of other blocks.
    """

    def __init__(self, blocks: nn.Sequential, ranges: Ranges) -> None:
        super().__init__()
        taken = [_parts(block) for block in blocks]
        stream = (_OF_STREAM * len(taken), taken[0].enter.in_channels, 2)
        inner = (_WITHIN * len(taken), 2)
        if ranges.stream.shape != stream or ranges.inner.shape != inner:
            raise ValueError(
                f"ranges {tuple(ranges.stream.shape)} and {tuple(ranges.inner.shape)}, not {stream} and {inner}"
            )
        if not all(bool((part[..., 0] <= part[..., 1]).all()) for part in (ranges.stream, ranges.inner)):
            raise ValueError("a range ends before it begins")
        channels = iter(_ChannelGrid(of_channels) for of_channels in ranges.stream)
        scales, zeros = _scales_and_zeros(ranges.inner.double())
        grids = iter(_Grid(float(scale), int(zero)) for scale, zero in zip(scales, zeros, strict=True))
        self._blocks = [
            _EightBitBlock(
                _FromStream(block.enter, next(channels)),
                _Convolution(block.spread, next(grids)),
                _Convolution(block.leave, next(grids)),
                _FromStream(block.widen, next(channels)),
                _Convolution(block.narrow, next(grids)),
            )
            for block in taken
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
            entered = enter.leaky(rows, spread.grid)
            picture = entered.view(frames, height, across, width).permute(0, 3, 1, 2)
            around = spread.depthwise(picture, leave.grid).permute(0, 2, 3, 1).reshape(-1, width)
            rows = leave.added(around, rows)
            rows = narrow.added(widen.leaky(rows, narrow.grid), rows)
        return rows.view(frames, height, across, width).permute(0, 3, 1, 2)


def measured_ranges(blocks: nn.Sequential, batches: Iterable[Tensor]) -> Ranges:
    """Ranges of what the convolutions of float32 blocks take in: those that make the smallest squared error.

    Args:
        blocks: in float32, `DepthwiseBlock`.
        batches: inputs of the blocks, (B, width, H, W).
    """
    taken = [_parts(block) for block in blocks]
    stream = [part for block in taken for part in (block.enter, block.widen)]
    inner = [part for block in taken for part in (block.spread, block.leave, block.narrow)]
    of_stream: list[list[Tensor]] = [[] for _ in stream]
    of_inner: list[list[Tensor]] = [[] for _ in inner]

    def sample_channels(into: list[Tensor], _: nn.Module, arguments: tuple[Any, ...]) -> None:
        rows = arguments[0].detach().movedim(1, -1).flatten(0, -2)
        into.append(rows[:: max(1, len(rows) // _ROW_SAMPLES)].clone())

    def sample(into: list[Tensor], _: nn.Module, arguments: tuple[Any, ...]) -> None:
        values = arguments[0].detach().flatten()
        into.append(values[:: max(1, len(values) // _SAMPLES), None].clone())

    with ExitStack() as hooks, torch.no_grad():
        for parts, seen, look in ((stream, of_stream, sample_channels), (inner, of_inner, sample)):
            for part, into in zip(parts, seen, strict=True):
                hooks.enter_context(part.register_forward_pre_hook(partial(look, into)))
        for batch in batches:
            blocks(batch)
    return Ranges(
        torch.stack([_best_ranges(torch.cat(samples)) for samples in of_stream]),
        torch.cat([_best_ranges(torch.cat(samples)) for samples in of_inner]),
    )


class _Grid(NamedTuple):
    """Bytes for floats: ``float = scale * (byte - zero)``."""

    scale: float
    zero: int


class _ChannelGrid:
    """Bytes for the floats of every channel, from its range, (C, 2)."""

    def __init__(self, ranges: Tensor) -> None:
        self.scales, self.zeros = _scales_and_zeros(ranges)
        self._offsets = _WHOLE + self.zeros
        self._steps = 1.0 / self.scales

    def told(self, rows: Tensor) -> Tensor:
        """Floats (N, C) as bytes."""
        told = torch.empty(rows.shape, dtype=torch.uint8)
        for part, into in zip(torch.split(rows, _AT_ONCE), torch.split(told, _AT_ONCE), strict=True):
            # Adding 2**23 leaves whole numbers in the lowest bits of a float: one pass to round, and torch converts
            # floats to uint8 one by one, but not integers.
            steps = torch.addcmul(self._offsets, part, self._steps)
            into.copy_(steps.clamp_(_WHOLE, _WHOLE + _STEPS).view(torch.int32))
        return told

    def floats(self, told: Tensor) -> Tensor:
        """Bytes (N, C) as floats."""
        return self.scales * (told.float() - self.zeros)


class _Convolution:
    """A convolution's weights in 8 bits, and the grid of what it takes in."""

    def __init__(self, convolution: nn.Conv2d, grid: _Grid) -> None:
        weight, bias = _operands(convolution)
        self.grid = grid
        self.weights = weight.numel()
        self._groups = convolution.groups
        self._scales, told = _told_weights(weight)
        self._zeros = torch.zeros(len(weight), dtype=torch.int32)
        self._bias = bias
        if self._groups == 1:
            self._packed = torch.ops.onednn.qlinear_prepack(told.flatten(1), None)
        else:
            self._packed = torch.ops.onednn.qconv_prepack(
                told, self._scales, *grid, [1, 1], [1, 1], [1, 1], self._groups
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


class _FromStream:
    """A 1x1 convolution and LeakyReLU over floats, which it takes in with a grid for every channel.

    The operator knows of one grid alone: the channels' scales are in the weights, their zeros in the bias.
    """

    def __init__(self, convolution: nn.Conv2d, grid: _ChannelGrid) -> None:
        weight, bias = _operands(convolution)
        self.weights = weight.numel()
        self._grid = grid
        self._scales, told = _told_weights(weight.flatten(1) * grid.scales)
        self._zeros = torch.zeros(len(weight), dtype=torch.int32)
        self._bias = bias - self._scales * (told.float() @ grid.zeros)
        self._packed = torch.ops.onednn.qlinear_prepack(told, None)

    def leaky(self, rows: Tensor, out: _Grid) -> Tensor:
        """Floats (N, inputs) -> bytes (N, outputs)."""
        operands = self._packed, self._scales, self._zeros, self._bias
        return torch.ops.onednn.qlinear_pointwise(
            self._grid.told(rows), 1.0, 0, *operands, *out, torch.uint8, "leaky_relu", [SLOPE], ""
        )


class _Parts(NamedTuple):
    """The convolutions of a `DepthwiseBlock`."""

    enter: nn.Conv2d
    spread: nn.Conv2d
    leave: nn.Conv2d
    widen: nn.Conv2d
    narrow: nn.Conv2d


class _EightBitBlock(NamedTuple):
    """The same in 8 bits."""

    enter: _FromStream
    spread: _Convolution
    leave: _Convolution
    widen: _FromStream
    narrow: _Convolution


def _parts(block: nn.Module) -> _Parts:
    assert isinstance(block, DepthwiseBlock)
    return _Parts(*(part for part in block.modules() if isinstance(part, nn.Conv2d)))


def _operands(convolution: nn.Conv2d) -> tuple[Tensor, Tensor]:
    assert convolution.bias is not None
    return convolution.weight.detach().float(), convolution.bias.detach().float()


def _told_weights(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Scales of the output channels, (outputs,), and weights in units of them, int8."""
    scales = weight.abs().flatten(1).amax(1).clamp_min(_LEAST_SCALE) / _LARGEST_WEIGHT
    units = scales.view(-1, *[1] * (weight.dim() - 1))
    return scales, torch.round(weight / units).to(torch.int8)


def _scales_and_zeros(ranges: Tensor) -> tuple[Tensor, Tensor]:
    """Of the grids over ranges (N, 2), which are widened to have 0 in them: (N,) each."""
    low, high = ranges[:, 0].clamp_max(0.0), ranges[:, 1].clamp_min(0.0)
    scales = ((high - low) / _STEPS).clamp_min(_LEAST_SCALE)
    return scales, torch.round(-low / scales)


def _best_ranges(values: Tensor) -> Tensor:
    """Of every channel of values (N, C), the range that makes the smallest squared error, (C, 2)."""
    whole = torch.stack((values.amin(0), values.amax(0)), 1)
    ranges = [share * whole for share in _SHRUNK]
    errors = []
    for each in ranges:
        grid = _ChannelGrid(each)
        errors.append((grid.floats(grid.told(values)) - values).square().mean(0))
    best = torch.stack(errors).argmin(0)
    return torch.stack(ranges)[best, torch.arange(len(best))]
