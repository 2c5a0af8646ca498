from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.config import CaptureConfig, EdgeConfig, RateConfig, SpoolConfig
from edge.encoder import Encoder
from edge.errors import SourceError
from edge.frame import CapturedFrame, EncodedFrame
from edge.metrics import DropReason, KeyCause, SourceState, Tally
from edge.process import EdgeProcess
from edge.rate_control import Levels
from secondsight import limits
from secondsight.v1 import frame_pb2, ingest_pb2
from shared_models import Codec
from tests.edge.conftest import ClipMaker, Viewer, eventually
from tests.edge.scripted_server import Conversation, ScriptedServer

Server = tuple[ScriptedServer, str]


@pytest.fixture
def encoder(codec: Codec) -> Iterator[Encoder]:
    encoder = Encoder(codec, frames_at_once=2)
    yield encoder
    encoder.close()


@pytest.fixture
def stills(codec: Codec) -> Iterator[Encoder]:
    """An encoder of key frames: in a predicted frame a small change of the whole picture may be taken for noise."""
    encoder = Encoder(codec, frames_at_once=2, longest_group=1)
    yield encoder
    encoder.close()


def config(source: Path, address: str, **options: Any) -> EdgeConfig:
    capture = CaptureConfig(
        speed=0, loop=options.pop("loop", False), max_frames=options.pop("max_frames", None)
    )
    fast: dict[str, Any] = {"backoff_base_s": 0.02, "backoff_cap_s": 0.05, "capture": capture}
    return EdgeConfig(camera_id="door", source=str(source), server=address, **(fast | options))


def balanced(tally: Tally) -> bool:
    return tally.captured == tally.acked + tally.dropped.total() + tally.unacknowledged


async def acknowledge(talk: Conversation, count: int) -> list[frame_pb2.Frame]:
    frames = []
    for _ in range(count):
        frame = await talk.frame()
        frames.append(frame)
        await talk.ack(frame.id.sequence)
    return frames


def greys(codec: Codec, frames: list[frame_pb2.Frame]) -> list[int]:
    return [round(float(codec.decode_machine(frame.machine_layer).mean()) / 8) for frame in frames]


async def test_a_kept_recording_arrives_whole_and_the_edge_ends_by_itself(
    server: Server, make_clip: ClipMaker, codec: Codec, stills: Encoder
) -> None:
    script, address = server
    tally = Tally()
    clip = make_clip(frames=6, size=(64, 48))
    edge = EdgeProcess(config(clip, address, keep_all=True, max_unacknowledged=2), "1.0", tally)
    running = asyncio.create_task(edge.run(stills, asyncio.Event()))
    talk = await script.conversation()
    assert (await talk.greet(session=1)).model_id == codec.predicting_id
    frames = await acknowledge(talk, 6)
    await running
    headers = [codec.inspect(frame.machine_layer) for frame in frames]
    assert [(header.width, header.height) for header in headers] == [(64, 48)] * 6
    assert greys(codec, frames) == list(range(6))
    assert (tally.captured, tally.acked, tally.unacknowledged) == (6, 6, 0)
    assert not tally.dropped


async def test_a_slow_server_gets_the_newest_frames_and_the_others_are_counted(
    server: Server, make_clip: ClipMaker, encoder: Encoder
) -> None:
    script, address = server
    tally = Tally()
    clip = make_clip(frames=30)
    edge = EdgeProcess(config(clip, address, max_unsent=1, loop=True), "1.0", tally)
    stop = asyncio.Event()
    running = asyncio.create_task(edge.run(encoder, stop))
    talk = await script.conversation()
    await talk.greet(session=1, credits=1)
    first = await talk.frame()
    await eventually(lambda: tally.dropped[DropReason.UPLINK_SLOW] >= 50)
    assert tally.sent == 1
    dropped_before = tally.dropped[DropReason.UPLINK_SLOW]
    await talk.ack(first.id.sequence, credits=1)
    waiting = await talk.frame()
    await talk.ack(waiting.id.sequence, credits=1)
    newest = await talk.frame()
    between = (newest.pts_us - first.pts_us) // 100_000
    assert between > dropped_before, "what was dropped is older than what was sent"
    assert (first.id.sequence, waiting.id.sequence, newest.id.sequence) == (1, 2, 3)
    stop.set()
    talk_on = asyncio.create_task(acknowledge(talk, 2))
    await talk.ack(newest.id.sequence)
    await running
    talk_on.cancel()
    assert balanced(tally)


class OutOfOrder(Encoder):
    """Is ready with every second frame only when the one after it is."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec, frames_at_once=2, longest_group=1)
        self._begun = 0
        self._later_is_ready = asyncio.Event()

    def encode(self, frame: CapturedFrame, levels: Levels | None = None) -> asyncio.Future[EncodedFrame]:
        number, self._begun = self._begun, self._begun + 1
        return asyncio.ensure_future(self._delivered(number, super().encode(frame, levels)))

    async def _delivered(self, number: int, encoding: asyncio.Future[EncodedFrame]) -> EncodedFrame:
        encoded = await encoding
        if number % 2:
            self._later_is_ready.set()
        else:
            await self._later_is_ready.wait()
            self._later_is_ready.clear()
        return encoded


class FailsBetween(Encoder):
    """Fails with the second frame, and is ready with the first one only when the third one is."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec, frames_at_once=2, longest_group=1)
        self._begun = 0
        self._third_is_ready = asyncio.Event()

    def encode(self, frame: CapturedFrame, levels: Levels | None = None) -> asyncio.Future[EncodedFrame]:
        number, self._begun = self._begun, self._begun + 1
        if number == 1:
            frame = replace(frame, image=frame.image[:8, :8])
        return asyncio.ensure_future(self._delivered(number, super().encode(frame, levels)))

    async def _delivered(self, number: int, encoding: asyncio.Future[EncodedFrame]) -> EncodedFrame:
        encoded = await encoding
        if number == 0:
            await self._third_is_ready.wait()
        if number == 2:
            self._third_is_ready.set()
        return encoded


@pytest.mark.parametrize(
    ("make_encoder", "arriving"), [(OutOfOrder, [0, 1, 2, 3, 4, 5]), (FailsBetween, [0, 2, 3, 4, 5])]
)
async def test_frames_that_are_encoded_together_are_sent_in_order(
    server: Server,
    make_clip: ClipMaker,
    codec: Codec,
    make_encoder: Callable[[Codec], Encoder],
    arriving: list[int],
) -> None:
    script, address = server
    tally = Tally()
    edge = EdgeProcess(config(make_clip(frames=6), address, keep_all=True), "1.0", tally)
    encoder = make_encoder(codec)
    running = asyncio.create_task(edge.run(encoder, asyncio.Event()))
    talk = await script.conversation()
    await talk.greet(session=1)
    frames = await acknowledge(talk, len(arriving))
    await running
    encoder.close()
    assert greys(codec, frames) == arriving
    assert balanced(tally)


async def test_frames_in_work_are_counted_when_the_edge_is_given_up(
    server: Server, make_clip: ClipMaker, codec: Codec
) -> None:
    script, address = server
    tally = Tally()
    edge = EdgeProcess(config(make_clip(frames=1), address, keep_all=True, grace_s=0.1), "1.0", tally)
    encoder = OutOfOrder(codec)
    stop = asyncio.Event()
    running = asyncio.create_task(edge.run(encoder, stop))
    talk = await script.conversation()
    await talk.greet(session=1)
    await eventually(lambda: tally.captured == 1)
    stop.set()
    await running
    encoder.close()
    assert tally.dropped == {DropReason.STOPPED: 1}
    assert balanced(tally)


async def test_stopping_flushes_what_is_pending(
    server: Server, make_clip: ClipMaker, encoder: Encoder
) -> None:
    script, address = server
    tally = Tally()
    edge = EdgeProcess(
        config(make_clip(frames=20), address, keep_all=True, max_unacknowledged=4), "1.0", tally
    )
    stop = asyncio.Event()
    running = asyncio.create_task(edge.run(encoder, stop))
    talk = await script.conversation()
    await talk.greet(session=1)
    await talk.frames(4)
    stop.set()
    await asyncio.sleep(0.1)
    assert not running.done()
    await talk.ack(4)
    await running
    assert tally.acked == 4
    assert tally.unacknowledged == 0
    assert balanced(tally)


async def test_stopping_does_not_wait_for_a_dead_server_beyond_the_grace_time(
    free_port: int, make_clip: ClipMaker, encoder: Encoder
) -> None:
    tally = Tally()
    address = f"127.0.0.1:{free_port}"
    clip = make_clip(frames=20)
    edge = EdgeProcess(config(clip, address, keep_all=True, max_unacknowledged=3, grace_s=0.1), "1.0", tally)
    stop = asyncio.Event()
    running = asyncio.create_task(edge.run(encoder, stop))
    await eventually(lambda: tally.encoded == 3)
    stop.set()
    await running
    assert tally.unacknowledged == 3
    assert balanced(tally)


async def test_at_the_end_of_a_recording_a_server_without_progress_is_given_up(
    free_port: int, make_clip: ClipMaker, encoder: Encoder
) -> None:
    tally = Tally()
    address = f"127.0.0.1:{free_port}"
    edge = EdgeProcess(config(make_clip(frames=2), address, keep_all=True, flush_timeout_s=0.2), "1.0", tally)
    await edge.run(encoder, asyncio.Event())
    assert (tally.captured, tally.acked, tally.unacknowledged) == (2, 0, 2)


async def test_a_recording_at_its_own_pace_ends_without_a_server(
    free_port: int, make_clip: ClipMaker, encoder: Encoder
) -> None:
    tally = Tally()
    pace = CaptureConfig(speed=1)
    options = config(
        make_clip(frames=4), f"127.0.0.1:{free_port}", capture=pace, max_unsent=1, flush_timeout_s=0.2
    )
    await EdgeProcess(options, "1.0", tally).run(encoder, asyncio.Event())
    assert (tally.captured, tally.encoded, tally.unacknowledged) == (4, 1, 1)
    assert tally.dropped == {DropReason.UPLINK_SLOW: 3}


async def test_the_last_frame_of_a_recording_waits_for_its_turn(
    server: Server, make_clip: ClipMaker, codec: Codec, stills: Encoder
) -> None:
    script, address = server
    tally = Tally()
    pace = CaptureConfig(speed=1)
    edge = EdgeProcess(config(make_clip(frames=4), address, capture=pace, max_unsent=1), "1.0", tally)
    running = asyncio.create_task(edge.run(stills, asyncio.Event()))
    talk = await script.conversation()
    await eventually(lambda: tally.source is SourceState.ENDED)
    await talk.greet(session=1)
    assert greys(codec, await acknowledge(talk, 2)) == [0, 3]
    await running
    assert (tally.acked, tally.unacknowledged) == (2, 0)
    assert balanced(tally)


async def test_a_frame_that_waits_after_the_end_of_its_source_is_left_when_the_edge_is_stopped(
    free_port: int, make_clip: ClipMaker, encoder: Encoder
) -> None:
    tally, stop = Tally(), asyncio.Event()
    options = config(
        make_clip(frames=4),
        f"127.0.0.1:{free_port}",
        capture=CaptureConfig(speed=1),
        max_unsent=1,
        grace_s=0.1,
    )
    running = asyncio.create_task(EdgeProcess(options, "1.0", tally).run(encoder, stop))
    await eventually(lambda: tally.source is SourceState.ENDED)
    stop.set()
    await running
    assert tally.unacknowledged == 1
    assert tally.dropped == {DropReason.UPLINK_SLOW: 2, DropReason.STOPPED: 1}


async def test_a_frame_that_cannot_be_encoded_does_not_end_the_edge(
    server: Server, tmp_path: Path, encoder: Encoder
) -> None:
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "a-too-small.png")
    Image.new("RGB", (32, 32)).save(folder / "b-good.png")
    script, address = server
    tally = Tally()
    edge = EdgeProcess(config(folder, address, keep_all=True), "1.0", tally)
    running = asyncio.create_task(edge.run(encoder, asyncio.Event()))
    talk = await script.conversation()
    await talk.greet(session=1)
    await acknowledge(talk, 1)
    await running
    assert tally.dropped == {DropReason.ENCODE_FAILED: 1}
    assert balanced(tally)


async def test_a_machine_layer_above_the_servers_limit_is_not_sent(
    server: Server, make_clip: ClipMaker, codec: Codec, stills: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = codec.encode(np.full((48, 64, 3), 0, np.uint8)).machine
    script, address = server
    for limit, sent in ((len(layer), 1), (len(layer) - 1, 0)):
        monkeypatch.setattr(limits, "MACHINE_LAYER_BYTES", limit)
        tally = Tally()
        edge = EdgeProcess(config(make_clip(frames=1), address, keep_all=True), "1.0", tally)
        running = asyncio.create_task(edge.run(stills, asyncio.Event()))
        if sent:
            talk = await script.conversation()
            await talk.greet(session=1)
            await acknowledge(talk, 1)
        await running
        assert tally.acked == sent
        assert tally.dropped == ({} if sent else {DropReason.TOO_LARGE: 1})


async def test_a_source_that_fails_is_reported_after_its_good_frames_were_sent(
    server: Server, failing_clip: Path, encoder: Encoder
) -> None:
    script, address = server
    tally = Tally()
    edge = EdgeProcess(config(failing_clip, address, keep_all=True), "1.0", tally)
    running = asyncio.create_task(edge.run(encoder, asyncio.Event()))
    talk = await script.conversation()
    await talk.greet(session=1)
    await acknowledge(talk, 1)
    with pytest.raises(SourceError, match="3 packets in a row"):
        await running
    assert tally.acked == 1


def key_frames(frames: list[frame_pb2.Frame]) -> list[int]:
    """Places of the key frames."""
    return [index for index, frame in enumerate(frames) if frame.reference_sequence == 0]


async def test_a_fixed_camera_is_sent_as_one_group_and_every_frame_decodes(
    server: Server, make_moving_clip: ClipMaker, codec: Codec, encoder: Encoder
) -> None:
    script, address = server
    tally = Tally()
    edge = EdgeProcess(config(make_moving_clip(frames=6), address, keep_all=True), "1.0", tally)
    running = asyncio.create_task(edge.run(encoder, asyncio.Event()))
    talk = await script.conversation()
    await talk.greet(session=1)
    frames = await acknowledge(talk, 6)
    await running
    assert key_frames(frames) == [0]
    viewer = Viewer(codec)
    for frame in frames:
        viewer.view(frame)
    assert (tally.sent, tally.sent_predicted, tally.encoded_predicted) == (6, 5, 5)
    assert 0 < tally.changed / tally.encoded_predicted < 0.5
    assert (
        sum(tally.spending.days.values())
        == tally.machine_bytes
        == sum(len(frame.machine_layer) for frame in frames)
    )


@pytest.mark.parametrize("longest", [1, 4])
async def test_a_group_is_no_longer_than_it_may_be(
    server: Server, make_moving_clip: ClipMaker, codec: Codec, longest: int
) -> None:
    script, address = server
    encoder = Encoder(codec, frames_at_once=2, longest_group=longest)
    edge = EdgeProcess(config(make_moving_clip(frames=8), address, keep_all=True), "1.0", Tally())
    running = asyncio.create_task(edge.run(encoder, asyncio.Event()))
    talk = await script.conversation()
    await talk.greet(session=1)
    assert key_frames(await acknowledge(talk, 8)) == list(range(0, 8, longest))
    await running
    encoder.close()


async def test_after_a_lost_key_frame_the_edge_begins_another_group_and_what_is_stored_decodes(
    server: Server, make_moving_clip: ClipMaker, codec: Codec, encoder: Encoder
) -> None:
    script, address = server
    tally = Tally()
    clip = make_moving_clip(frames=16)
    edge = EdgeProcess(config(clip, address, keep_all=True, max_unacknowledged=4), "1.0", tally)
    running = asyncio.create_task(edge.run(encoder, asyncio.Event()))
    talk = await script.conversation()
    await talk.greet(session=1)
    lost = await talk.frame()
    await talk.nack(lost.id.sequence, ingest_pb2.NACK_REASON_LIMIT)
    viewer, stored = Viewer(codec), 0
    answering = asyncio.create_task(running_out(running))
    while (frame := await next_frame(talk, answering)) is not None:
        if frame.reference_sequence == lost.id.sequence:
            await talk.nack(frame.id.sequence, ingest_pb2.NACK_REASON_REFERENCE)
        else:
            viewer.view(frame)
            stored += 1
        await talk.ack(frame.id.sequence)
    await running
    assert (tally.acked, tally.dropped["nack_limit"]) == (stored, 1)
    assert stored >= 16 - 1 - 4 - 2, "what was in the queue and in the encoder is lost, no more"
    assert tally.key_requests == {KeyCause.LOST: 1}
    assert balanced(tally)


async def running_out(running: asyncio.Task[None]) -> None:
    await asyncio.wait({running})


async def next_frame(talk: Conversation, ended: asyncio.Task[None]) -> frame_pb2.Frame | None:
    """The next frame; None when the edge has ended."""
    reading = asyncio.create_task(talk.frame())
    await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)
    if reading.done() and reading.exception() is None:
        return reading.result()
    reading.cancel()
    return None


async def test_a_key_frame_that_the_server_asks_for_comes_next(
    server: Server, make_moving_clip: ClipMaker, codec: Codec, encoder: Encoder
) -> None:
    script, address = server
    tally = Tally()
    clip = make_moving_clip(frames=12)
    edge = EdgeProcess(config(clip, address, keep_all=True, max_unacknowledged=1), "1.0", tally)
    running = asyncio.create_task(edge.run(encoder, asyncio.Event()))
    talk = await script.conversation()
    await talk.greet(session=1)
    before = await acknowledge(talk, 4)
    asking = await talk.frame()
    await talk.key_request()
    await eventually(lambda: tally.key_requests[KeyCause.SERVER] == 1)
    await talk.ack(asking.id.sequence)
    after = await acknowledge(talk, 7)
    await running
    assert key_frames([*before, asking, *after]) == [0, 5]


async def test_frames_of_a_group_that_a_new_session_cuts_in_two_all_decode(
    server: Server, make_moving_clip: ClipMaker, codec: Codec, encoder: Encoder
) -> None:
    script, address = server
    tally = Tally()
    clip = make_moving_clip(frames=14)
    edge = EdgeProcess(config(clip, address, keep_all=True, max_unacknowledged=4), "1.0", tally)
    running = asyncio.create_task(edge.run(encoder, asyncio.Event()))
    talk = await script.conversation()
    await talk.greet(session=1)
    frames = await acknowledge(talk, 3)
    await eventually(lambda: tally.acked == 3)
    await talk.frame()
    talk.end()
    talk = await script.conversation()
    await talk.greet(session=2)
    frames += await acknowledge(talk, 11)
    await running
    assert frames[3].reference_session == 1, "it was encoded before the new session came"
    later = key_frames(frames)
    assert later[0] == 0
    assert len(later) == 2, "a new session begins with a key frame as soon as may be"
    viewer = Viewer(codec)
    for frame in frames:
        viewer.view(frame)
    assert tally.acked == 14


async def test_a_key_frame_above_the_servers_limit_takes_its_group_along(
    server: Server, make_moving_clip: ClipMaker, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MACHINE_LAYER_BYTES", 200)
    tally = Tally()
    _, address = server
    edge = EdgeProcess(config(make_moving_clip(frames=6), address, keep_all=True), "1.0", tally)
    await edge.run(encoder, asyncio.Event())
    assert tally.sent == 0
    assert set(tally.dropped) <= {DropReason.TOO_LARGE, DropReason.KEY_LOST}
    assert tally.dropped[DropReason.TOO_LARGE] >= 2, "each time another key frame is tried"
    assert balanced(tally)


async def test_frames_are_left_out_before_they_are_encoded_to_keep_a_bit_rate(
    server: Server, make_moving_clip: ClipMaker, codec: Codec, encoder: Encoder
) -> None:
    script, address = server
    tally = Tally()
    options = config(
        make_moving_clip(frames=40),
        address,
        loop=True,
        rate=RateConfig(kbit_s=4, least_frame_rate=2, bucket_s=1),
    )
    stop = asyncio.Event()
    edge = EdgeProcess(options, "1.0", tally)
    running = asyncio.create_task(edge.run(encoder, stop))
    talk = await script.conversation()
    await talk.greet(session=1)
    frames = await acknowledge(talk, 6)
    stop.set()
    acknowledging = asyncio.create_task(acknowledge(talk, 64))
    await running
    acknowledging.cancel()
    assert tally.dropped[DropReason.RATE] > 0
    assert tally.encoded < tally.captured - tally.dropped[DropReason.RATE] + 1
    assert tally.rate is not None
    assert (tally.rate.target_kbit_s, tally.rate.machine_level) == (4, 0)
    assert {codec.inspect(frame.machine_layer).quality for frame in frames} == {0}
    assert balanced(tally)


async def test_a_recording_waits_for_room_in_the_spool_and_arrives_whole(
    server: Server, make_clip: ClipMaker, codec: Codec, stills: Encoder, tmp_path: Path
) -> None:
    script, address = server
    tally = Tally()
    spool = SpoolConfig(tmp_path / "spool", max_bytes=2**16)
    clip = make_clip(frames=24, size=(64, 48))
    edge = EdgeProcess(config(clip, address, spool=spool, delivery="complete"), "1.0", tally)
    running = asyncio.create_task(edge.run(stills, asyncio.Event()))
    talk = await script.conversation()
    await eventually(lambda: tally.spool is not None and tally.spool.full)
    held_at = tally.encoded
    await asyncio.sleep(0.3)
    assert tally.encoded == held_at < 24
    assert tally.spool is not None
    assert tally.spool.bytes <= 2**16
    await talk.greet(session=1)
    assert greys(codec, await acknowledge(talk, 24)) == list(range(24))
    await running
    assert (tally.captured, tally.acked, tally.unacknowledged) == (24, 24, 0)
    assert not tally.dropped


async def test_a_camera_without_its_server_leaves_its_frames_to_the_next_start(
    server: Server,
    make_moving_clip: ClipMaker,
    codec: Codec,
    encoder: Encoder,
    tmp_path: Path,
    free_port: int,
) -> None:
    script, address = server
    spool = SpoolConfig(tmp_path / "spool")
    clip = make_moving_clip(frames=12)
    before, stop = Tally(), asyncio.Event()
    away = config(clip, f"127.0.0.1:{free_port}", spool=spool, loop=True, max_unsent=1)
    running = asyncio.create_task(EdgeProcess(away, "1.0", before).run(encoder, stop))
    await eventually(lambda: before.unacknowledged >= 6)
    stop.set()
    await running
    assert balanced(before)
    # The next process ends with its source, when all is acknowledged.
    after, begun_anew = Tally(), Encoder(codec)
    edge = EdgeProcess(config(clip, address, spool=spool, delivery="complete", max_frames=3), "1.0", after)
    running = asyncio.create_task(edge.run(begun_anew, asyncio.Event()))
    talk = await script.conversation()
    await talk.greet(session=1, credits=100)
    frames = await acknowledge(talk, before.unacknowledged + 3)
    await running
    begun_anew.close()
    assert after.inherited == before.unacknowledged
    assert after.acked == after.inherited + 3
    viewer = Viewer(codec)
    for frame in frames:
        viewer.view(frame)
