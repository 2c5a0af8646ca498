"""What an attacker can do who knows the format: streams of any content whose checksums are all right."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from unittest import mock

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from shared_models import Codec, layer_coder
from shared_models.bitstream import Bitstream, Header, Segment, integers_crc
from shared_models.coder import ALWAYS, NEVER, Indices, Integers, SymbolEncoder, SymbolModels
from shared_models.config import LIMITS
from shared_models.reference import Reference

HEADER_BYTES = 40
HEAD_BYTES = 12
"""Of a segment: length and two checksums."""
LARGEST_INVENTION = 128 * 128
"""Pixels."""


def sealed_header(head: bytes) -> bytes:
    """The first 36 bytes of `head` with their checksum behind them."""
    return head[: HEADER_BYTES - 4] + struct.pack("<I", google_crc32c.value(head[: HEADER_BYTES - 4]))


def sealed_segment(payload: bytes, crc: int, length: int | None = None) -> bytes:
    """A segment whose payload has the right checksum, and by default the right length."""
    stated = len(payload) if length is None else length
    return struct.pack("<III", stated, google_crc32c.value(payload), crc) + payload


def split(data: bytes) -> tuple[bytes, list[tuple[bytes, int]]]:
    """Header, and payload and checksum of integers of every segment, as far as any bytes can be read so."""
    segments = []
    at = HEADER_BYTES
    while at + HEAD_BYTES <= len(data):
        length, _, crc = struct.unpack_from("<III", data, at)
        at += HEAD_BYTES
        payload = data[at : at + length]
        segments.append((payload[: len(payload) // 4 * 4], crc))
        at += length
    return data[:HEADER_BYTES], segments


def joined(head: bytes, segments: Sequence[tuple[bytes, int]]) -> bytes:
    """Inverse of `split`, with every checksum and length made right."""
    if len(head) < HEADER_BYTES:
        return head
    return sealed_header(head) + b"".join(sealed_segment(payload, crc) for payload, crc in segments)


def resealed(data: bytes) -> bytes:
    """`data` with every checksum of bytes made right, and lengths that point beyond the end cut to it."""
    return joined(*split(data))


class _Invention:
    """Stands in for `SymbolDecoder`: takes integers of its own choice, and writes the payload that stands for them."""

    def __init__(
        self, models: SymbolModels, _: bytes, integers: Iterator[bytes], payloads: list[bytes]
    ) -> None:
        self._integers = np.frombuffer(next(integers), "<i2").astype(np.int32)
        self._encoder = SymbolEncoder(models)
        self._payloads = payloads
        self._taken = 0

    def decode(self, indices: Indices) -> Integers:
        symbols = np.maximum(self._next(len(indices)), -LIMITS.largest_symbol) * (indices > 0)
        self._encoder.encode(symbols.astype(np.int32), indices)
        return symbols.astype(np.int32)

    def decode_uniform(self, count: int, choices: int) -> Integers:
        numbers = (self._next(count) % choices).astype(np.int32)
        self._encoder.encode_uniform(numbers, choices)
        return numbers

    def decode_bits(self, count: int, chance: int) -> NDArray[np.bool_]:
        if chance in (NEVER, ALWAYS):
            return np.full(count, chance == ALWAYS)
        bits = self._next(count) % 2 == 1
        self._encoder.encode_bits(bits, chance)
        return bits

    def _next(self, count: int) -> Integers:
        places = self._taken + np.arange(count)
        self._taken += count
        if not self._integers.size:
            return np.zeros(count, np.int32)
        return self._integers[places % self._integers.size]

    @property
    def exhausted(self) -> bool:
        self._payloads.append(self._encoder.finish())
        return True


class _Accepted(int):
    """A checksum that differs from no other."""

    __hash__ = int.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def invented(
    codec: Codec,
    coarse: Header,
    fine: Header,
    integers: Sequence[bytes],
    reference: Reference | None = None,
) -> tuple[bytes, bytes]:
    """A machine and an enhancement layer without fault, made of any integers.

    Those of a predicted frame are its light and changes, too.

    Args:
        coarse: header of the machine layer, of a frame up to `LARGEST_INVENTION`; its frame CRC is made right.
        fine: likewise, of the enhancement layer.
        integers: of every segment, the machine layer's first: 16 bits each, repeated as often as it takes.
        reference: of a predicted frame.

    Raises:
        BitstreamError: the headers do not fit each other or the codec.
    """
    assert coarse.width * coarse.height <= LARGEST_INVENTION
    crcs: list[int] = []
    payloads: list[bytes] = []

    def accepted(*symbols: Integers) -> int:
        crcs.append(integers_crc(*symbols))
        return _Accepted(crcs[-1])

    def layers(frame_crc: int, segments: Sequence[Segment]) -> tuple[bytes, bytes]:
        machine = Bitstream(replace(coarse, frame_crc=frame_crc), tuple(segments[:1]))
        enhancement = Bitstream(replace(fine, frame_crc=frame_crc), tuple(segments[1:]))
        return machine.packed(), enhancement.packed()

    invention = partial(_Invention, integers=iter(integers), payloads=payloads)
    with (
        mock.patch.object(layer_coder, "integers_crc", accepted),
        mock.patch.object(layer_coder, "SymbolDecoder", invention),
    ):
        blank = layers(0, [Segment(bytes(64), 0)] * len(integers))
        codec.decode_human(*blank, reference=reference)
    return layers(crcs[0], [Segment(payload, crc) for payload, crc in zip(payloads, crcs, strict=True)])
