"""The codec's public face: frames to layers and back."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from shared_models.analysis import Analysis
from shared_models.bitstream import Bitstream, BytesLike, FrameType, Header, Layer
from shared_models.coder import MOST_BYTES_PER_SYMBOL, SymbolModels
from shared_models.config import CodecConfig
from shared_models.device import (
    compute_dtype,
    keep_freed_memory,
    multiplies_bytes_exactly,
    resolved_device,
)
from shared_models.eight_bit import Ranges
from shared_models.entropy_model import EntropyModel, Level, Prediction
from shared_models.environment import Environment
from shared_models.errors import (
    CodecError,
    CorruptError,
    DesynchronisedError,
    FrameTypeError,
    MismatchError,
    ModelError,
    QualityError,
    ReferenceMissingError,
    SlicesError,
    TrailingDataError,
    WeightsError,
)
from shared_models.fixed_point import freeze
from shared_models.fusion import fuse
from shared_models.layer_coder import CodedLatents, LayerCoder, hyper_size
from shared_models.light import Light, LightResponse, brightness
from shared_models.picture import Picture, picture_of, pixels_of
from shared_models.profile import profile_named
from shared_models.reference import Reference
from shared_models.stages import Stages
from shared_models.transform import Transform
from shared_models.weights import Weights, shipped_weights

_SEGMENT_SLACK_BYTES: Final = 64


@dataclass(frozen=True)
class EncodedFrame:
    """Both layers of one frame, self-describing."""

    machine: bytes
    enhancement: bytes


@dataclass(frozen=True)
class OperatingPoint:
    """Levels of the human view and of the machine layer, and slices of the enhancement layer (the paper's m)."""

    quality: int
    machine_quality: int
    slices: int


@dataclass(frozen=True)
class AnalysedFrame:
    """A frame as latents, not quantised yet: (1, M, H/16, W/16) for each layer; the enhancement's may be coming."""

    width: int
    height: int
    brightness: Tensor
    machine: Tensor
    coming: Future[Tensor]

    @property
    def enhancement(self) -> Tensor:
        """Waits for it."""
        return self.coming.result()


@dataclass(frozen=True)
class Changes:
    """What a predicted frame is coded against, and where each layer is coded at all: (1, 1, H/16, W/16), bool.

    The enhancement layer's may be something that finds it, called once the machine layer has been coded: by then its
    latents have come.
    """

    reference: Reference
    light: Light
    machine: Tensor
    enhancement: Tensor | Callable[[], Tensor]


@dataclass(frozen=True)
class CodedFrame:
    """An encoded frame, and what its decoder will have of it."""

    frame: EncodedFrame
    reference: Reference


class Codec:
    """Encodes frames into a machine and an enhancement layer and decodes either view. Safe to share between threads.

    Args:
        weights: the model.
        device: ``"auto"`` (CUDA when there is one), ``"cpu"`` or ``"cuda"``.
        dtype: of the transforms' blocks and of all in the entropy models that need not be exact; by default bfloat16
            where the device computes it natively, else float32.
            Streams made with one decode with the other.
        eight_bit: let the analyses compute in 8-bit integers where the processor has instructions for it and the
            weights were measured for it (`secondsight models calibrate`): faster encoding, for a little more bits.

    Attributes:
        eight_bit: whether they do.

    Raises:
        DeviceError: there is no such device.
        WeightsError: the weights were measured for other analyses.
    """

    def __init__(
        self,
        weights: Weights,
        device: str = "auto",
        dtype: torch.dtype | None = None,
        *,
        eight_bit: bool = False,
    ) -> None:
        self.config: CodecConfig = weights.config
        self.model_id = weights.model_id
        self.predicting_id = weights.predicting_id
        self.machine_id = weights.machine_id
        self.device = resolved_device(device)
        self.dtype = compute_dtype(self.device) if dtype is None else dtype
        self._machine = weights.machine
        self._enhancement = weights.enhancement
        self.layers = nn.ModuleDict({"machine": self._machine, "enhancement": self._enhancement})
        self.tables = weights.tables
        self.stages = Stages()
        self._beside = ThreadPoolExecutor(thread_name_prefix="codec")
        models = SymbolModels(weights.tables)
        config = self.config

        def coders(machine: EntropyModel, enhancement: EntropyModel) -> tuple[LayerCoder, LayerCoder]:
            shared = (models, self._beside, self.device, self.stages)
            of_machine = LayerCoder(
                machine, *shared, name="machine", levels=config.machine.levels, one_segment=True
            )
            of_enhancement = LayerCoder(
                enhancement, *shared, name="enhancement", levels=config.enhancement.levels, one_segment=False
            )
            return of_machine, of_enhancement

        self._coders = {FrameType.SELF_CONTAINED: coders(self._machine.entropy, self._enhancement.entropy)}
        if weights.predicted is not None:
            self.layers["predicted"] = weights.predicted
            self._coders[FrameType.PREDICTED] = coders(
                weights.predicted.machine, weights.predicted.enhancement
            )
        self.layers.eval().requires_grad_(False)
        keep_freed_memory()
        freeze(self.layers)
        self.layers.to(device=self.device)
        for convolution in (part for part in self.layers.modules() if isinstance(part, nn.Conv2d)):
            convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._environment = Environment.of(self.device)
        # Before they compute in their own precision, so that both sides measure alike.
        self._machine_light = LightResponse(self._machine.analysis, self.device)
        self._enhancement_light = LightResponse(self._enhancement.analysis, self.device)
        for entropy in (part for part in self.layers.modules() if isinstance(part, EntropyModel)):
            entropy.settle(self.dtype)
        ranges = weights.ranges if eight_bit and multiplies_bytes_exactly(self.device) else None
        self.eight_bit = ranges is not None
        if ranges is None:
            self._machine.analysis.compute_in(self.dtype)
            self._enhancement.analysis.compute_in(self.dtype)
        else:
            _compute_in_eight_bits(self._machine.analysis, ranges.machine)
            _compute_in_eight_bits(self._enhancement.analysis, ranges.enhancement)
        self._machine.synthesis.compute_in(self.dtype)
        self._enhancement.synthesis.compute_in(self.dtype)

    @property
    def predicts(self) -> bool:
        """Whether this model codes predicted frames."""
        return FrameType.PREDICTED in self._coders

    def encode(
        self,
        image: Picture,
        quality: int | None = None,
        machine_quality: int | None = None,
        slices: int | None = None,
    ) -> EncodedFrame:
        """Encode one frame that needs no other.

        Args:
            image: (H, W, 3) uint8 RGB, 16 to 8192 pixels a side, 2**25 in all; not changed.
            quality: level of the human view, 0 = smallest; the profile's default when None.
            machine_quality: level of the machine layer, likewise.
            slices: enhancement slices (the paper's m), 1 to 5; all when None.

        Raises:
            ImageError, QualityError, SlicesError: an argument is outside its limits.
        """
        point = self.operating_point(quality, machine_quality, slices)
        return self.code(self.analyse(image), point).frame

    def operating_point(
        self, quality: int | None = None, machine_quality: int | None = None, slices: int | None = None
    ) -> OperatingPoint:
        """Both levels and the number of slices, with the profile's defaults for what is None.

        Raises:
            QualityError, SlicesError: the profile has no such level, or not so many slices.
        """
        config = self.config
        most = config.enhancement_slices
        count = most if slices is None else _whole(slices, "slices", SlicesError)
        if not 1 <= count <= most:
            raise SlicesError(f"slices={slices}: this model has 1 to {most}")
        return OperatingPoint(
            quality=_level(quality, config.default_quality, config.enhancement.levels, "quality"),
            machine_quality=_level(
                machine_quality, config.default_machine_quality, config.machine.levels, "machine_quality"
            ),
            slices=count,
        )

    @torch.inference_mode()
    def analyse(self, image: Picture) -> AnalysedFrame:
        """The first half of `encode`: pixels to latents.

        Raises:
            ImageError: the picture is outside the limits.
        """
        with self.stages.stage("pixels"):
            pixels = pixels_of(image, self.config.stride, self.device)
        coming = self._beside.submit(self._analysed, pixels)
        with self.stages.stage("machine analysis"):
            machine = self._machine.analysis(pixels)
        height, width = image.shape[:2]
        return AnalysedFrame(width, height, brightness(pixels), machine, coming)

    @torch.inference_mode()
    def relit(self, analysed: AnalysedFrame, light: Light, layer: Layer) -> Tensor:
        """Latents of a layer, as they are in another light."""
        if layer is Layer.MACHINE:
            return self._machine_light.relit(analysed.machine, light)
        return self._enhancement_light.relit(analysed.enhancement, light)

    @torch.inference_mode()
    def code(
        self, analysed: AnalysedFrame, point: OperatingPoint, changes: Changes | None = None
    ) -> CodedFrame:
        """The second half of `encode`: latents to bytes, against a reference if `changes` names one.

        Raises:
            FrameTypeError: this model codes no predicted frames.
            SlicesError: the reference has fewer slices.
        """
        if changes is not None and not self.predicts:
            raise FrameTypeError(
                "this model codes no predicted frames: use weights that have the part `predicted`"
            )
        frame_type = FrameType.SELF_CONTAINED if changes is None else FrameType.PREDICTED
        machine_coder, enhancement_coder = self._coders[frame_type]
        config, count = self.config, point.slices
        prediction, light = None, None
        if changes is not None:
            light = changes.light
            known = self._unchanged_machine(changes.reference, light)
            prediction = Prediction(known.symbols, known.latents, changes.machine)
        machine, machine_segments = machine_coder.encode(
            analysed.machine, self._level(point.machine_quality, 0), None, config.slices, prediction, light
        )
        y = self._enhancement.latents(analysed.enhancement, machine.latents)
        if count < config.enhancement_slices:
            y = y.clone()
            y[:, count * config.slice_width :] = 0.0
        if changes is not None:
            unchanged = self._unchanged_enhancement(changes.reference, machine, count)
            asked = changes.enhancement
            changed = asked if isinstance(asked, Tensor) else asked()
            prediction = Prediction(unchanged.symbols, unchanged.latents, changed)
        enhancement, enhancement_segments = enhancement_coder.encode(
            y,
            self._level(point.quality, point.machine_quality),
            self._enhancement.context(machine.symbols, machine.latents),
            count,
            prediction,
        )
        frame_crc = machine_segments[0].result().integers_crc
        environment = 0 if config.exact else self._environment.packed()

        def header(layer: Layer, own: int, held: int) -> Header:
            return Header(
                layer,
                self._model_of(frame_type),
                analysed.width,
                analysed.height,
                own,
                point.machine_quality,
                held,
                frame_crc,
                frame_type,
                (changes.reference.name_of(layer) or 0) if changes is not None else 0,
                environment,
            )

        reference = Reference(
            header(Layer.MACHINE, point.machine_quality, config.slices),
            machine,
            header(Layer.ENHANCEMENT, point.quality, count),
            enhancement,
        )
        layers = (
            Bitstream(of, tuple(segment.result() for segment in segments)).packed()
            for of, segments in (
                (reference.machine_header, machine_segments),
                (reference.enhancement_header, enhancement_segments),
            )
            if of is not None
        )
        return CodedFrame(EncodedFrame(*layers), reference)

    def gains(self, point: OperatingPoint) -> tuple[Tensor, Tensor]:
        """Factors from latents of the machine and of the enhancement layer to integers, (1, M, 1, 1) each."""
        machine = self._level(point.machine_quality, 0)
        own = self._level(point.quality, point.machine_quality)
        return self._machine.entropy.gain(machine), self._enhancement.entropy.gain(own)

    @torch.inference_mode()
    def _analysed(self, pixels: Tensor) -> Tensor:
        """The enhancement's analysis, the longest step that needs nothing of the machine layer: a thread of its own."""
        with self.stages.stage("enhancement analysis"):
            return self._enhancement.analysis(pixels)

    @torch.inference_mode()
    def reference(
        self, machine: BytesLike, enhancement: BytesLike | None = None, reference: Reference | None = None
    ) -> Reference:
        """Decode a frame as far as frames predicted from it need it.

        Args:
            machine: its machine layer.
            enhancement: its enhancement layer, whole or cut, for human views.
            reference: what it was predicted from itself, if it was.

        Raises:
            BitstreamError: the subclass names what is wrong with the bytes.
        """
        stream = self._parsed(machine, Layer.MACHINE)
        if enhancement is None:
            return Reference(stream.header, self._decoded_machine(stream, reference))
        added = self._parsed_beside(stream, enhancement)
        decoded = self._decoded_machine(stream, reference)
        fine = self._decoded_enhancement(added, len(added.segments), decoded, reference)
        return Reference(stream.header, decoded, added.header, fine)

    @torch.inference_mode()
    def decode_machine(self, machine: BytesLike, reference: Reference | None = None) -> Picture:
        """The machine view, (H, W, 3) uint8 RGB; eq. (4).

        Args:
            machine: the machine layer.
            reference: the frame that it was predicted from, if it was.

        Raises:
            BitstreamError: the subclass names what is wrong with the bytes.
        """
        stream = self._parsed(machine, Layer.MACHINE)
        decoded = self._decoded_machine(stream, reference)
        header = stream.header
        with self.stages.stage("machine synthesis"):
            view = self._machine.synthesis(decoded.latents)
        with self.stages.stage("picture"):
            return picture_of(view, header.width, header.height)

    @torch.inference_mode()
    def decode_human(
        self,
        machine: BytesLike,
        enhancement: BytesLike,
        slices: int | None = None,
        reference: Reference | None = None,
    ) -> Picture:
        """The human view, (H, W, 3) uint8 RGB; eq. (6) to (8).

        Args:
            machine: the machine layer.
            enhancement: the enhancement layer of the same frame, whole or cut after any of its segments.
            slices: how many slices to use; all that the stream holds when None.
            reference: the frame that it was predicted from, if it was; with its enhancement layer.

        Raises:
            SlicesError: the stream, or its reference, holds fewer slices.
            BitstreamError: the subclass names what is wrong with the bytes.
        """
        stream = self._parsed(machine, Layer.MACHINE)
        added = self._parsed_beside(stream, enhancement)
        count = _held(added, slices)
        decoded = self._decoded_machine(stream, reference)
        fine = self._decoded_enhancement(added, count, decoded, reference)
        with self.stages.stage("human synthesis"):
            view = self._enhancement.picture(decoded.latents, fine.latents)
        with self.stages.stage("picture"):
            return picture_of(view, stream.header.width, stream.header.height)

    def inspect(self, data: BytesLike, layer: Layer = Layer.MACHINE) -> Header:
        """Check a bitstream as far as that is possible without decoding it, and return its header.

        Raises:
            BitstreamError: the subclass names what is wrong with the bytes.
        """
        return self._parsed(data, layer).header

    def cut(self, enhancement: BytesLike, slices: int) -> bytes:
        """The enhancement layer's first `slices` slices: a valid stream, cut out without decoding.

        Raises:
            SlicesError: the stream holds fewer.
            BitstreamError: the subclass names what is wrong with the bytes.
        """
        stream = self._parsed(enhancement, Layer.ENHANCEMENT)
        return Bitstream(stream.header, stream.segments[: _held(stream, slices)]).packed()

    def _parsed(self, data: BytesLike, layer: Layer) -> Bitstream:
        stream = Bitstream.parsed(data, layer)
        header = stream.header
        model = self._model_of(header.frame_type)
        if header.model_id != model:
            raise ModelError(
                f"the stream was coded with model {header.model_id.hex()}, this is {model.hex()}: "
                "use the same weights on both sides"
            )
        config = self.config
        if header.frame_type not in self._coders:
            raise CorruptError("the header claims a predicted frame, which its model does not have")
        coders = self._coders[header.frame_type]
        if layer is Layer.MACHINE:
            coder, levels = coders[0], config.machine.levels
            counts = range(config.slices, config.slices + 1)
        else:
            coder, levels = coders[1], config.enhancement.levels
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
        # What a predicted frame leaves out, its reference has paid for.
        predicted = header.frame_type is FrameType.PREDICTED
        if not predicted and len(stream.segments[0].payload) < coder.least_bytes(
            self._size(header), header.quality
        ):
            raise CorruptError(
                f"{len(stream.segments[0].payload)} bytes cannot stand for a frame of "
                f"{header.width}x{header.height}: no frame costs so little"
            )
        return stream

    def _model_of(self, frame_type: FrameType) -> bytes:
        """By which frames of that type name this model."""
        return self.model_id if frame_type is FrameType.SELF_CONTAINED else self.predicting_id

    def _size(self, header: Header) -> tuple[int, int]:
        """Height and width of the latents of a frame."""
        stride = self.config.stride
        return -(-header.height // stride), -(-header.width // stride)

    def _symbols(self, header: Header) -> int:
        """Symbols of one layer of a frame."""
        size = self._size(header)
        return self.config.latents * math.prod(size) + self.config.hyper_latents * math.prod(hyper_size(size))

    def _parsed_beside(self, machine: Bitstream, enhancement: BytesLike) -> Bitstream:
        """The enhancement layer beside a machine layer."""
        added = self._parsed(enhancement, Layer.ENHANCEMENT)
        ours, theirs = machine.header, added.header
        if (ours.frame_crc, ours.width, ours.height, ours.quality, ours.frame_type) != (
            theirs.frame_crc,
            theirs.width,
            theirs.height,
            theirs.machine_quality,
            theirs.frame_type,
        ):
            raise MismatchError("the enhancement layer belongs to another frame than the machine layer")
        return added

    def _decoded_machine(self, stream: Bitstream, reference: Reference | None) -> CodedLatents:
        header = stream.header
        unchanged = None
        if header.frame_type is FrameType.PREDICTED:
            unchanged = partial(self._unchanged_machine, _checked(header, reference))
        coder, _ = self._coders[header.frame_type]
        with self._naming_environments(header):
            return coder.decode(
                stream.segments, self._size(header), self._level(header.quality, 0), None, unchanged
            )

    def _decoded_enhancement(
        self, stream: Bitstream, count: int, machine: CodedLatents, reference: Reference | None
    ) -> CodedLatents:
        header = stream.header
        unchanged = None
        if header.frame_type is FrameType.PREDICTED:
            known = self._unchanged_enhancement(_checked(header, reference), machine, count)
            unchanged = lambda _: known  # noqa: E731
        _, coder = self._coders[header.frame_type]
        with self._naming_environments(header):
            return coder.decode(
                stream.segments[:count],
                self._size(header),
                self._level(header.quality, header.machine_quality),
                self._enhancement.context(machine.symbols, machine.latents),
                unchanged,
            )

    def _unchanged_machine(self, reference: Reference, light: Light | None) -> CodedLatents:
        """The reference's integers of the machine layer, and its latents in another light; (1, M, H, W) each."""
        assert light is not None
        known = reference.machine
        return CodedLatents(known.symbols, self._machine_light.relit(known.latents, light))

    def _unchanged_enhancement(
        self, reference: Reference, machine: CodedLatents, slices: int
    ) -> CodedLatents:
        """The reference's integers of the enhancement layer, and latents that with `machine` make its fused ones.

        (1, M, H, W) each, in the light of `machine`; what lies behind `slices` is 0.

        Raises:
            SlicesError: the reference holds fewer slices.
        """
        known, light = reference.enhancement, machine.light
        channels = slices * self.config.slice_width
        if known is None or known.symbols.shape[1] < channels:
            held = 0 if known is None else known.symbols.shape[1] // self.config.slice_width
            raise SlicesError(f"slices={slices}: the enhancement layer of the key frame holds {held}")
        assert light is not None
        latents = self._enhancement_light.relit(fuse(reference.machine.latents, known.latents), light)
        latents.sub_(machine.latents)[:, channels:] = 0.0
        symbols = known.symbols
        if channels < latents.shape[1]:
            symbols = torch.zeros_like(machine.symbols)
            symbols[:, :channels] = known.symbols[:, :channels]
        return CodedLatents(symbols, latents)

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
    eight_bit: bool = False,
) -> Codec:
    """Load a codec with its shipped weights, or with those of a file.

    Args:
        profile: `lite` or `paper`.
        weights: a weights file; none are shipped for `paper`.
        m: slices that the enhancement layer must have. Any number of them can be coded, up to this.
        device, dtype, eight_bit: as for `Codec`.

    Raises:
        ProfileError: there is no such profile.
        WeightsError: the file cannot be used, or has another m.
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
    return Codec(loaded, device, dtype, eight_bit=eight_bit)


def _compute_in_eight_bits(analysis: Transform, ranges: Ranges) -> None:
    try:
        if not isinstance(analysis, Analysis):
            raise ValueError("this profile's analyses compute in floats alone")
        analysis.compute_in_eight_bits(ranges)
    except ValueError as error:
        raise WeightsError(f"the weights were measured for other analyses: {error}") from error


def _checked(header: Header, reference: Reference | None) -> Reference:
    """`reference`, if it is the one that a predicted layer was coded against."""
    named = None if reference is None else reference.name_of(header.layer)
    if reference is None or named != header.reference:
        given = "none" if named is None else f"{named:016x}"
        raise ReferenceMissingError(
            f"the {header.layer.name.lower()} layer was predicted from {header.reference:016x} and was given {given}: "
            "decode the key frame that it names first, or ask for a new one"
        )
    key = reference.machine_header
    if (key.width, key.height) != (header.width, header.height):
        raise CorruptError("the frame and the key frame that it was predicted from differ in size")
    return reference


def _held(stream: Bitstream, slices: int | None) -> int:
    """`slices`, or all that the stream holds."""
    held = len(stream.segments)
    count = held if slices is None else _whole(slices, "slices", SlicesError)
    if not 1 <= count <= held:
        raise SlicesError(f"slices={slices}: this enhancement layer holds {held}")
    return count


def _level(given: int | None, default: int, levels: int, name: str) -> int:
    level = default if given is None else _whole(given, name, QualityError)
    if not 0 <= level < levels:
        raise QualityError(f"{name}={given}: this profile has 0 to {levels - 1}")
    return level


def _whole(given: int, name: str, error: type[CodecError]) -> int:
    """A whole number of any type, NumPy's too."""
    try:
        return operator.index(given)
    except TypeError:
        raise error(f"{name}={given!r} is no whole number") from None
