"""The count can fail: whatever is taken out, put twice, exchanged or painted over is found."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import pytest

from secondsight.v1 import analytics_pb2, frame_pb2
from shared_models import Codec, load_codec
from shared_models.bitstream import FrameType
from shared_models.group import GroupEncoder
from tests.chaos.invariant import Count, count
from tests.chaos.observer import Seen
from tests.chaos.pictures import number_of, picture, psnr
from tests.chaos.witness import GrpcMessages, Name, Said, digest

FRAMES = 4


@dataclass
class Evidence:
    said: Said
    seen: Seen
    delivered: list[Name]

    def counted(self, codec: Codec) -> Count:
        return count("gate", self.said, self.seen, self.delivered, codec)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec("lite", device="cpu")


@pytest.fixture(scope="module")
def whole(codec: Codec) -> Evidence:
    """What is said and seen when nothing goes wrong."""
    evidence = Evidence(Said(), Seen(), [])
    encoder = GroupEncoder(codec)
    key: Name = (0, 0)
    for sequence in range(1, FRAMES + 1):
        coded = encoder.encode(picture(sequence), encoder.turn())
        name = (1, sequence)
        frame = frame_pb2.Frame(
            id=frame_pb2.FrameId(camera_id="gate", session=1, sequence=sequence),
            pts_us=sequence,
            machine_layer=coded.machine,
        )
        if coded.frame_type is FrameType.PREDICTED:
            frame.reference_session, frame.reference_sequence = key
        else:
            key = name
        evidence.said.sent[name] = digest(frame)
        evidence.said.acked.add(name)
        evidence.seen.stored.append((name, frame))
        evidence.seen.enhancements[name] = coded.enhancement
        evidence.seen.results.append((name, analytics_pb2.RecognitionResult(frame=frame.id)))
        evidence.delivered.append(name)
    return evidence


def _lose_stored(evidence: Evidence) -> None:
    del evidence.seen.stored[-1]


def _lose_result(evidence: Evidence) -> None:
    del evidence.seen.results[1]


def _lose_delivery(evidence: Evidence) -> None:
    del evidence.delivered[1]


def _repeat_result(evidence: Evidence) -> None:
    evidence.seen.results.append(evidence.seen.results[-1])


def _repeat_delivery(evidence: Evidence) -> None:
    evidence.delivered.append(evidence.delivered[-1])


def _exchange_results(evidence: Evidence) -> None:
    results = evidence.seen.results
    results[0], results[1] = results[1], results[0]


def _fail(evidence: Evidence) -> None:
    evidence.seen.results[2][1].failure = "the key frame is gone"


def _store_another(evidence: Evidence) -> None:
    evidence.seen.stored[2][1].machine_layer = evidence.seen.stored[1][1].machine_layer


def _store_under_two_names(evidence: Evidence) -> None:
    """A frame that was acknowledged, sent again as new."""
    _, frame = evidence.seen.stored[-1]
    name = (1, FRAMES + 1)
    again = frame_pb2.Frame.FromString(frame.SerializeToString())
    again.id.sequence = FRAMES + 1
    evidence.said.sent[name] = digest(again)
    evidence.said.acked.add(name)
    evidence.seen.stored.append((name, again))
    evidence.seen.results.append((name, analytics_pb2.RecognitionResult(frame=again.id)))
    evidence.delivered.append(name)


def _swap_enhancements(evidence: Evidence) -> None:
    layers = evidence.seen.enhancements
    layers[1, 2], layers[1, 3] = layers[1, 3], layers[1, 2]


def _damage(evidence: Evidence) -> None:
    frame = evidence.seen.stored[0][1]
    frame.machine_layer = frame.machine_layer[:-5] + b"12345"
    evidence.said.sent[1, 1] = digest(frame)


BROKEN: dict[str, tuple[Callable[[Evidence], None], int, int]] = {
    "a stored frame is gone": (_lose_stored, 1, 0),
    "a result is gone": (_lose_result, 1, 0),
    "a result was not delivered": (_lose_delivery, 1, 0),
    "a result is there twice": (_repeat_result, 0, 1),
    "a result was delivered twice": (_repeat_delivery, 0, 1),
    "results are out of order": (_exchange_results, 0, 0),
    "a frame was not recognised": (_fail, 0, 0),
    "another frame was stored": (_store_another, 0, 1),
    "a frame was sent again as new": (_store_under_two_names, 0, 1),
    "enhancement layers were exchanged": (_swap_enhancements, 0, 0),
    "a layer is damaged": (_damage, 0, 0),
}


def test_a_run_without_fault_is_found_to_be_one(whole: Evidence, codec: Codec) -> None:
    counted = whole.counted(codec)
    assert counted.violations == []
    assert (counted.acknowledged, counted.stored, counted.recognised, counted.delivered) == (FRAMES,) * 4
    assert (counted.lost, counted.duplicated, counted.decoded, counted.viewed) == (0, 0, FRAMES, FRAMES)


def test_a_camera_may_give_the_same_picture_twice(whole: Evidence, codec: Codec) -> None:
    """One that is opened again within its frame time does: it is another frame, captured later."""
    evidence = deepcopy(whole)
    _store_under_two_names(evidence)
    _, again = evidence.seen.stored[-1]
    again.captured_at.FromNanoseconds(5)
    evidence.said.sent[1, FRAMES + 1] = digest(again)
    evidence.seen.results[-1][1].captured_at.CopyFrom(again.captured_at)
    counted = evidence.counted(codec)
    assert (counted.violations, counted.duplicated) == ([], 0)


@pytest.mark.parametrize("breach", BROKEN)
def test_a_breach_is_found(whole: Evidence, codec: Codec, breach: str) -> None:
    evidence = deepcopy(whole)
    spoil, lost, duplicated = BROKEN[breach]
    spoil(evidence)
    counted = evidence.counted(codec)
    assert counted.violations
    assert (counted.lost, counted.duplicated) == (lost, duplicated)


def test_pictures_tell_their_number_and_are_no_other() -> None:
    for number in (0, 1, 2, 255, 256, 4711, 65535):
        assert number_of(picture(number)) == number
        assert psnr(picture(number), number) > 90
        assert psnr(picture(number), (number + 1) % 65536) < 22


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_messages_are_found_however_their_bytes_are_cut(piece: int) -> None:
    def message(text: bytes) -> bytes:
        return b"\0" + len(text).to_bytes(4) + text

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload

    two = message(b"first") + message(b"second")
    wire = (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + frame(4, 0, 0, b"\0" * 6)
        + frame(0, 0, 1, two[:8])
        + frame(0, 0, 3, message(b"other"))
        + frame(0, 8, 1, b"\2" + two[8:] + b"\0\0")
    )
    messages = GrpcMessages(preface=True)
    heard = [heard for at in range(0, len(wire), piece) for heard in messages.feed(wire[at : at + piece])]
    assert heard == [(3, b"other"), (1, b"first"), (1, b"second")]
