"""The codec's public face: frames to layers and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from shared_models.bitstream import Bitstream, Header, Layer, Segment, integers_crc
from shared_models.coder import (
    MOST_BYTES_PER_SYMBOL,
    Indices,
    Integers,
    SymbolDecoder,
    SymbolEncoder,
    SymbolModels,
)
from shared_models.config import LIMITS, PROFILES, CodecConfig
from shared_models.device import compute_dtype, keep_freed_memory, resolved_device
from shared_models.errors import (
    CorruptError,
    DesynchronisedError,
    ImageError,
    MismatchError,
    ModelError,
    QualityError,
    SlicesError,
    TrailingDataError,
    WeightsError,
)
from shared_models.fixed_point import freeze
from shared_models.hyperprior import HYPER_STRIDE
from shared_models.layer import Context, LayerEntropyModel, Level
from shared_models.weights import SHIPPED, Weights

Picture = NDArray[np.uint8]

_SEGMENT_SLACK_BYTES: Final = 64


@dataclass(frozen=True)
class EncodedFrame:
    """Both layers of one frame, self-describing."""

    machine: bytes
    enhancement: bytes


@dataclass(frozen=True)
class _Latents:
    """Integers and decoded latents of one layer, (1, slices * w, H, W) each."""

    symbols: Tensor
    latents: Tensor


class Codec:
    """Encodes frames into a machine and an enhancement layer and decodes either view. Safe to share between threads.

    Args:
        weights: the model.
        device: ``"auto"`` (CUDA when there is one), ``"cpu"`` or ``"cuda"``.
        dtype: of the transforms' blocks; by default bfloat16 where the device computes it natively, else float32.
            Streams made with one decode with the other.

    Raises:
        DeviceError: there is no such device.
    """

    def __init__(self, weights: Weights, device: str = "auto", dtype: torch.dtype | None = None) -> None:
        self.config: CodecConfig = weights.config
        self.model_id = weights.model_id
        self.device = resolved_device(device)
        self.dtype = compute_dtype(self.device) if dtype is None else dtype
        self._machine = weights.machine
        self._enhancement = weights.enhancement
        self.layers = nn.ModuleDict({"machine": self._machine, "enhancement": self._enhancement})
        self.layers.eval().requires_grad_(False)
        self.tables = weights.tables
        self._models = SymbolModels(weights.tables)
        self._beside = ThreadPoolExecutor(thread_name_prefix="codec")
        keep_freed_memory()
        freeze(self.layers)
        self.layers.to(device=self.device)
        for convolution in (part for part in self.layers.modules() if isinstance(part, nn.Conv2d)):
            convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for layer in (self._machine, self._enhancement):
            layer.analysis.blocks.to(self.dtype)
            layer.synthesis.blocks.to(self.dtype)

    @torch.inference_mode()
    def encode(
        self,
        image: Picture,
        quality: int | None = None,
        machine_quality: int | None = None,
        slices: int | None = None,
    ) -> EncodedFrame:
        """Encode one frame.

        Args:
            image: (H, W, 3) uint8 RGB, 16 to 8192 pixels a side; not changed.
            quality: level of the human view, 0 = smallest; the profile's default when None.
            machine_quality: level of the machine layer, likewise.
            slices: enhancement slices (the paper's m), 1 to 5; all when None.

        Raises:
            ImageError, QualityError, SlicesError: an argument is outside its limits.
        """
        config = self.config
        quality = _level(quality, config.default_quality, config.enhancement.levels, "quality")
        machine_quality = _level(
            machine_quality, config.default_machine_quality, config.machine.levels, "machine_quality"
        )
        count = config.slices if slices is None else slices
        if not 1 <= count <= config.slices:
            raise SlicesError(f"slices={slices}: this profile has 1 to {config.slices}")
        pixels = self._pixels(image)
        analysed = self._beside.submit(self._analysed, pixels)
        machine, machine_segments = self._encode_layer(
            self._machine.entropy,
            self._machine.analysis(pixels),
            self._level(machine_quality, 0),
            None,
            config.slices,
            one_segment=True,
        )
        y = self._enhancement.latents(analysed.result(), machine.latents)
        y[:, count * config.slice_width :] = 0.0
        _, enhancement_segments = self._encode_layer(
            self._enhancement.entropy,
            y,
            self._level(quality, machine_quality),
            self._enhancement.context(machine.symbols, machine.latents),
            count,
            one_segment=False,
        )
        height, width = image.shape[:2]
        frame_crc = machine_segments[0].result().integers_crc

        def packed(layer: Layer, own: int, held: int, segments: Sequence[Future[Segment]]) -> bytes:
            header = Header(layer, self.model_id, width, height, own, machine_quality, held, frame_crc)
            return Bitstream(header, tuple(segment.result() for segment in segments)).packed()

        return EncodedFrame(
            machine=packed(Layer.MACHINE, machine_quality, config.slices, machine_segments),
            enhancement=packed(Layer.ENHANCEMENT, quality, count, enhancement_segments),
        )

    @torch.inference_mode()
    def _analysed(self, pixels: Tensor) -> Tensor:
        """The enhancement's analysis, the longest step that needs nothing of the machine layer: a thread of its own."""
        return self._enhancement.analysis(pixels)

    @torch.inference_mode()
    def decode_machine(self, machine: bytes) -> Picture:
        """The machine view, (H, W, 3) uint8 RGB; eq. (4).

        Raises:
            BitstreamError: the subclass names what is wrong with the bytes.
        """
        stream = self._parsed(machine, Layer.MACHINE)
        decoded = self._decode_machine_latents(stream)
        return _picture(self._machine.synthesis(decoded.latents), stream.header)

    @torch.inference_mode()
    def decode_human(self, machine: bytes, enhancement: bytes, slices: int | None = None) -> Picture:
        """The human view, (H, W, 3) uint8 RGB; eq. (6) to (8).

        Args:
            machine: the machine layer.
            enhancement: the enhancement layer of the same frame, whole or cut after any of its segments.
            slices: how many slices to use; all that the stream holds when None.

        Raises:
            SlicesError: the stream holds fewer slices.
            BitstreamError: the subclass names what is wrong with the bytes.
        """
        stream = self._parsed(machine, Layer.MACHINE)
        added = self._parsed(enhancement, Layer.ENHANCEMENT)
        ours, theirs = stream.header, added.header
        if (ours.frame_crc, ours.width, ours.height, ours.quality) != (
            theirs.frame_crc,
            theirs.width,
            theirs.height,
            theirs.machine_quality,
        ):
            raise MismatchError("the enhancement layer belongs to another frame than the machine layer")
        count = _held(added, slices)
        decoded = self._decode_machine_latents(stream)
        fine = self._decode_layer(
            self._enhancement.entropy,
            Bitstream(theirs, added.segments[:count]),
            self._level(theirs.quality, theirs.machine_quality),
            self._enhancement.context(decoded.symbols, decoded.latents),
            one_segment=False,
        )
        return _picture(self._enhancement.picture(decoded.latents, fine.latents), ours)

    def inspect(self, data: bytes, layer: Layer = Layer.MACHINE) -> Header:
        """Check a bitstream as far as that is possible without decoding it, and return its header.

        Raises:
            BitstreamError: the subclass names what is wrong with the bytes.
        """
        return self._parsed(data, layer).header

    def cut(self, enhancement: bytes, slices: int) -> bytes:
        """The enhancement layer's first `slices` slices: a valid stream, cut out without decoding.

        Raises:
            SlicesError: the stream holds fewer.
            BitstreamError: the subclass names what is wrong with the bytes.
        """
        stream = self._parsed(enhancement, Layer.ENHANCEMENT)
        return Bitstream(stream.header, stream.segments[: _held(stream, slices)]).packed()

    def _parsed(self, data: bytes, layer: Layer) -> Bitstream:
        stream = Bitstream.parsed(data, layer)
        header = stream.header
        if header.model_id != self.model_id:
            raise ModelError(
                f"the stream was coded with model {header.model_id.hex()}, this is {self.model_id.hex()}: "
                "use the same weights on both sides"
            )
        levels = self.config.machine.levels if layer is Layer.MACHINE else self.config.enhancement.levels
        whole = range(1, self.config.slices + 1) if layer is Layer.ENHANCEMENT else [self.config.slices]
        if (
            header.quality >= levels
            or header.machine_quality >= self.config.machine.levels
            or header.slices not in whole
        ):
            raise CorruptError("the header names levels or slices that its model does not have")
        most = _SEGMENT_SLACK_BYTES + MOST_BYTES_PER_SYMBOL * self._symbols(header)
        if any(len(segment.payload) > most for segment in stream.segments):
            raise TrailingDataError(
                f"a segment is longer than a frame of {header.width}x{header.height} can be"
            )
        return stream

    def _sizes(self, header: Header) -> tuple[tuple[int, int], tuple[int, int]]:
        """Height and width of the latents and of the hyper latents of a frame."""
        stride = self.config.stride
        size = (-(-header.height // stride), -(-header.width // stride))
        return size, (-(-size[0] // HYPER_STRIDE), -(-size[1] // HYPER_STRIDE))

    def _symbols(self, header: Header) -> int:
        """Symbols of one layer of a frame."""
        size, coarse = self._sizes(header)
        return self.config.latents * math.prod(size) + self.config.hyper_latents * math.prod(coarse)

    def _encode_layer(
        self,
        entropy: LayerEntropyModel,
        y: Tensor,
        level: Level,
        context: Context | None,
        slices: int,
        *,
        one_segment: bool,
    ) -> tuple[_Latents, list[Future[Segment]]]:
        writer = _SegmentWriter(self._models, one_segment, self._beside)
        index = entropy.hyper_index(level)
        z = _quantised(entropy.hyper_latents(y, level), index)
        writer.add(z, index.expand_as(z))
        scaled = entropy.split(y * entropy.gain(level))

        def visit(k: int, index: Tensor, mean: Tensor) -> Tensor:
            q = _quantised(scaled[k] - mean, index)
            writer.add(q, index)
            writer.end_slice()
            return q

        size = (y.shape[-2], y.shape[-1])
        symbols, latents = entropy.walk(z, size, level, context, slices, visit)
        return _Latents(symbols, latents), writer.finish()

    def _decode_layer(
        self,
        entropy: LayerEntropyModel,
        stream: Bitstream,
        level: Level,
        context: Context | None,
        *,
        one_segment: bool,
    ) -> _Latents:
        size, coarse = self._sizes(stream.header)
        reader = _SegmentReader(self._models, stream.segments, self.device)
        index = entropy.hyper_index(level)
        z = reader.take(index.expand(1, index.shape[1], *coarse))

        def visit(k: int, index: Tensor, mean: Tensor) -> Tensor:
            q = reader.take(index)
            if not one_segment or k == self.config.slices - 1:
                reader.end_segment()
            return q

        slices = self.config.slices if one_segment else len(stream.segments)
        symbols, latents = entropy.walk(z, size, level, context, slices, visit)
        return _Latents(symbols, latents)

    def _decode_machine_latents(self, stream: Bitstream) -> _Latents:
        level = self._level(stream.header.quality, 0)
        return self._decode_layer(self._machine.entropy, stream, level, None, one_segment=True)

    def _level(self, own: int, context: int) -> Level:
        return Level(torch.tensor([own], device=self.device), torch.tensor([context], device=self.device))

    def _pixels(self, image: Picture) -> Tensor:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ImageError(f"an image is uint8 (H, W, 3) RGB, not {image.dtype} {image.shape}")
        height, width = image.shape[:2]
        if not all(LIMITS.smallest_side <= side <= LIMITS.largest_side for side in (width, height)):
            raise ImageError(
                f"{width}x{height} is outside {LIMITS.smallest_side} to {LIMITS.largest_side} pixels a side: "
                "scale the image first"
            )
        stride = self.config.stride
        levels = torch.tensor(np.ascontiguousarray(image), device=self.device).permute(2, 0, 1)[None]
        pixels = levels.float().mul_(1.0 / 255.0)
        right, below = -width % stride, -height % stride
        return F.pad(pixels, (0, right, 0, below), mode="replicate") if right or below else pixels


class _SegmentWriter:
    """Codes slices into one segment, or into one each, in threads of their own while the next slice is computed."""

    def __init__(self, models: SymbolModels, one_segment: bool, threads: ThreadPoolExecutor) -> None:
        self._models = models
        self._one_segment = one_segment
        self._threads = threads
        self._parts: list[tuple[Integers, Indices]] = []
        self._segments: list[Future[Segment]] = []

    def add(self, symbols: Tensor, index: Tensor) -> None:
        self._parts.append((symbols.flatten().to("cpu", torch.int32).numpy(), _indices(index)))

    def end_slice(self) -> None:
        if not self._one_segment:
            self._end()

    def finish(self) -> list[Future[Segment]]:
        if self._one_segment:
            self._end()
        return self._segments

    def _end(self) -> None:
        self._segments.append(self._threads.submit(_coded, self._models, self._parts))
        self._parts = []


def _coded(models: SymbolModels, parts: Sequence[tuple[Integers, Indices]]) -> Segment:
    encoder = SymbolEncoder(models)
    for symbols, indices in parts:
        encoder.encode(symbols, indices)
    return Segment(encoder.finish(), integers_crc(*(symbols for symbols, _ in parts)))


class _SegmentReader:
    """Reads slices from segments and holds each segment's integers against their checksum."""

    def __init__(self, models: SymbolModels, segments: Sequence[Segment], device: torch.device) -> None:
        self._models = models
        self._device = device
        self._waiting = list(segments)
        self._decoder: SymbolDecoder | None = None
        self._integers: list[Integers] = []

    def take(self, index: Tensor) -> Tensor:
        if self._decoder is None:
            self._decoder = SymbolDecoder(self._models, self._waiting[0].payload)
        flat = self._decoder.decode(_indices(index))
        self._integers.append(flat)
        return torch.from_numpy(flat).reshape(index.shape).to(self._device, torch.float32)

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


def load_codec(
    profile: str = "lite",
    *,
    weights: Path | None = None,
    device: str = "auto",
    dtype: torch.dtype | None = None,
) -> Codec:
    """Load a codec with its shipped weights, or with those of a file.

    Raises:
        WeightsError: there is no such profile, or the file cannot be used.
        DeviceError: there is no such device.
    """
    if profile not in PROFILES:
        raise WeightsError(f"there is no profile {profile!r}; known: {', '.join(sorted(PROFILES))}")
    path = SHIPPED / f"{profile}.safetensors" if weights is None else weights
    loaded = Weights.load(path)
    if loaded.config.name != profile:
        raise WeightsError(f"{path} is for profile {loaded.config.name!r}, not {profile!r}")
    return Codec(loaded, device, dtype)


def _quantised(values: Tensor, index: Tensor) -> Tensor:
    """Integers in float32; 0 where the index says that nothing is coded."""
    limit = LIMITS.largest_symbol
    return torch.round(values).clamp(-limit, limit) * (index > 0)


def _indices(index: Tensor) -> Indices:
    return index.flatten().to("cpu", torch.uint8).numpy()


def _picture(pixels: Tensor, header: Header) -> Picture:
    """(1, 3, H', W') in [0, 1] -> (height, width, 3) uint8."""
    cut = pixels[0, :, : header.height, : header.width].clamp(0.0, 1.0)
    levels = (cut * 255.0).round().to(torch.uint8).permute(1, 2, 0).contiguous()
    return levels.cpu().numpy()


def _held(stream: Bitstream, slices: int | None) -> int:
    """`slices`, or all that the stream holds."""
    held = len(stream.segments)
    count = held if slices is None else slices
    if not 1 <= count <= held:
        raise SlicesError(f"slices={slices}: this enhancement layer holds {held}")
    return count


def _level(given: int | None, default: int, levels: int, name: str) -> int:
    level = default if given is None else given
    if not 0 <= level < levels:
        raise QualityError(f"{name}={given}: this profile has 0 to {levels - 1}")
    return level
