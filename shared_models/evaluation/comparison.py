"""Codecs of our own parts that the layered one is compared with: the single-layer LIC, and the paper's baseline DC."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared_models.bitstream import Bitstream, Header, Layer
from shared_models.codec import Codec
from shared_models.coder import SymbolModels
from shared_models.comparison_weights import SHIPPED_COMPARISONS, ComparisonWeights
from shared_models.entropy_model import Level
from shared_models.errors import WeightsError
from shared_models.evaluation.peers import Peer
from shared_models.fixed_point import freeze
from shared_models.layer_coder import LayerCoder
from shared_models.picture import pixels_of
from shared_models.stages import Stages

HUMAN: Final = "human"
DIFFERENCE: Final = "difference"
_CPU: Final = torch.device("cpu")
_LENGTH_BYTES: Final = 4


class SingleLayerCodec:
    """Codes signals of three planes with a comparison's weights, into the container of a machine layer. On the CPU."""

    def __init__(self, weights: ComparisonWeights) -> None:
        self.config = weights.config
        self.task = weights.task
        self.levels = weights.config.enhancement.levels
        self._model_id = weights.model_id
        self._layer = weights.layer.eval().requires_grad_(False)
        freeze(self._layer)
        self._layer.entropy.settle(torch.float32)
        self._coder = LayerCoder(
            self._layer.entropy,
            SymbolModels(weights.tables),
            ThreadPoolExecutor(thread_name_prefix="comparison"),
            _CPU,
            Stages(),
            name=weights.task,
            levels=self.levels,
            one_segment=True,
        )

    @torch.inference_mode()
    def encode(self, signal: Tensor, width: int, height: int, level: int) -> bytes:
        """A signal (1, 3, H', W') whose sides are multiples of the profile's stride; `width` x `height` of it count."""
        y = self._layer.analysis(signal)
        _, (segment,) = self._coder.encode(y, _level(level), None, self.config.slices)
        coded = segment.result()
        header = Header(
            Layer.MACHINE, self._model_id, width, height, level, level, self.config.slices, coded.integers_crc
        )
        return Bitstream(header, (coded,)).packed()

    @torch.inference_mode()
    def decode(self, data: bytes) -> NDArray[np.float32]:
        """The signal, (height, width, 3).

        Raises:
            BitstreamError: the bytes cannot be decoded.
        """
        stream = Bitstream.parsed(data, Layer.MACHINE)
        header, stride = stream.header, self.config.stride
        size = (-(-header.height // stride), -(-header.width // stride))
        latents = self._coder.decode(stream.segments, size, _level(header.quality), None).latents
        signal = self._layer.synthesis(latents)[0, :, : header.height, : header.width]
        return signal.permute(1, 2, 0).numpy()


@dataclass(frozen=True)
class SingleLayerPeer:
    """A codec for people alone: one layer of the enhancement layer's size, eq. (1)."""

    codec: SingleLayerCodec
    name: ClassVar[str] = "single-layer LIC (ours, of the enhancement layer's size)"
    dial: ClassVar[str] = "level"
    counts: ClassVar[str] = "its one layer"

    @property
    def ladder(self) -> tuple[int, ...]:
        return tuple(range(self.codec.levels))

    def encode(self, image: NDArray[np.uint8], quality: int) -> bytes:
        """(H, W, 3) uint8 RGB to a bitstream."""
        height, width = image.shape[:2]
        return self.codec.encode(pixels_of(image, self.codec.config.stride, _CPU), width, height, quality)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """A bitstream to (H, W, 3) uint8 RGB."""
        return _rounded(self.codec.decode(data))


@dataclass(frozen=True)
class DifferencePeer:
    """The paper's "DC": our machine layer at its default level, and x - x_t by a second LIC of the enhancement's size.

    The length of the machine layer stands in front, in 4 bytes that are counted.
    """

    layered: Codec
    codec: SingleLayerCodec
    name: ClassVar[str] = "DC (our machine layer, difference by a LIC of the enhancement layer's size)"
    dial: ClassVar[str] = "level"
    counts: ClassVar[str] = "machine layer and difference"

    @property
    def ladder(self) -> tuple[int, ...]:
        return tuple(range(self.codec.levels))

    def encode(self, image: NDArray[np.uint8], quality: int) -> bytes:
        """(H, W, 3) uint8 RGB to both layers."""
        height, width = image.shape[:2]
        stride = self.codec.config.stride
        machine = self.layered.encode(image, slices=1).machine
        view = self.layered.decode_machine(machine)
        difference = pixels_of(image, stride, _CPU) - pixels_of(view, stride, _CPU)
        coded = self.codec.encode(difference, width, height, quality)
        return len(machine).to_bytes(_LENGTH_BYTES, "little") + machine + coded

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Both layers to (H, W, 3) uint8 RGB."""
        start = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
        view = self.layered.decode_machine(data[_LENGTH_BYTES:start])
        return _rounded(view.astype(np.float32) / 255.0 + self.codec.decode(data[start:]))


def comparisons(layered: Codec, folder: Path = SHIPPED_COMPARISONS) -> tuple[Peer, ...]:
    """The single-layer LIC and the DC model whose weights lie in `folder`.

    Raises:
        WeightsError: a file there cannot be used.
    """
    human = _loaded(folder, HUMAN)
    difference = _loaded(folder, DIFFERENCE)
    return SingleLayerPeer(human), DifferencePeer(layered, difference)


def _loaded(folder: Path, task: str) -> SingleLayerCodec:
    path = folder / f"{task}.safetensors"
    weights = ComparisonWeights.load(path)
    if weights.task != task:
        raise WeightsError(
            f"{path} was trained for {weights.task}: make it with `secondsight models export-comparison`"
        )
    return SingleLayerCodec(weights)


def _level(number: int) -> Level:
    return Level(torch.tensor([number]), torch.tensor([0]))


def _rounded(pixels: NDArray[np.floating]) -> NDArray[np.uint8]:
    return (pixels.clip(0.0, 1.0) * 255.0).round().astype(np.uint8)
