"""Latents of one layer to segments of bytes and back: the entropy model's walk with the entropy coder at each slice."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shared_models.bitstream import Segment, integers_crc
from shared_models.change_map import ChangeMap, read_change_map, write_change_map
from shared_models.coder import Indices, Integers, SymbolDecoder, SymbolEncoder, SymbolModels
from shared_models.config import LIMITS
from shared_models.entropy_model import HYPER_STRIDE, Context, EntropyModel, Level, Prediction
from shared_models.errors import DesynchronisedError, TrailingDataError
from shared_models.light import LIGHT_CHOICES, LIGHT_NUMBERS, Light
from shared_models.stages import Stages


@dataclass(frozen=True)
class CodedLatents:
    """Integers and decoded latents of one layer, (1, slices * w, H, W) each.

    `light` is that of a predicted frame against its reference, in a machine layer.
    """

    symbols: Tensor
    latents: Tensor
    light: Light | None = None


Unchanged = Callable[[Light | None], CodedLatents]
"""Takes the light that a machine layer tells of; returns the reference's integers, and latents if nothing changed."""


class LayerCoder:
    """Codes one layer.

    Args:
        entropy: its entropy model.
        models: the coder's view of the tables.
        threads: codes a slice while the next one is computed.
        device: where the entropy model is.
        stages: is told how long the layer's entropy model takes, and all coding.
        name: of the layer, for `stages`.
        levels: number of the layer's quality levels.
        one_segment: all slices together in one segment, or one segment each.
    """

    def __init__(
        self,
        entropy: EntropyModel,
        models: SymbolModels,
        threads: ThreadPoolExecutor,
        device: torch.device,
        stages: Stages,
        *,
        name: str,
        levels: int,
        one_segment: bool,
    ) -> None:
        self._entropy = entropy
        self._models = models
        self._threads = threads
        self._device = device
        self._one_segment = one_segment
        self._stages = stages
        self._stage = f"{name} entropy model"
        every = torch.arange(levels)
        with torch.inference_mode():
            index = entropy.hyper_index(Level(every, torch.zeros_like(every)))
        self._least_bits = models.least_bits[index[..., 0, 0].to(torch.int64).numpy()].sum(1)

    def least_bytes(self, size: tuple[int, int], level: int) -> int:
        """Lower bound of the first segment's length: what hyper latents cost if each is the likeliest one.

        Known before anything is decoded or allocated. Each of the coder's words but two carries 32 bits.

        Args:
            size: height and width of the latents.
            level: of this layer.
        """
        bits = float(self._least_bits[level]) * math.prod(hyper_size(size))
        return 4 * max(0, int((bits - 64.0) // 32.0))

    def encode(
        self,
        y: Tensor,
        level: Level,
        context: Context | None,
        slices: int,
        prediction: Prediction | None = None,
        light: Light | None = None,
    ) -> tuple[CodedLatents, list[Future[Segment]]]:
        """Code latents (1, M, H, W), their first `slices` slices; in a predicted frame, what changed of them.

        The machine layer of a predicted frame tells of its light, too.
        """
        with self._stages.stage(self._stage):
            return self._encode(y, level, context, slices, prediction, light)

    def _encode(
        self,
        y: Tensor,
        level: Level,
        context: Context | None,
        slices: int,
        prediction: Prediction | None,
        light: Light | None,
    ) -> tuple[CodedLatents, list[Future[Segment]]]:
        entropy = self._entropy
        writer = _SegmentWriter(self._models, self._one_segment, self._threads, self._stages)
        if prediction is not None:
            writer.begin(prediction.changed, light)
        z = entropy.hyper_latents(y if prediction is None else prediction.difference(y), level)
        index = self._hyper_index(level, (z.shape[-2], z.shape[-1]), prediction)
        z = _quantised(z, index)
        writer.add(z, index)
        scaled = entropy.split(y * entropy.gain(level))

        def visit(k: int, spread: Tensor, mean: Tensor) -> Tensor:
            index = entropy.index(spread)
            q = _quantised(scaled[k] - mean, index)
            # Only what has an index is coded, but the checksum covers what the reference tells, too.
            q = q if prediction is None else prediction.completed(k, q)
            writer.add(q, index)
            writer.end_slice()
            return q

        size = (y.shape[-2], y.shape[-1])
        symbols, latents = entropy.walk(z, size, level, context, slices, visit, prediction)
        return CodedLatents(symbols, latents, light), writer.finish()

    def decode(
        self,
        segments: Sequence[Segment],
        size: tuple[int, int],
        level: Level,
        context: Context | None,
        unchanged: Unchanged | None = None,
    ) -> CodedLatents:
        """Decode latents of `size` (height, width).

        Args:
            unchanged: of a predicted frame.

        Raises:
            BitstreamError: the subclass names what is wrong with the segments.
        """
        with self._stages.stage(self._stage):
            return self._decode(segments, size, level, context, unchanged)

    def _decode(
        self,
        segments: Sequence[Segment],
        size: tuple[int, int],
        level: Level,
        context: Context | None,
        unchanged: Unchanged | None,
    ) -> CodedLatents:
        entropy = self._entropy
        reader = _SegmentReader(self._models, segments, self._device, self._stages)
        prediction, light = None, None
        if unchanged is not None:
            light = reader.light() if self._one_segment else None
            known = unchanged(light)
            prediction = Prediction(known.symbols, known.latents, reader.changed(size))
        z = reader.take(self._hyper_index(level, hyper_size(size), prediction))
        reader.count(z)
        slices = entropy.slices if self._one_segment else len(segments)

        def visit(k: int, spread: Tensor, mean: Tensor) -> Tensor:
            q = reader.take(entropy.index(spread))
            q = q if prediction is None else prediction.completed(k, q)
            reader.count(q)
            if not self._one_segment or k == slices - 1:
                reader.end_segment()
            return q

        symbols, latents = entropy.walk(z, size, level, context, slices, visit, prediction)
        return CodedLatents(symbols, latents, light)

    def _hyper_index(self, level: Level, size: tuple[int, int], prediction: Prediction | None) -> Tensor:
        """Tables of z; none where z stands for nothing that changed."""
        index = self._entropy.hyper_index(level)
        index = index.expand(1, index.shape[1], *size)
        return index if prediction is None else index * prediction.hyper_changed


def hyper_size(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the hyper latents of latents of `size`."""
    return -(-size[0] // HYPER_STRIDE), -(-size[1] // HYPER_STRIDE)


@dataclass(frozen=True)
class Preamble:
    """What the first segment of a predicted layer begins with; the light in a machine layer."""

    changed: ChangeMap
    light: Integers | None

    @property
    def integers(self) -> list[Integers]:
        """All of it, as the segment's checksum covers it."""
        light = [] if self.light is None else [self.light]
        return [*light, self.changed.astype(np.int32)]


class _SegmentWriter:
    """Codes slices into one segment, or into one each, in threads of their own while the next slice is computed."""

    def __init__(
        self, models: SymbolModels, one_segment: bool, threads: ThreadPoolExecutor, stages: Stages
    ) -> None:
        self._models = models
        self._stages = stages
        self._one_segment = one_segment
        self._threads = threads
        self._preamble: Preamble | None = None
        self._parts: list[tuple[Integers, Indices]] = []
        self._segments: list[Future[Segment]] = []

    def begin(self, changed: Tensor, light: Light | None) -> None:
        """What a predicted layer begins with."""
        numbers = None if light is None else light.numbers[0].to("cpu", torch.int32).numpy()
        self._preamble = Preamble(changed[0, 0].cpu().numpy(), numbers)

    def add(self, symbols: Tensor, index: Tensor) -> None:
        self._parts.append((symbols.flatten().to("cpu", torch.int32).numpy(), _indices(index, self._models)))

    def end_slice(self) -> None:
        if not self._one_segment:
            self._end()

    def finish(self) -> list[Future[Segment]]:
        if self._one_segment:
            self._end()
        return self._segments

    def _end(self) -> None:
        self._segments.append(self._threads.submit(self._coded, self._parts, self._preamble))
        self._parts, self._preamble = [], None

    def _coded(self, parts: Sequence[tuple[Integers, Indices]], preamble: Preamble | None) -> Segment:
        with self._stages.stage("coding"):
            return coded(self._models, parts, preamble)


def coded(
    models: SymbolModels, parts: Sequence[tuple[Integers, Indices]], preamble: Preamble | None = None
) -> Segment:
    """One segment of symbols with their tables' numbers."""
    encoder = SymbolEncoder(models)
    integers = [symbols for symbols, _ in parts]
    if preamble is not None:
        integers[:0] = preamble.integers
        if preamble.light is not None:
            encoder.encode_uniform(preamble.light, LIGHT_CHOICES)
        write_change_map(encoder, preamble.changed)
    for symbols, indices in parts:
        encoder.encode(symbols, indices)
    return Segment(encoder.finish(), integers_crc(*integers))


class _SegmentReader:
    """Reads slices from segments and holds each segment's integers against their checksum."""

    def __init__(
        self, models: SymbolModels, segments: Sequence[Segment], device: torch.device, stages: Stages
    ) -> None:
        self._models = models
        self._stages = stages
        self._device = device
        self._waiting = list(segments)
        self._decoder: SymbolDecoder | None = None
        self._integers: list[Integers] = []

    def light(self) -> Light:
        """With which a predicted machine layer begins."""
        numbers = self._open().decode_uniform(LIGHT_NUMBERS, LIGHT_CHOICES)
        self._integers.append(numbers)
        return Light(torch.from_numpy(numbers)[None].to(self._device, torch.float32))

    def changed(self, size: tuple[int, int]) -> Tensor:
        """The change map with which a predicted layer begins, (1, 1, H, W), bool."""
        with self._stages.stage("decoding"):
            changed = read_change_map(self._open(), size)
        self._integers.append(changed.astype(np.int32))
        return torch.from_numpy(changed)[None, None].to(self._device)

    def take(self, index: Tensor) -> Tensor:
        """The next symbols, of the shape of `index`."""
        decoder = self._open()
        with self._stages.stage("decoding"):
            flat = decoder.decode(_indices(index, self._models))
        return torch.from_numpy(flat).reshape(index.shape).to(self._device, torch.float32)

    def count(self, symbols: Tensor) -> None:
        """These are among the integers that the segment's checksum covers."""
        self._integers.append(symbols.flatten().to("cpu", torch.int32).numpy())

    def _open(self) -> SymbolDecoder:
        """The segment that is being read."""
        if self._decoder is None:
            self._decoder = SymbolDecoder(self._models, self._waiting[0].payload)
        return self._decoder

    def end_segment(self) -> None:
        assert self._decoder is not None
        if not self._decoder.exhausted:
            raise TrailingDataError("a segment goes on behind its last symbol")
        if integers_crc(*self._integers) != self._waiting.pop(0).integers_crc:
            raise DesynchronisedError(
                "the decoded integers differ from the encoder's although the bytes arrived whole: "
                "this device does not compute the exact path as the encoder did"
            )
        self._decoder = None
        self._integers = []


def _quantised(values: Tensor, index: Tensor) -> Tensor:
    """Integers in float32; 0 where the index says that nothing is coded, and for what is no number.

    The latter comes of a reference of integers that no picture gives.
    """
    limit = LIMITS.largest_symbol
    return torch.round(values).nan_to_num_(0.0).clamp_(-limit, limit) * (index > 0)


def _indices(index: Tensor, models: SymbolModels) -> Indices:
    indices: Indices = index.flatten().to("cpu", models.index_dtype).numpy()
    return indices
