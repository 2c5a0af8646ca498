"""The codec's public face: frames to layers and back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from shared_models.bitstream import Bitstream, Header, Layer, Segment
from shared_models.coder import MOST_BYTES_PER_SYMBOL, SymbolModels
from shared_models.config import CodecConfig
from shared_models.device import compute_dtype, keep_freed_memory, resolved_device
from shared_models.entropy_model import Level
from shared_models.environment import Environment
from shared_models.errors import (
    CorruptError,
    DesynchronisedError,
    MismatchError,
    ModelError,
    QualityError,
    SlicesError,
    TrailingDataError,
    WeightsError,
)
from shared_models.fixed_point import freeze
from shared_models.layer_coder import CodedLatents, LayerCoder, hyper_size
from shared_models.picture import Picture, picture_of, pixels_of
from shared_models.profile import profile_named
from shared_models.stages import Stages
from shared_models.weights import Weights, shipped_weights

_SEGMENT_SLACK_BYTES: Final = 64


@dataclass(frozen=True)
class EncodedFrame:
    """Both layers of one frame, self-describing."""

    machine: bytes
    enhancement: bytes


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
        self.machine_id = weights.machine_id
        self.device = resolved_device(device)
        self.dtype = compute_dtype(self.device) if dtype is None else dtype
        self._machine = weights.machine
        self._enhancement = weights.enhancement
        self.layers = nn.ModuleDict({"machine": self._machine, "enhancement": self._enhancement})
        self.layers.eval().requires_grad_(False)
        self.tables = weights.tables
        self.stages = Stages()
        self._beside = ThreadPoolExecutor(thread_name_prefix="codec")
        models = SymbolModels(weights.tables)
        self._machine_coder = LayerCoder(
            self._machine.entropy,
            models,
            self._beside,
            self.device,
            self.stages,
            name="machine",
            levels=self.config.machine.levels,
            one_segment=True,
        )
        self._enhancement_coder = LayerCoder(
            self._enhancement.entropy,
            models,
            self._beside,
            self.device,
            self.stages,
            name="enhancement",
            levels=self.config.enhancement.levels,
            one_segment=False,
        )
        keep_freed_memory()
        freeze(self.layers)
        self.layers.to(device=self.device)
        for convolution in (part for part in self.layers.modules() if isinstance(part, nn.Conv2d)):
            convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._environment = Environment.of(self.device)
        for layer in (self._machine, self._enhancement):
            layer.entropy.settle(self.dtype)
            layer.analysis.compute_in(self.dtype)
            layer.synthesis.compute_in(self.dtype)

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
            image: (H, W, 3) uint8 RGB, 16 to 8192 pixels a side, 2**25 in all; not changed.
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
        most = config.enhancement_slices
        count = most if slices is None else slices
        if not 1 <= count <= most:
            raise SlicesError(f"slices={slices}: this model has 1 to {most}")
        with self.stages.stage("pixels"):
            pixels = pixels_of(image, config.stride, self.device)
        analysed = self._beside.submit(self._analysed, pixels)
        with self.stages.stage("machine analysis"):
            machine_y = self._machine.analysis(pixels)
        machine, machine_segments = self._machine_coder.encode(
            machine_y, self._level(machine_quality, 0), None, config.slices
        )
        y = self._enhancement.latents(analysed.result(), machine.latents)
        y[:, count * config.slice_width :] = 0.0
        _, enhancement_segments = self._enhancement_coder.encode(
            y,
            self._level(quality, machine_quality),
            self._enhancement.context(machine.symbols, machine.latents),
            count,
        )
        height, width = image.shape[:2]
        frame_crc = machine_segments[0].result().integers_crc

        environment = 0 if config.exact else self._environment.packed()

        def packed(layer: Layer, own: int, held: int, segments: Sequence[Future[Segment]]) -> bytes:
            header = Header(
                layer,
                self.model_id,
                width,
                height,
                own,
                machine_quality,
                held,
                frame_crc,
                environment=environment,
            )
            return Bitstream(header, tuple(segment.result() for segment in segments)).packed()

        return EncodedFrame(
            machine=packed(Layer.MACHINE, machine_quality, config.slices, machine_segments),
            enhancement=packed(Layer.ENHANCEMENT, quality, count, enhancement_segments),
        )

    @torch.inference_mode()
    def _analysed(self, pixels: Tensor) -> Tensor:
        """The enhancement's analysis, the longest step that needs nothing of the machine layer: a thread of its own."""
        with self.stages.stage("enhancement analysis"):
            return self._enhancement.analysis(pixels)

    @torch.inference_mode()
    def decode_machine(self, machine: bytes) -> Picture:
        """The machine view, (H, W, 3) uint8 RGB; eq. (4).

        Raises:
            BitstreamError: the subclass names what is wrong with the bytes.
        """
        stream = self._parsed(machine, Layer.MACHINE)
        decoded = self._decode_machine_latents(stream)
        header = stream.header
        with self.stages.stage("machine synthesis"):
            view = self._machine.synthesis(decoded.latents)
        with self.stages.stage("picture"):
            return picture_of(view, header.width, header.height)

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
        with self._naming_environments(theirs):
            fine = self._enhancement_coder.decode(
                added.segments[:count],
                self._size(theirs),
                self._level(theirs.quality, theirs.machine_quality),
                self._enhancement.context(decoded.symbols, decoded.latents),
            )
        with self.stages.stage("human synthesis"):
            view = self._enhancement.picture(decoded.latents, fine.latents)
        with self.stages.stage("picture"):
            return picture_of(view, ours.width, ours.height)

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
        config = self.config
        if layer is Layer.MACHINE:
            coder, levels = self._machine_coder, config.machine.levels
            counts = range(config.slices, config.slices + 1)
        else:
            coder, levels = self._enhancement_coder, config.enhancement.levels
            counts = range(1, config.enhancement_slices + 1)
        if (
            header.quality >= levels
            or header.machine_quality >= config.machine.levels
            or header.slices not in counts
            or (config.exact and header.environment)
        ):
            raise CorruptError(
                "the header names levels, slices or an environment that its model does not have"
            )
        most = _SEGMENT_SLACK_BYTES + MOST_BYTES_PER_SYMBOL * self._symbols(header)
        if any(len(segment.payload) > most for segment in stream.segments):
            raise TrailingDataError(
                f"a segment is longer than a frame of {header.width}x{header.height} can be"
            )
        if len(stream.segments[0].payload) < coder.least_bytes(self._size(header), header.quality):
            raise CorruptError(
                f"{len(stream.segments[0].payload)} bytes cannot stand for a frame of "
                f"{header.width}x{header.height}: no frame costs so little"
            )
        return stream

    def _size(self, header: Header) -> tuple[int, int]:
        """Height and width of the latents of a frame."""
        stride = self.config.stride
        return -(-header.height // stride), -(-header.width // stride)

    def _symbols(self, header: Header) -> int:
        """Symbols of one layer of a frame."""
        size = self._size(header)
        return self.config.latents * math.prod(size) + self.config.hyper_latents * math.prod(hyper_size(size))

    def _decode_machine_latents(self, stream: Bitstream) -> CodedLatents:
        level = self._level(stream.header.quality, 0)
        with self._naming_environments(stream.header):
            return self._machine_coder.decode(stream.segments, self._size(stream.header), level, None)

    @contextmanager
    def _naming_environments(self, header: Header) -> Iterator[None]:
        """Tell where a stream of a profile that is not exact was coded if it cannot be decoded here."""
        try:
            yield
        except (DesynchronisedError, TrailingDataError) as error:
            if self.config.exact:
                raise
            raise DesynchronisedError(
                f"{error}. It was coded on {Environment.unpacked(header.environment)} and decoded on "
                f"{self._environment}: decode it where it was coded, or use a profile that is exact everywhere"
            ) from error

    def _level(self, own: int, context: int) -> Level:
        return Level(torch.tensor([own], device=self.device), torch.tensor([context], device=self.device))


def load_codec(
    profile: str = "lite",
    *,
    weights: Path | None = None,
    m: int | None = None,
    device: str = "auto",
    dtype: torch.dtype | None = None,
) -> Codec:
    """Load a codec with its shipped weights, or with those of a file.

    Args:
        profile: `lite` or `paper`.
        weights: a weights file; none are shipped for `paper`.
        m: slices that the enhancement layer must have. Any number of them can be coded, up to this.
        device, dtype: as for `Codec`.

    Raises:
        WeightsError: there is no such profile, or the file cannot be used, or has another m.
        DeviceError: there is no such device.
    """
    wanted = profile_named(profile)
    path = shipped_weights(profile) if weights is None else weights
    loaded = Weights.load(path)
    if loaded.config.name != wanted.name:
        raise WeightsError(f"{path} is for profile {loaded.config.name!r}, not {profile!r}")
    if m not in (None, loaded.config.enhancement_slices):
        raise WeightsError(
            f"{path} has an enhancement layer of {loaded.config.enhancement_slices} slices, not of m={m}"
        )
    return Codec(loaded, device, dtype)


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
