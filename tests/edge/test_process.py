from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.config import CaptureConfig, EdgeConfig
from edge.encoder import Encoder
from edge.errors import SourceError
from edge.frame import CapturedFrame, EncodedFrame
from edge.metrics import DropReason, Tally
from edge.process import EdgeProcess
from edge.rate_control import Levels
from secondsight import limits
from shared_models import Codec
from tests.edge.conftest import ClipMaker, eventually
from tests.edge.scripted_server import Conversation, ScriptedServer

Server = tuple[ScriptedServer, str]


@pytest.fixture
def encoder(codec: Codec) -> Iterator[Encoder]:
    encoder = Encoder(codec, frames_at_once=2)
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


async def acknowledge(talk: Conversation, count: int) -> list[bytes]:
    layers = []
    for _ in range(count):
        frame = await talk.frame()
        layers.append(frame.machine_layer)
        await talk.ack(frame.id.sequence)
    return layers


async def test_a_kept_recording_arrives_whole_and_the_edge_ends_by_itself(
    server: Server, make_clip: ClipMaker, codec: Codec, encoder: Encoder
) -> None:
    script, address = server
    tally = Tally()
    clip = make_clip(frames=6, size=(64, 48))
    edge = EdgeProcess(config(clip, address, keep_all=True, max_unacknowledged=2), "1.0", tally)
    running = asyncio.create_task(edge.run(encoder, asyncio.Event()))
    talk = await script.conversation()
    assert (await talk.greet(session=1)).model_id == codec.model_id
    layers = await acknowledge(talk, 6)
    await running
    assert [(codec.inspect(layer).width, codec.inspect(layer).height) for layer in layers] == [(64, 48)] * 6
    greys = [round(float(codec.decode_machine(layer).mean()) / 8) for layer in layers]
    assert greys == list(range(6))
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
        super().__init__(codec, frames_at_once=2)
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
        super().__init__(codec, frames_at_once=2)
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
    layers = await acknowledge(talk, len(arriving))
    await running
    encoder.close()
    greys = [round(float(codec.decode_machine(layer).mean()) / 8) for layer in layers]
    assert greys == arriving
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
    server: Server, make_clip: ClipMaker, codec: Codec, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = codec.encode(np.full((48, 64, 3), 0, np.uint8)).machine
    script, address = server
    for limit, sent in ((len(layer), 1), (len(layer) - 1, 0)):
        monkeypatch.setattr(limits, "MACHINE_LAYER_BYTES", limit)
        tally = Tally()
        edge = EdgeProcess(config(make_clip(frames=1), address, keep_all=True), "1.0", tally)
        running = asyncio.create_task(edge.run(encoder, asyncio.Event()))
        if sent:
            talk = await script.conversation()
            await talk.greet(session=1)
            await acknowledge(talk, 1)
        await running
        assert tally.acked == sent
        assert tally.dropped == ({} if sent else {DropReason.TOO_LARGE: 1})


async def test_a_source_that_fails_is_reported_after_its_good_frames_were_sent(
    server: Server, tmp_path: Path, encoder: Encoder
) -> None:
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (32, 32)).save(folder / "a.png")
    (folder / "b.png").write_bytes(b"broken")
    script, address = server
    tally = Tally()
    edge = EdgeProcess(config(folder, address, keep_all=True), "1.0", tally)
    running = asyncio.create_task(edge.run(encoder, asyncio.Event()))
    talk = await script.conversation()
    await talk.greet(session=1)
    await acknowledge(talk, 1)
    with pytest.raises(SourceError, match=r"b\.png"):
        await running
    assert tally.acked == 1
