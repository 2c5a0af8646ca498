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

    layer: int
    quality: int
    machine_quality: int
    slices: int
    width: int
    height: int
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
        assert (magic, version, frame_type, reserved, reference) == (b"2NDS", 1, 0, 0, 0)
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
            layer,
            quality,
            machine_quality,
            slices,
            width,
            height,
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


class ReferenceModel:
    """The exact path of both layers of one weights file of the profile lite."""

    def __init__(self, path: Path) -> None:
        self._weights = load_file(path)
        ends = np.cumsum(self._weights["tables.lengths"])[:-1]
        self._tables = [tuple(part.tolist()) for part in np.split(self._weights["tables.counts"], ends)]

    def machine(self, data: bytes) -> Integers:
        """Symbols of a machine layer, (5 x 32, h, w)."""
        return self._layer("machine", Container.parsed(data), 0, None)

    def enhancement(self, data: bytes, machine: Integers) -> Integers:
        """Symbols of an enhancement layer, (slices x 32, h, w)."""
        container = Container.parsed(data)
        return self._layer("enhancement", container, container.machine_quality, machine)

    def _layer(self, name: str, stream: Container, context: int, machine: Integers | None) -> Integers:
        height, width = -(-stream.height // 16), -(-stream.width // 16)
        one_segment = machine is None
        assert stream.slices == SLICES or not one_segment
        count = SLICES if one_segment else len(stream.payloads)
        read: list[Integers] = []
        decoder = ReferenceDecoder(stream.payloads[0])

        z_index = np.clip((on_grid(self._of(name, "hyper_log_sigma")[stream.quality]) + 1) >> 1, 0, 51)
        z_shape = (HYPER_LATENTS, -(-height // 4), -(-width // 4))
        z = self._next(decoder, np.broadcast_to(z_index[:, None, None], z_shape), read)
        known = [self._features(name, z)[:, :height, :width]]
        if machine is not None:
            known.append(magnitudes(machine))
        symbols = []
        for k in range(count):
            if k and not one_segment:
                decoder = ReferenceDecoder(stream.payloads[k])
            index = self._index(name, k, np.concatenate(known), stream.quality, context)
            symbols.append(self._next(decoder, index, read))
            known.append(magnitudes(symbols[-1]))
            if not one_segment or k == count - 1:
                integers = np.concatenate([part.ravel() for part in read])
                assert (
                    crc32c(integers.astype("<i2").tobytes()) == stream.integer_crcs[0 if one_segment else k]
                )
                read.clear()
        if one_segment:
            assert stream.frame_crc == stream.integer_crcs[0]
        return np.concatenate(symbols)

    def _next(self, decoder: ReferenceDecoder, index: Integers, read: list[Integers]) -> Integers:
        flat = decoder.decode(np.ascontiguousarray(index).ravel(), self._tables)
        read.append(flat.astype(np.int64).reshape(index.shape))
        return read[-1]

    def _features(self, name: str, z: Integers) -> Integers:
        """Section "Hyper features", (96, 4 ceil(h / 4), 4 ceil(w / 4))."""
        part = f"{name}.entropy.hyper_scale."
        coarse, spread, fine, smooth = (
            Convolution(self._weights, part + layer) for layer in ("coarse", "spread", "fine", "smooth")
        )
        x = shuffled(coarse.rectified(16 * np.clip(z, -15, 15)))
        return smooth.rectified(shuffled(fine.rectified(spread.rectified(x))))

    def _index(self, name: str, k: int, known: Integers, level: int, context: int) -> Integers:
        """Section "Sigma indices of a slice", (32, h, w)."""
        part = f"{name}.entropy.index_nets.{k}."
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

    def _of(self, name: str, tensor: str) -> NDArray[np.float32]:
        return self._weights[f"{name}.entropy.{tensor}"]


@lru_cache
def boundaries(counts: tuple[int, ...]) -> list[int]:
    """Left ends of the symbols' intervals within 2**24, and 2**24 itself."""
    scale = np.float32(2**PRECISION - len(counts))
    below = np.cumsum([0, *counts[:-1]]) / 2**16
    return [int(part) for part in np.trunc(below.astype(np.float32) * scale) + np.arange(len(counts))] + [
        2**PRECISION
    ]


RAW = [256 * value for value in range(2**16)] + [2**PRECISION]


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
            symbols[place] = self._symbol(RAW) - 2**15
        return symbols

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
