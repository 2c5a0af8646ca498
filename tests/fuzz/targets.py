"""What is fuzzed. Every target is called with any bytes; whatever it lets escape is a bug."""

from __future__ import annotations

import random
import traceback
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from shared_models import Codec, Layer
from shared_models.bitstream import Bitstream
from shared_models.codec import CodedFrame
from shared_models.coder import SymbolDecoder, SymbolEncoder, SymbolModels
from shared_models.config import LIMITS
from shared_models.errors import BitstreamError, SlicesError
from shared_models.evaluation.speed import pink_noise
from shared_models.reference import Reference
from shared_models.tables import gaussian_tables
from shared_models.weights import Weights, shipped_weights
from tests.fuzz.mutation import Mutate, frame, layers, mutated_frame, mutated_stream
from tests.shared_models.forgery import LARGEST_INVENTION, invented, resealed
from tests.shared_models.prediction import SAME_LIGHT, SUNSET, Change, coded_key, predicted_frame, predicting

_ENTROPY = ("coder.py", "layer_coder.py")
"""Where what is decoded is found wrong."""
SIZES = ((16, 16), (16, 40), (33, 17))
"""Of the frames that seeds are made from."""
PREDICTED_SIZE = (33, 70)
"""Of predicted ones and their key frame."""


class Target(ABC):
    """Something that reads bytes of strangers. `outcomes` counts how the runs ended."""

    name: ClassVar[str]
    about: ClassVar[str]

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()

    @abstractmethod
    def seeds(self) -> Iterator[bytes]:
        """Inputs to begin with, made by the real encoder."""

    @abstractmethod
    def read(self, data: bytes) -> str:
        """Read one input and tell how far it went.

        Raises:
            BitstreamError: what bytes of strangers may cause. Anything else is a bug.
        """

    def mutated(self, data: bytes, most: int, choice: random.Random, mutate: Mutate) -> bytes:
        """Another input, of `most` bytes or little more."""
        return mutate(data, most)

    def __call__(self, data: bytes) -> None:
        try:
            outcome = self.read(data)
        except BitstreamError as error:
            outcome = type(error).__name__
            if any(
                Path(part.filename).name in _ENTROPY for part in traceback.extract_tb(error.__traceback__)
            ):
                outcome += " in the entropy decoder"
        self.outcomes[outcome] += 1


class CodecTarget(Target):
    """Reads with a whole codec, in float32: the same arithmetic on every machine."""

    key: Reference | None = None
    """What predicted frames are decoded against."""

    def __init__(self) -> None:
        super().__init__()
        torch.set_num_threads(1)
        weights = predicting(Weights.load(shipped_weights("lite")))
        self.codec = Codec(weights, device="cpu", dtype=torch.float32)
        self.frames = list(self._frames())

    def mutated(self, data: bytes, most: int, choice: random.Random, mutate: Mutate) -> bytes:
        number = 1 if data[5:6] == b"\x02" else 0
        return mutated_stream(data, [pair[number] for pair in self.frames], most, choice, mutate)

    def _frames(self) -> Iterator[tuple[bytes, bytes]]:
        """Real encodes of tiny frames at every level."""
        config = self.codec.config
        for number, size in enumerate(SIZES):
            for level in range(config.enhancement.levels):
                slices = 1 + (number + level) % config.slices
                quality = level % config.machine.levels
                coded = self.codec.encode(pink_noise(*size, seed=number), level, quality, slices)
                yield coded.machine, coded.enhancement


class Container(CodecTarget):
    """Everything that is checked before anything is decoded."""

    name = "container"
    about = "header, segments and checksums of either layer, and cutting, without decoding"

    def seeds(self) -> Iterator[bytes]:
        for coded in self.frames:
            yield from coded

    def read(self, data: bytes) -> str:
        layer = Layer.ENHANCEMENT if data[5:6] == b"\x02" else Layer.MACHINE
        header = self.codec.inspect(data, layer)
        assert LIMITS.smallest_side <= min(header.width, header.height)
        assert max(header.width, header.height) <= LIMITS.largest_side
        assert Bitstream.parsed(data, layer).packed() == data
        if layer is Layer.ENHANCEMENT:
            assert data.startswith(self.codec.cut(data, 1))
        return "accepted"


class Symbols(Target):
    """The entropy coder alone, with indices of strangers too: fast, so that very many payloads are tried."""

    name = "symbols"
    about = "payloads of the range coder, with any sequence of probability tables"

    def __init__(self) -> None:
        super().__init__()
        self.models = SymbolModels(gaussian_tables())

    def seeds(self) -> Iterator[bytes]:
        rng = np.random.default_rng(1)
        for count in (1, 7, 60):
            indices = rng.integers(0, 52, count).astype(np.uint8)
            encoder = SymbolEncoder(self.models)
            encoder.encode(rng.integers(-90, 91, count).astype(np.int32) * (indices > 0), indices)
            yield bytes([count]) + indices.tobytes() + encoder.finish()

    def read(self, data: bytes) -> str:
        count = data[0] if data else 0
        indices = np.frombuffer(data[1 : 1 + count], np.uint8) % 52
        payload = data[1 + count :]
        decoder = SymbolDecoder(self.models, payload[: len(payload) // 4 * 4])
        symbols = decoder.decode(indices)
        assert symbols.shape == indices.shape
        assert np.abs(symbols).max(initial=0) <= 2**15
        assert not symbols[indices == 0].any()
        return "decoded, no byte left" if decoder.exhausted else "decoded, bytes left"


class MachineView(CodecTarget):
    """A machine layer from bytes to picture. Payloads that were changed end at the integers' checksum."""

    name = "machine"
    about = "decode_machine: container, entropy decoder, integers' checksum, picture"

    def seeds(self) -> Iterator[bytes]:
        for machine, _ in self.frames:
            yield machine

    def read(self, data: bytes) -> str:
        view = self.codec.decode_machine(data, self.key)
        header = self.codec.inspect(data)
        assert view.shape == (header.height, header.width, 3)
        assert view.dtype == np.uint8
        return f"decoded, {header.frame_type.name.lower()}"


class HumanView(CodecTarget):
    """Both layers from bytes to picture."""

    name = "human"
    about = "decode_human of two layers, damaged"

    def seeds(self) -> Iterator[bytes]:
        for machine, enhancement in self.frames:
            yield frame(machine, enhancement)

    def mutated(self, data: bytes, most: int, choice: random.Random, mutate: Mutate) -> bytes:
        return mutated_frame(data, self.frames, most, choice, mutate)

    def read(self, data: bytes) -> str:
        self.view(*layers(data), self.key)
        return "decoded"

    def view(self, machine: bytes, enhancement: bytes, reference: Reference | None) -> None:
        """Decode and look at what comes out."""
        view = self.codec.decode_human(machine, enhancement, reference=reference)
        header = self.codec.inspect(machine)
        assert view.shape == (header.height, header.width, 3)
        assert view.dtype == np.uint8


class Inventions(HumanView):
    """Layers of an attacker who can encode: whole and without fault, of integers that no picture gives.

    Frames are small, since such layers cost what those of real frames of their size do.
    """

    name = "inventions"
    about = "decode_human of two layers without fault, of integers and headers of strangers"

    def read(self, data: bytes) -> str:
        coarse, fine = (
            Bitstream.parsed(resealed(part), layer) for part, layer in zip(layers(data), Layer, strict=True)
        )
        if coarse.header.width * coarse.header.height > LARGEST_INVENTION:
            return "passed over: a larger frame"
        integers = [segment.payload for segment in coarse.segments + fine.segments]
        machine, enhancement = invented(self.codec, coarse.header, fine.header, integers, self.key)
        try:
            self.view(machine, enhancement, self.key)
        except BitstreamError as error:
            raise AssertionError("a layer without fault was refused") from error
        return "decoded"


class Predicted(CodecTarget):
    """Frames predicted from one key frame, in any light, with nothing, some or all of them changed."""

    def __init__(self) -> None:
        super().__init__()
        key = self._key().frame
        self.key = self.codec.reference(key.machine, key.enhancement)
        self.cut_key = self.codec.reference(key.machine, self.codec.cut(key.enhancement, 2))

    def _key(self) -> CodedFrame:
        return coded_key(self.codec, pink_noise(*PREDICTED_SIZE, seed=1))

    def _frames(self) -> Iterator[tuple[bytes, bytes]]:
        reference = self._key().reference
        image = pink_noise(*PREDICTED_SIZE, seed=2)
        for level in range(self.codec.config.enhancement.levels):
            for share in (0.0, 0.2, 0.6, 1.0):
                change = Change.of(image, share, level, SUNSET if level % 2 else SAME_LIGHT)
                coded = predicted_frame(self.codec, reference, image, change, level, 3 - level, 5 - level)
                yield coded.machine, coded.enhancement


class PredictedMachineView(Predicted, MachineView):
    """A predicted machine layer from bytes to picture."""

    name = "predicted-machine"
    about = "decode_machine of a layer that was predicted from a fixed key frame"


class PredictedHumanView(Predicted, HumanView):
    """Both layers of a predicted frame from bytes to picture."""

    name = "predicted-human"
    about = "decode_human of two damaged layers that were predicted from a fixed key frame, whole and cut"

    def read(self, data: bytes) -> str:
        self.view(*layers(data), self.key)
        try:
            self.view(*layers(data), self.cut_key)
        except SlicesError:
            return "decoded, too many slices for the key frame when cut"
        return "decoded"


class PredictedInventions(Predicted, Inventions):
    """Predicted layers of an attacker who can encode."""

    name = "predicted-inventions"
    about = "decode_human of two predicted layers without fault, of light, changes and integers of strangers"


TARGETS: dict[str, type[Target]] = {
    target.name: target
    for target in (
        Container,
        Symbols,
        MachineView,
        HumanView,
        Inventions,
        PredictedMachineView,
        PredictedHumanView,
        PredictedInventions,
    )
}
