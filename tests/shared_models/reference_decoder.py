"""A decoder of both layers' integers, written from docs/bitstream.md: plain Python and NumPy integers, and slow.

It imports nothing of the product: what it needs are a stream's bytes and the numbers in a weights file.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

PRECISION = 24
WORD = 2**32
STATE = 2**64
SLICES = 5
SLICE_WIDTH = 32
HYPER_LATENTS = 48
LIGHT_NUMBERS = 4
LIGHT_CHOICES = 1024
NEVER, ALWAYS = 0, 31
CHANCES = (
    *(0, 198, 295, 439, 652, 968, 1434, 2117, 3108, 4531, 6537, 9296, 12964, 17625, 23222, 29502),
    *(
        36034,
        42314,
        47911,
        52572,
        56240,
        58999,
        61005,
        62428,
        63419,
        64102,
        64568,
        64884,
        65097,
        65241,
        65338,
    ),
    65536,
)
"""How many of 65536 bits of every chance are 1."""
DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))
DIRECT = ((-1, 0), (0, -1), (0, 1), (1, 0))
PHASES = ((0, 0, (), 0), (1, 1, DIAGONAL, 1), (0, 1, DIRECT, 6), (1, 0, DIRECT, 6))
"""First row and column, neighbours that count, first context."""

Integers = NDArray[np.int64]


def crc32c(data: bytes) -> int:
    """CRC-32C, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@dataclass(frozen=True)
class Container:
    """The fields of one stream, every checksum of bytes checked."""

    name: int
    layer: int
    predicted: bool
    quality: int
    machine_quality: int
    slices: int
    width: int
    height: int
    reference: int
    frame_crc: int
    payloads: tuple[bytes, ...]
    integer_crcs: tuple[int, ...]

    @classmethod
    def parsed(cls, data: bytes) -> Container:
        """Section "Header" and "Segment"."""
        magic, version, layer, frame_type, quality, machine_quality, slices, reserved = struct.unpack_from(
            "<4sBBBBBBH", data
        )
        width, height, reference, frame_crc, header_crc = struct.unpack_from("<HHQII", data, 20)
        assert (magic, version, reserved) == (b"2NDS", 1, 0)
        assert (frame_type, bool(reference)) in ((0, False), (1, True))
        assert crc32c(data[:36]) == header_crc
        payloads, crcs, at = [], [], 40
        while at < len(data):
            length, payload_crc, integers_crc = struct.unpack_from("<III", data, at)
            payload = data[at + 12 : at + 12 + length]
            assert len(payload) == length
            assert crc32c(payload) == payload_crc
            payloads.append(payload)
            crcs.append(integers_crc)
            at += 12 + length
        return cls(
            frame_crc << 32 | header_crc,
            layer,
            frame_type == 1,
            quality,
            machine_quality,
            slices,
            width,
            height,
            reference,
            frame_crc,
            tuple(payloads),
            tuple(crcs),
        )


class Convolution:
    """Section "Fixed-point convolutions". Activations are integers, in units of 1/16."""

    def __init__(self, weights: dict[str, NDArray[np.float32]], name: str) -> None:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        fan_in = weight[0].size
        reach = 2 if fan_in <= 64 else 1
        bits = next(b for b in range(10, 5, -1) if fan_in * 255 * (2**b - 1) + 256 * 2**b // reach < 2**24)
        self.shift = bits - (reach == 2)
        units = np.rint(weight.astype(np.float64) * 2**self.shift)
        self.weight = np.clip(units, 1 - 2**bits, 2**bits - 1).astype(np.int64)
        self.bias = on_grid(bias) << self.shift

    def __call__(self, x: Integers) -> Integers:
        """Sums in units of 2**-(4 + shift), for activations (C, H, W)."""
        if self.weight.shape[2:] == (1, 1):
            return np.tensordot(self.weight[:, :, 0, 0], x, 1) + self.bias[:, None, None]
        _, height, width = x.shape
        framed = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        total = np.broadcast_to(self.bias[:, None, None], x.shape).copy()
        for dy in range(3):
            for dx in range(3):
                tap = self.weight[:, 0, dy, dx, None, None]
                total += tap * framed[:, dy : dy + height, dx : dx + width]
        return total

    def rectified(self, x: Integers) -> Integers:
        """The next activations."""
        return np.clip(self(x) >> self.shift, 0, 255)


def on_grid(values: NDArray[np.float32]) -> Integers:
    """Biases in units of 1/16."""
    return np.rint(np.clip(values.astype(np.float64), -16.0, 16.0) * 16.0).astype(np.int64)


def shuffled(x: Integers) -> Integers:
    """Channel 4c + 2i + j of (4C, H, W) becomes row i, column j of every 2x2 block of channel c."""
    channels, height, width = x.shape
    blocks = x.reshape(channels // 4, 2, 2, height, width)
    return blocks.transpose(0, 3, 1, 4, 2).reshape(channels // 4, 2 * height, 2 * width)


def magnitudes(symbols: Integers) -> Integers:
    """Symbols as activations of the nets of later slices."""
    return 16 * np.minimum(np.abs(symbols), 15)


@dataclass(frozen=True)
class DecodedLayer:
    """Integers of a layer, (slices x 32, h, w), and by which name predicted frames refer to it.

    `light` and `changed` are what a predicted layer begins with: all changed in a self-contained one.
    """

    name: int
    symbols: Integers
    changed: Integers
    light: Integers | None = None


class ReferenceModel:
    """The exact path of both layers of one weights file of the profile lite."""

    def __init__(self, path: Path) -> None:
        self._weights = load_file(path)
        ends = np.cumsum(self._weights["tables.lengths"])[:-1]
        self._tables = [tuple(part.tolist()) for part in np.split(self._weights["tables.counts"], ends)]

    def machine(self, data: bytes, key: DecodedLayer | None = None) -> DecodedLayer:
        """A machine layer; of a predicted frame, given that of the frame that it names."""
        return self._layer("machine", Container.parsed(data), None, key)

    def enhancement(
        self, data: bytes, machine: DecodedLayer, key: DecodedLayer | None = None
    ) -> DecodedLayer:
        """An enhancement layer beside a machine layer; of a predicted frame, given that of the frame it names."""
        return self._layer("enhancement", Container.parsed(data), machine.symbols, key)

    def _layer(
        self, kind: str, stream: Container, machine: Integers | None, key: DecodedLayer | None
    ) -> DecodedLayer:
        name = f"predicted.{kind}" if stream.predicted else f"{kind}.entropy"
        height, width = -(-stream.height // 16), -(-stream.width // 16)
        one_segment = machine is None
        context = 0 if one_segment else stream.machine_quality
        assert stream.slices == SLICES or not one_segment
        count = SLICES if one_segment else len(stream.payloads)
        read: list[Integers] = []
        decoder = ReferenceDecoder(stream.payloads[0])

        light = None
        changed = np.ones((height, width), np.int64)
        if stream.predicted:
            assert key is not None
            assert key.name == stream.reference
            if one_segment:
                light = decoder.uniform(LIGHT_NUMBERS, LIGHT_CHOICES)
                read.append(light)
            changed = change_map(decoder, height, width)
            read.append(changed)
        z_index = np.clip((on_grid(self._weights[f"{name}.hyper_log_sigma"][stream.quality]) + 1) >> 1, 0, 51)
        z = self._next(decoder, z_index[:, None, None] * any_of_16(changed))
        read.append(z)
        known = [self._features(name, z)[:, :height, :width]]
        if machine is not None:
            known.append(magnitudes(machine))
        symbols = []
        for k in range(count):
            if k and not one_segment:
                decoder = ReferenceDecoder(stream.payloads[k])
            unchanged = np.zeros((SLICE_WIDTH, height, width), np.int64)
            if stream.predicted:
                assert key is not None
                unchanged = key.symbols[k * SLICE_WIDTH : (k + 1) * SLICE_WIDTH]
                known.append(magnitudes(unchanged))
            index = self._index(name, k, np.concatenate(known), stream.quality, context)
            coded = self._next(decoder, index * changed)
            symbols.append(np.where(changed == 1, coded, unchanged))
            read.append(symbols[-1])
            known.append(magnitudes(symbols[-1]))
            if not one_segment or k == count - 1:
                assert decoder.exhausted
                integers = np.concatenate([part.ravel() for part in read])
                assert (
                    crc32c(integers.astype("<i2").tobytes()) == stream.integer_crcs[0 if one_segment else k]
                )
                read.clear()
        if one_segment:
            assert stream.frame_crc == stream.integer_crcs[0]
        return DecodedLayer(stream.name, np.concatenate(symbols), changed, light)

    def _next(self, decoder: ReferenceDecoder, index: Integers) -> Integers:
        flat = decoder.decode(np.ascontiguousarray(index).ravel(), self._tables)
        return flat.astype(np.int64).reshape(index.shape)

    def _features(self, name: str, z: Integers) -> Integers:
        """Section "Hyper features", (96, 4 ceil(h / 4), 4 ceil(w / 4))."""
        part = f"{name}.hyper_scale."
        coarse, spread, fine, smooth = (
            Convolution(self._weights, part + layer) for layer in ("coarse", "spread", "fine", "smooth")
        )
        x = shuffled(coarse.rectified(16 * np.clip(z, -15, 15)))
        return smooth.rectified(shuffled(fine.rectified(spread.rectified(x))))

    def _index(self, name: str, k: int, known: Integers, level: int, context: int) -> Integers:
        """Section "Sigma indices of a slice", (32, h, w)."""
        part = f"{name}.index_nets.{k}."
        gather, spread, index = (
            Convolution(self._weights, part + layer) for layer in ("gather", "spread", "index")
        )
        own, other = (
            on_grid(self._weights[part + bias][row])
            for bias, row in (("level_bias", level), ("context_bias", context))
        )
        total = (
            index(spread.rectified(gather.rectified(known))) + ((own + other) << index.shift)[:, None, None]
        )
        return np.clip((total + (1 << index.shift)) >> (index.shift + 1), 0, 51)


def change_map(decoder: ReferenceDecoder, height: int, width: int) -> Integers:
    """Section "Change map", (h, w), 1 where something changed."""
    known = np.zeros((height + 2, width + 2), np.int64)
    chances: dict[int, int] = {}
    for first_row, first_column, neighbours, first_context in PHASES:
        places = [
            (y, x) for y in range(1 + first_row, height + 1, 2) for x in range(1 + first_column, width + 1, 2)
        ]
        contexts = {
            (y, x): first_context + sum(int(known[y + down, x + right]) for down, right in neighbours)
            for y, x in places
        }
        for context in sorted(set(contexts.values())):
            if context not in chances:
                (chances[context],) = decoder.uniform(1, len(CHANCES)).tolist()
            for place in places:
                if contexts[place] == context:
                    known[place] = decoder.bit(chances[context])
    return known[1:-1, 1:-1]


def any_of_16(changed: Integers) -> Integers:
    """1 for every hyper latent that stands for a position that changed, (ceil(h / 4), ceil(w / 4))."""
    height, width = changed.shape
    framed = np.pad(changed, ((0, -height % 4), (0, -width % 4)))
    return framed.reshape(framed.shape[0] // 4, 4, framed.shape[1] // 4, 4).max((1, 3))


@lru_cache
def boundaries(counts: tuple[int, ...]) -> list[int]:
    """Left ends of the symbols' intervals within 2**24, and 2**24 itself."""
    scale = np.float32(2**PRECISION - len(counts))
    below = np.cumsum([0, *counts[:-1]]) / 2**16
    return [int(part) for part in np.trunc(below.astype(np.float32) * scale) + np.arange(len(counts))] + [
        2**PRECISION
    ]


@lru_cache
def even(choices: int) -> list[int]:
    """The same for symbols that are all equally likely."""
    return [2**PRECISION // choices * value for value in range(choices)] + [2**PRECISION]


class ReferenceDecoder:
    """Reads symbols one by one."""

    def __init__(self, segment: bytes) -> None:
        self._words = np.frombuffer(segment, "<u4").tolist()
        self._at = 0
        self._low = 0
        self._range = STATE - 1
        self._point = self._word() * WORD + self._word()

    def decode(self, indices: np.ndarray, tables: Sequence[Sequence[int]]) -> np.ndarray:
        """Symbols of one z or one slice."""
        symbols = np.zeros(len(indices), np.int32)
        escaped = []
        for index in sorted(set(indices.tolist()) - {0}):
            reach = (len(tables[index]) - 2) // 2
            intervals = boundaries(tuple(tables[index]))
            for place in np.flatnonzero(indices == index):
                symbol = self._symbol(intervals)
                if symbol == 2 * reach + 1:
                    escaped.append(place)
                else:
                    symbols[place] = symbol - reach
        for place in escaped:
            symbols[place] = self._symbol(even(2**16)) - 2**15
        return symbols

    def uniform(self, count: int, choices: int) -> Integers:
        """Numbers that are all equally likely."""
        return np.array([self._symbol(even(choices)) for _ in range(count)])

    def bit(self, chance: int) -> int:
        """One bit of the chance of that number."""
        if chance in (NEVER, ALWAYS):
            return int(chance == ALWAYS)
        return self._symbol(boundaries((2**16 - CHANCES[chance], CHANCES[chance])))

    @property
    def exhausted(self) -> bool:
        """Section "Range coder", the end of a payload."""
        return self._at >= len(self._words) and (
            self._range == STATE - 1 or (self._point - self._low) % STATE < 2 * WORD - 1
        )

    def _word(self) -> int:
        self._at += 1
        return self._words[self._at - 1] if self._at <= len(self._words) else 0

    def _symbol(self, intervals: list[int]) -> int:
        unit = self._range >> PRECISION
        quantile = (self._point - self._low) % STATE // unit
        symbol = bisect_right(intervals, quantile) - 1
        self._low = (self._low + unit * intervals[symbol]) % STATE
        self._range = unit * (intervals[symbol + 1] - intervals[symbol])
        if self._range < WORD:
            self._low = self._low * WORD % STATE
            self._range *= WORD
            self._point = (self._point * WORD + self._word()) % STATE
        return symbol
