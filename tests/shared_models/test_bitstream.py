from __future__ import annotations

import contextlib
import struct
from dataclasses import replace

import google_crc32c
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_models import errors
from shared_models.bitstream import Bitstream, FrameType, Header, Layer, Segment

HEADER = Header(
    layer=Layer.ENHANCEMENT,
    model_id=b"12345678",
    width=1280,
    height=720,
    quality=2,
    machine_quality=1,
    slices=3,
    frame_crc=0xDEADBEEF,
)
STREAM = Bitstream(HEADER, (Segment(b"abcd", 1), Segment(b"", 2), Segment(b"efghijkl", 3)))


def resealed(data: bytes, at: int, replacement: bytes) -> bytes:
    """Change the header and make its checksum right again."""
    head = bytearray(data[:36])
    head[at : at + len(replacement)] = replacement
    return bytes(head) + struct.pack("<I", google_crc32c.value(bytes(head))) + data[40:]


def test_packing_and_parsing_are_inverse() -> None:
    data = STREAM.packed()
    assert Bitstream.parsed(data, Layer.ENHANCEMENT) == STREAM
    assert len(data) == 40 + 3 * 12 + 12


def test_a_stream_may_end_after_any_segment() -> None:
    data = STREAM.packed()
    cut = Bitstream.parsed(data[: 40 + 12 + 4], Layer.ENHANCEMENT)
    assert cut.segments == STREAM.segments[:1]


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda d: b"JPEG" + d[4:], errors.MagicError),
        (lambda d: d[:4] + b"\x09" + d[5:], errors.VersionError),
        (lambda d: d[:30], errors.TruncatedError),
        (lambda d: d[:3], errors.TruncatedError),
        (lambda d: b"", errors.TruncatedError),
        (lambda d: d[:40], errors.TruncatedError),
        (lambda d: d[:45], errors.TruncatedError),
        (lambda d: d[:-1], errors.TruncatedError),
        (lambda d: d + b"\x00", errors.TrailingDataError),
        (lambda d: d[:20] + b"\xff" + d[21:], errors.CorruptError),
        (lambda d: d[:-1] + b"!", errors.CorruptError),
        (lambda d: resealed(d, 5, b"\x01"), errors.LayerError),
        (lambda d: resealed(d, 5, b"\x07"), errors.LayerError),
        (lambda d: resealed(d, 6, b"\x05"), errors.FrameTypeError),
        (lambda d: resealed(d, 6, b"\x01"), errors.CorruptError),
        (lambda d: resealed(d, 31, b"\x01"), errors.CorruptError),
        (lambda d: resealed(d, 20, b"\x00\x00"), errors.FrameSizeError),
        (lambda d: resealed(d, 22, b"\xff\xff"), errors.FrameSizeError),
        (lambda d: resealed(d, 9, b"\x00"), errors.CorruptError),
        (lambda d: d[:40] + struct.pack("<I", 2**31) + d[44:], errors.CorruptError),
    ],
)
def test_every_kind_of_damage_has_its_error(damage, error) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error):
        Bitstream.parsed(damage(STREAM.packed()), Layer.ENHANCEMENT)


def test_the_other_layer_is_named() -> None:
    machine = Bitstream(replace(HEADER, layer=Layer.MACHINE), (Segment(b"abcd", 1),)).packed()
    with pytest.raises(errors.LayerError, match="machine layer where the enhancement layer"):
        Bitstream.parsed(machine, Layer.ENHANCEMENT)


def test_predicted_frames_name_another() -> None:
    predicted = replace(HEADER, frame_type=FrameType.PREDICTED, reference=HEADER.name)
    data = replace(STREAM, header=predicted).packed()
    assert data[6] == 1
    assert data[24:32] == STREAM.packed()[36:40] + STREAM.packed()[32:36]
    assert Bitstream.parsed(data, Layer.ENHANCEMENT).header == predicted


def test_streams_that_differ_in_header_or_integers_have_different_names() -> None:
    others = [
        replace(HEADER, layer=Layer.MACHINE, machine_quality=2),
        replace(HEADER, width=1281),
        replace(HEADER, quality=1),
        replace(HEADER, slices=4),
        replace(HEADER, model_id=b"87654321"),
        replace(HEADER, frame_crc=0xDEADBEEE),
        replace(HEADER, frame_type=FrameType.PREDICTED, reference=1),
    ]
    assert len({header.name for header in (HEADER, *others)}) == len(others) + 1
    cut = replace(STREAM, segments=STREAM.segments[:1])
    assert Bitstream.parsed(cut.packed(), Layer.ENHANCEMENT).header.name == HEADER.name


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_mutated_streams_parse_or_raise_a_typed_error(data: st.DataObject) -> None:
    mutated = bytearray(STREAM.packed())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        mutated[at] = data.draw(st.integers(0, 255))
    mutated = mutated[: data.draw(st.integers(0, len(mutated)))]
    with contextlib.suppress(errors.BitstreamError):
        Bitstream.parsed(bytes(mutated), Layer.ENHANCEMENT)
