"""The container of one layer of one frame. ``docs/bitstream.md`` describes it byte by byte.

::

    header, 40 bytes | segment 1 | segment 2 | ...
    segment: length, CRC-32C of the payload, CRC-32C of its integers, 4 bytes each | payload

A machine layer has one segment. An enhancement layer has one per slice, so that the stream may be cut after any of
them: what is left is a valid stream with fewer slices.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import google_crc32c
import numpy as np

from shared_models.config import LIMITS, MODEL_ID_BYTES
from shared_models.errors import (
    BitstreamError,
    CorruptError,
    FrameSizeError,
    FrameTypeError,
    LayerError,
    MagicError,
    TrailingDataError,
    TruncatedError,
    VersionError,
)

BytesLike = bytes | bytearray | memoryview
MAGIC: Final = b"2NDS"
VERSION: Final = 1
_HEADER: Final = struct.Struct(f"<4sBBBBBBH{MODEL_ID_BYTES}sHHQII")
_SEGMENT: Final = struct.Struct("<III")
_CRC: Final = struct.Struct("<I")


class Layer(IntEnum):
    """Which of the two layers a bitstream holds."""

    MACHINE = 1
    ENHANCEMENT = 2


class FrameType(IntEnum):
    """How a frame depends on others."""

    SELF_CONTAINED = 0
    PREDICTED = 1
    """Needs the frame that `Header.reference` names."""


@dataclass(frozen=True)
class Header:
    """What a bitstream says about itself.

    `quality` is the layer's own level; `machine_quality` that of the machine layer beside it. `frame_crc` is the
    CRC-32C of the machine layer's integers and ties the two layers of a frame together. `slices` counts the slices
    that were encoded; a stream that was cut holds fewer segments. `reference` is the `name` of the same layer of the
    frame that a predicted one needs; 0 in a self-contained one. `environment` tells what computed the probabilities,
    where that matters (`environment.py`), else 0.
    """

    layer: Layer
    model_id: bytes
    width: int
    height: int
    quality: int
    machine_quality: int
    slices: int
    frame_crc: int
    frame_type: FrameType = FrameType.SELF_CONTAINED
    reference: int = 0
    environment: int = 0

    @property
    def name(self) -> int:
        """By which predicted frames refer to this stream: its integers and its header in 64 bits."""
        (header_crc,) = _CRC.unpack(self.packed()[-_CRC.size :])
        return self.frame_crc << 32 | int(header_crc)

    def packed(self) -> bytes:
        """The 40 bytes."""
        fields = (
            MAGIC,
            VERSION,
            self.layer,
            self.frame_type,
            self.quality,
            self.machine_quality,
            self.slices,
            self.environment,
            self.model_id,
            self.width,
            self.height,
            self.reference,
            self.frame_crc,
        )
        head = _HEADER.pack(*fields, 0)[:-4]
        return head + _CRC.pack(google_crc32c.value(head))


@dataclass(frozen=True)
class Segment:
    """Coded symbols with the checksum of the integers that they stand for."""

    payload: bytes
    integers_crc: int


@dataclass(frozen=True)
class Bitstream:
    """One layer of one frame."""

    header: Header
    segments: tuple[Segment, ...]

    def packed(self) -> bytes:
        """The bytes to send."""
        parts = [self.header.packed()]
        for segment in self.segments:
            crc = google_crc32c.value(segment.payload)
            parts += [_SEGMENT.pack(len(segment.payload), crc, segment.integers_crc), segment.payload]
        return b"".join(parts)

    @classmethod
    def parsed(cls, data: BytesLike, layer: Layer) -> Bitstream:
        """Read and check everything that can be checked without decoding.

        Raises:
            BitstreamError: these are no bytes, or the subclass names what is wrong with them.
        """
        if not isinstance(data, BytesLike):
            raise BitstreamError(f"a layer is bytes, not {type(data).__name__}")
        data = bytes(data)
        header = _parsed_header(data, layer)
        most = 1 if layer is Layer.MACHINE else header.slices
        segments: list[Segment] = []
        at = _HEADER.size
        while at < len(data):
            if len(segments) == most:
                raise TrailingDataError(f"{len(data) - at} bytes are left after the last segment")
            if len(data) - at < _SEGMENT.size:
                raise TruncatedError(f"the stream ends within the head of segment {len(segments) + 1}")
            length, payload_crc, integers_crc = _SEGMENT.unpack_from(data, at)
            at += _SEGMENT.size
            if length > LIMITS.largest_segment_bytes or length % 4:
                raise CorruptError(
                    f"segment {len(segments) + 1} claims an impossible length of {length} bytes"
                )
            if length > len(data) - at:
                missing = length - (len(data) - at)
                raise TruncatedError(f"{missing} bytes of segment {len(segments) + 1} are missing")
            payload = data[at : at + length]
            if google_crc32c.value(payload) != payload_crc:
                raise CorruptError(
                    f"the checksum of segment {len(segments) + 1} is wrong: ask for the frame again"
                )
            segments.append(Segment(payload, integers_crc))
            at += length
        if not segments:
            raise TruncatedError("the stream ends after its header")
        if layer is Layer.MACHINE and segments[0].integers_crc != header.frame_crc:
            raise CorruptError("the checksums of header and segment contradict each other")
        return cls(header, tuple(segments))


def integers_crc(*symbols: np.ndarray) -> int:
    """CRC-32C of integers as 16-bit little-endian two's complement, one array after the other."""
    return int(google_crc32c.value(b"".join(array.astype("<i2").tobytes() for array in symbols)))


def _parsed_header(data: bytes, layer: Layer) -> Header:
    if data[:4] != MAGIC[: len(data)]:
        raise MagicError(f"this is no Secondsight bitstream: it begins with {data[:4]!r}, not {MAGIC!r}")
    if len(data) < 5:
        raise TruncatedError("the stream ends within its header")
    if data[4] != VERSION:
        raise VersionError(f"format version {data[4]} is unknown, this software reads {VERSION}: update it")
    if len(data) < _HEADER.size:
        raise TruncatedError("the stream ends within its header")
    head = data[: _HEADER.size]
    (
        _,
        _,
        layer_number,
        frame_type,
        quality,
        machine_quality,
        slices,
        environment,
        model_id,
        width,
        height,
        reference,
        frame_crc,
        header_crc,
    ) = _HEADER.unpack(head)
    if google_crc32c.value(head[:-4]) != header_crc:
        raise CorruptError("the checksum of the header is wrong: ask for the frame again")
    if layer_number != layer:
        names = {int(known): known.name.lower() for known in Layer}
        given = names.get(layer_number, f"unknown ({layer_number})")
        raise LayerError(f"this is the {given} layer where the {layer.name.lower()} layer is needed")
    if frame_type not in (known.value for known in FrameType):
        raise FrameTypeError(f"frame type {frame_type} is unknown to this software: update it")
    if not LIMITS.allow(width, height):
        raise FrameSizeError(f"a frame of {width}x{height} is outside the limits: {LIMITS}")
    odd = layer is Layer.MACHINE and quality != machine_quality
    lone = bool(reference) == (frame_type == FrameType.SELF_CONTAINED)
    if lone or not slices or odd:
        raise CorruptError("the header's fields contradict each other")
    return Header(
        layer=layer,
        model_id=model_id,
        width=width,
        height=height,
        quality=quality,
        machine_quality=machine_quality,
        slices=slices,
        frame_crc=frame_crc,
        frame_type=FrameType(frame_type),
        reference=reference,
        environment=environment,
    )
