"""Mutations that know the format: most keep the checksums right, so that what lies behind them is reached."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

from tests.shared_models.forgery import HEADER_BYTES, joined, resealed, split

Mutate = Callable[[bytes, int], bytes]
"""libFuzzer's own mutation of bytes, which its coverage guides."""

_FIELDS = {"quality": 7, "machine quality": 8, "slices": 9, "frame type": 6, "layer": 5}
_WIDTH = 20
_REFERENCE = 24
_FRAME_CRC = 32
_SIDES = (0, 1, 15, 16, 17, 31, 32, 64, 65, 100, 256, 1080, 4096, 4097, 8192, 8193, 65535)
_LENGTHS = (0, 4, 8, 2**27, 2**31, 2**32 - 1)


def frame(machine: bytes, enhancement: bytes) -> bytes:
    """Both layers as one input."""
    return struct.pack("<I", len(machine)) + machine + enhancement


def layers(data: bytes) -> tuple[bytes, bytes]:
    """The layers within any input: inverse of `frame`."""
    (length,) = struct.unpack_from("<I", data.ljust(4, b"\0"))
    body = data[4:]
    at = length % (len(body) + 1)
    return body[:at], body[at:]


def mutated_stream(
    data: bytes, sound: Sequence[bytes], most: int, choice: random.Random, mutate: Mutate
) -> bytes:
    """One layer, mutated. In half of the cases only its payloads: the rest is that of one of the `sound` streams."""
    kind = choice.random()
    if kind < 0.1:
        return mutate(data, most)
    if kind < 0.2:
        return resealed(mutate(data, most))
    head, segments = split(data)
    if len(head) < HEADER_BYTES or kind < 0.35:
        return joined(_mutated_header(head, choice), segments)
    if not segments or kind < 0.45:
        return _restructured(head, segments, choice)
    if kind > 0.55:
        head, real = split(choice.choice(sound))
        segments = [(payload, crc) for (payload, _), (_, crc) in zip(segments, real, strict=False)]
    at = choice.randrange(len(segments))
    payload, crc = segments[at]
    payload = mutate(payload, max(4, most - len(data) + len(payload)))
    segments[at] = (payload[: len(payload) // 4 * 4], crc)
    return joined(head, segments)


def mutated_frame(
    data: bytes, sound: Sequence[tuple[bytes, bytes]], most: int, choice: random.Random, mutate: Mutate
) -> bytes:
    """Both layers of a frame, one of them mutated, or both alike."""
    machine, enhancement = layers(data)
    kind = choice.random()
    room = max(HEADER_BYTES, most // 2)
    if choice.random() < 0.5:  # an enhancement layer is only read beside the machine layer that it belongs to
        pair = choice.choice(sound)
        if len(enhancement) >= HEADER_BYTES:
            enhancement = joined(split(pair[1])[0], split(enhancement)[1])
        return frame(pair[0], mutated_stream(enhancement, [pair[1]], room, choice, mutate))
    if kind < 0.1:  # the same change of size in both layers
        side = struct.pack("<HH", choice.choice(_SIDES), choice.choice(_SIDES))
        parts = [split(layer) for layer in (machine, enhancement)]
        machine, enhancement = (
            joined(head[:_WIDTH] + side + head[_WIDTH + 4 :], segments) for head, segments in parts
        )
    elif kind < 0.4:
        machine = mutated_stream(machine, [pair[0] for pair in sound], room, choice, mutate)
    else:
        enhancement = mutated_stream(enhancement, [pair[1] for pair in sound], room, choice, mutate)
    return frame(machine, enhancement)


def _mutated_header(head: bytes, choice: random.Random) -> bytes:
    changed = bytearray(head.ljust(HEADER_BYTES, b"\0"))
    kind = choice.random()
    if kind < 0.4:
        struct.pack_into("<H", changed, _WIDTH + 2 * choice.randrange(2), choice.choice(_SIDES))
    elif kind < 0.8:
        changed[choice.choice(list(_FIELDS.values()))] = choice.choice((0, 1, 2, 3, 4, 5, 6, 255))
    elif kind < 0.85:
        struct.pack_into("<I", changed, _FRAME_CRC, choice.getrandbits(32))
    elif kind < 0.9:
        struct.pack_into("<Q", changed, _REFERENCE, choice.choice((0, 1, choice.getrandbits(64))))
    else:
        changed[choice.randrange(HEADER_BYTES)] = choice.randrange(256)
    return bytes(changed)


def _restructured(head: bytes, segments: list[tuple[bytes, int]], choice: random.Random) -> bytes:
    """Segments dropped, doubled, exchanged, cut, lengthened, or with a forged length."""
    segments = [*segments, (b"", 0)]
    at = choice.randrange(len(segments))
    payload, crc = segments[at]
    kind = choice.randrange(6)
    if kind == 0:
        del segments[at]
    elif kind == 1:
        segments.insert(at, (payload, crc))
    elif kind == 2:
        choice.shuffle(segments)
    elif kind == 3:
        segments[at] = (payload[: 4 * choice.randrange(len(payload) // 4 + 1)], crc)
    elif kind == 4:
        segments[at] = (payload + bytes(4 * choice.randrange(1, 40)), choice.getrandbits(32))
    data = joined(head, segments[:-1] or segments)
    if kind == 5 and len(data) >= HEADER_BYTES + 4:
        return data[:HEADER_BYTES] + struct.pack("<I", choice.choice(_LENGTHS)) + data[HEADER_BYTES + 4 :]
    return data
