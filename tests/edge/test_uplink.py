from __future__ import annotations

import asyncio
import gc
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
import redis

from edge import uplink as uplink_module
from edge.config import EdgeConfig, EnhancementConfig
from edge.enhancement import EnhancementKeeper
from edge.frame import EncodedFrame
from edge.metrics import DropReason, KeyCause, SourceState, SpoolReport, Tally
from edge.pending import Pending
from edge.uplink import Uplink
from secondsight import store_keys
from secondsight.v1 import frame_pb2, ingest_pb2
from server.store.embedded import EmbeddedStore
from tests.edge.conftest import Frames, eventually
from tests.edge.scripted_server import ScriptedServer, listening

MODEL = b"\x01\x02\x03\x04\x05\x06\x07\x08"
FAST: dict[str, Any] = {
    "backoff_base_s": 0.02,
    "backoff_cap_s": 0.05,
    "store_backoff_base_s": 0.05,
    "store_backoff_cap_s": 0.05,
    "enhancement": EnhancementConfig(routine_s=60),
}

Server = tuple[ScriptedServer, str]


class Rig:
    def __init__(self, pending: Pending, tally: Tally, task: asyncio.Task[None]) -> None:
        self.pending, self.tally, self.task = pending, tally, task
        self._frames = Frames()

    async def add(self, names: str) -> None:
        """Key frames, one a letter."""
        for name in names:
            await self.pending.add(self._frames.key(name))

    async def add_group(self, key: str, names: str = "") -> EncodedFrame:
        """A key frame and frames predicted from it."""
        frame = self._frames.key(key)
        await self.pending.add(frame)
        await self.predict(frame, names)
        return frame

    async def predict(self, key: EncodedFrame, names: str) -> None:
        """Frames predicted from `key`."""
        for name in names:
            await self.pending.add(self._frames.predicted(name, key))

    async def settled(self, waiting: int = 0) -> None:
        await self.pending.until_fewer_than(waiting + 1)


@asynccontextmanager
async def uplink(address: str, store_url: str | None = None, **limits: Any) -> AsyncIterator[Rig]:
    config = EdgeConfig(camera_id="door", source="none", server=address, store=store_url, **(FAST | limits))
    tally = Tally()
    pending = Pending(tally)
    keeper = EnhancementKeeper(config, tally) if store_url else None
    task = asyncio.create_task(Uplink(config, MODEL, "1.2.3", pending, keeper, tally).run())
    keeping = asyncio.create_task(keeper.run()) if keeper else None
    try:
        yield Rig(pending, tally, task)
        assert not task.done()
        assert keeping is None or not keeping.done()
    finally:
        for running in (task, keeping):
            if running is not None:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
        if keeper:
            await keeper.close()


@pytest.fixture
def stored(valkey: EmbeddedStore) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.url) as client:
        yield client


async def test_the_first_hello_asks_for_a_session_and_frames_follow_the_welcome(server: Server) -> None:
    script, address = server
    async with uplink(address) as edge:
        await edge.add("ab")
        talk = await script.conversation()
        hello = await talk.greet(session=7)
        assert (hello.camera_id, hello.session, hello.model_id) == ("door", 0, MODEL)
        assert hello.edge_version == "1.2.3"
        first, second = await talk.frames(2)
        assert (first.id.camera_id, first.id.session, first.id.sequence) == ("door", 7, 1)
        assert second.id.sequence == 2
        assert (first.machine_layer, second.machine_layer) == (b"machine a", b"machine b")
        assert first.captured_at.ToNanoseconds() == 1_700_000_000_123_456_789
        assert (first.pts_us, first.timing.encode_us) == (40_000, 1234)
        assert not first.HasField("enhancement")
        assert not first.enhancement.HasField("expires_at")
        await talk.ack(2)
        await edge.settled()
        assert (edge.tally.sent, edge.tally.acked) == (2, 2)


async def test_no_more_frames_are_under_way_than_there_are_credits(server: Server) -> None:
    script, address = server
    async with uplink(address) as edge:
        await edge.add("abcdef")
        talk = await script.conversation()
        await talk.greet(session=1, credits=2)
        assert [frame.id.sequence for frame in await talk.frames(2)] == [1, 2]
        early = asyncio.create_task(talk.frame())
        await asyncio.sleep(0.1)
        assert edge.pending.under_way == 2
        assert not early.done()
        await talk.ack(1, credits=2)
        assert (await early).id.sequence == 3
        await talk.ack(3, credits=0)
        early = asyncio.create_task(talk.frame())
        await edge.settled(waiting=3)
        await asyncio.sleep(0.1)
        assert edge.pending.under_way == 0
        assert not early.done()
        await talk.ack(3, credits=8)
        assert (await early).id.sequence == 4
        assert [frame.id.sequence for frame in await talk.frames(2)] == [5, 6]


async def test_a_refused_frame_is_counted_by_reason_and_not_sent_again(server: Server) -> None:
    script, address = server
    async with uplink(address) as edge:
        await edge.add("abc")
        talk = await script.conversation()
        await talk.greet(session=1)
        await talk.frames(3)
        await talk.nack(2, ingest_pb2.NACK_REASON_BITSTREAM)
        await talk.ack(3)
        await edge.settled()
        assert edge.tally.acked == 2
        assert edge.tally.dropped == {"nack_bitstream": 1}


async def test_an_edge_lives_with_refusals_and_retentions_that_only_a_newer_server_knows(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis
) -> None:
    script, address = server
    lives = EnhancementConfig(routine_s=60, detection_s=600, alert_s=6000)
    async with uplink(address, valkey.url, enhancement=lives) as edge:
        await edge.add("abc")
        talk = await script.conversation()
        await talk.greet(session=1)
        await talk.frames(3)
        for sequence, reason in ((1, 99), (2, 100)):
            await talk.nack(sequence, cast("ingest_pb2.NackReason", reason))
        await eventually(lambda: edge.task.done() or edge.tally.dropped.total() == 2)
        assert edge.tally.dropped == {"nack_unknown": 2}
        await talk.retain(1, 3, cast("frame_pb2.Retention", 99))
        await eventually(lambda: _lives_s(stored, store_keys.enhancement("door", 1, 3)) > 600)
        await talk.ack(3)
        await edge.settled()
        assert (edge.tally.acked, edge.tally.connections) == (1, 1)


def _lives_s(store: redis.Redis, key: str) -> int:
    return cast("int", store.ttl(key))


async def test_after_a_lost_connection_the_session_goes_on_behind_the_last_stored_frame(
    server: Server,
) -> None:
    script, address = server
    async with uplink(address) as edge:
        await edge.add("abcd")
        talk = await script.conversation()
        await talk.greet(session=5)
        await talk.frames(4)
        await talk.ack(1)
        await edge.settled(waiting=3)
        talk.end()
        talk = await script.conversation()
        hello = await talk.greet(session=5, last_stored=3)
        assert hello.session == 5
        again = await talk.frame()
        assert (again.id.sequence, again.machine_layer) == (4, b"machine d")
        await talk.ack(4)
        await edge.settled()
        assert (edge.tally.sent, edge.tally.resent, edge.tally.acked) == (4, 1, 4)


async def test_in_a_new_session_frames_and_their_enhancement_layers_get_new_names(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis
) -> None:
    script, address = server
    async with uplink(address, valkey.url) as edge:
        await edge.add("abc")
        talk = await script.conversation()
        await talk.greet(session=5)
        await talk.frames(3)
        await talk.ack(1)
        await edge.settled(waiting=2)
        talk.end()
        talk = await script.conversation()
        assert (await talk.greet(session=6)).session == 5
        again = await talk.frames(2)
        assert [(frame.id.session, frame.id.sequence) for frame in again] == [(6, 1), (6, 2)]
        assert [frame.machine_layer for frame in again] == [b"machine b", b"machine c"]
        assert stored.get(store_keys.enhancement("door", 6, 1)) == b"enhancement b"
        assert stored.get(store_keys.enhancement("door", 6, 2)) == b"enhancement c"
        assert stored.get(store_keys.enhancement("door", 5, 1)) == b"enhancement a"
        assert not stored.exists(store_keys.enhancement("door", 5, 2), store_keys.enhancement("door", 5, 3))
        assert edge.tally.enhancement_bytes == 3 * len(b"enhancement a")


async def test_the_enhancement_layer_is_stored_before_its_frame_is_sent(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis
) -> None:
    script, address = server
    async with uplink(address, valkey.url) as edge:
        talk = await script.conversation()
        await talk.greet(session=5)
        for sequence, name in enumerate("abcde", start=1):
            began = time.monotonic()
            await edge.add(name)
            receipt = (await talk.frame()).enhancement
            taken_ms = 1000 * (time.monotonic() - began)
            key = store_keys.enhancement("door", 5, sequence)
            assert stored.get(key) == f"enhancement {name}".encode()
            assert (receipt.bytes, receipt.slices) == (len("enhancement a"), 4)
            # The edge counts from when it begins to store, the store from when it has stored.
            assert abs(receipt.expires_at.ToMilliseconds() - stored.pexpiretime(key)) < taken_ms + 10
            assert 0 < stored.pttl(key) <= 60_000


async def test_without_its_store_a_frame_goes_without_a_receipt(server: Server) -> None:
    script, address = server
    async with uplink(address, "redis://127.0.0.1:1/0") as edge:
        await edge.add("ab")
        talk = await script.conversation()
        await talk.greet(session=5)
        assert [frame.HasField("enhancement") for frame in await talk.frames(2)] == [False, False]
        assert edge.tally.enhancements_failed == 2
        assert edge.tally.enhancement_bytes == 0


async def test_a_store_that_comes_back_is_used_again(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis
) -> None:
    script, address = server
    async with uplink(address, valkey.url) as edge:
        talk = await script.conversation()
        await talk.greet(session=5, credits=1000)
        await edge.add("a")
        assert (await talk.frame()).enhancement.bytes
        stored.config_set("maxmemory", 1)
        await edge.add("b")
        assert not (await talk.frame()).enhancement.bytes
        stored.config_set("maxmemory", 0)
        receipt = 0
        while not receipt:
            await asyncio.sleep(0.06)
            await edge.add("c")
            receipt = (await talk.frame()).enhancement.bytes
        assert receipt == len(b"enhancement c")


def reference(frame: frame_pb2.Frame) -> tuple[int, int]:
    return frame.reference_session, frame.reference_sequence


async def test_predicted_frames_name_the_key_frame(server: Server) -> None:
    script, address = server
    async with uplink(address) as edge:
        await edge.add_group("K", "pq")
        await edge.add_group("L", "r")
        talk = await script.conversation()
        await talk.greet(session=5)
        assert [reference(frame) for frame in await talk.frames(5)] == [
            (0, 0),
            (5, 1),
            (5, 1),
            (0, 0),
            (5, 4),
        ]


async def test_in_a_new_session_frames_name_a_key_frame_of_the_old_one_that_is_stored_there(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis
) -> None:
    script, address = server
    async with uplink(address, valkey.url) as edge:
        key = await edge.add_group("K", "p")
        talk = await script.conversation()
        await talk.greet(session=5)
        await talk.frames(2)
        await talk.ack(1)
        await edge.settled(waiting=1)
        talk.end()
        talk = await script.conversation()
        await talk.greet(session=6)
        again = await talk.frame()
        assert (again.id.session, again.id.sequence, reference(again)) == (6, 1, (5, 1))
        assert again.enhancement.bytes
        assert stored.exists(store_keys.enhancement("door", 5, 1), store_keys.enhancement("door", 6, 1)) == 2
        assert edge.pending.key_wanted
        # The server has not got it any more: say, its store was wiped.
        await edge.predict(key, "q")
        await talk.frame()
        await talk.nack(1, ingest_pb2.NACK_REASON_REFERENCE)
        await talk.nack(2, ingest_pb2.NACK_REASON_REFERENCE)
        await talk.key_request()
        await edge.settled()
        assert edge.tally.dropped == {"nack_reference": 2}
        await edge.predict(key, "r")
        assert edge.tally.dropped == {"nack_reference": 2, DropReason.KEY_LOST: 1}
        await edge.add_group("L", "s")
        assert [reference(frame) for frame in await talk.frames(2)] == [(0, 0), (6, 3)]


async def test_a_refused_key_frame_takes_its_waiting_group_along(server: Server) -> None:
    script, address = server
    async with uplink(address) as edge:
        await edge.add_group("K", "pqr")
        talk = await script.conversation()
        await talk.greet(session=5, credits=2)
        await talk.frames(2)
        await talk.nack(1, ingest_pb2.NACK_REASON_LIMIT)
        await talk.nack(2, ingest_pb2.NACK_REASON_REFERENCE)
        await talk.ack(2)
        await edge.settled()
        assert edge.tally.dropped == {"nack_limit": 1, "nack_reference": 1, DropReason.KEY_LOST: 2}
        assert edge.tally.key_requests == {KeyCause.LOST: 1}
        await edge.add_group("L", "s")
        assert [(frame.id.sequence, reference(frame)) for frame in await talk.frames(2)] == [
            (5, (0, 0)),
            (6, (5, 5)),
        ]


async def test_the_server_can_ask_for_a_key_frame(server: Server) -> None:
    script, address = server
    async with uplink(address) as edge:
        talk = await script.conversation()
        await talk.greet(session=5)
        await talk.key_request()
        await eventually(lambda: edge.pending.key_wanted)
        assert edge.tally.key_requests == {KeyCause.SERVER: 1}


async def test_a_key_frame_that_is_refused_while_the_next_layer_is_stored_holds_that_frame_back(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis
) -> None:
    script, address = server
    async with uplink(address, valkey.url) as edge:
        key = await edge.add_group("K")
        talk = await script.conversation()
        await talk.greet(session=5)
        await talk.frame()
        stored.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        await edge.predict(key, "p")
        # Its name is given right before its layer goes to the store, which does not take it for now.
        await eventually(lambda: edge.pending.backlog.unsent == 1)
        await talk.nack(1, ingest_pb2.NACK_REASON_BITSTREAM)
        await edge.settled()
        stored.execute_command("CLIENT", "UNPAUSE")
        await edge.add_group("L")
        frame = await talk.frame()
        assert (frame.machine_layer, reference(frame)) == (b"machine L", (0, 0))
        assert edge.tally.dropped == {"nack_bitstream": 1, DropReason.KEY_LOST: 1}
        await talk.ack(frame.id.sequence)
        await edge.settled()


async def test_a_key_frames_layer_outlives_those_of_its_group(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis
) -> None:
    script, address = server
    async with uplink(address, valkey.url) as edge:
        key = await edge.add_group("K")
        talk = await script.conversation()
        await talk.greet(session=5)
        await talk.frame()
        theirs = store_keys.enhancement("door", 5, 1)
        first = stored.pexpiretime(theirs)
        await asyncio.sleep(0.02)
        await edge.predict(key, "p")
        assert (await talk.frame()).enhancement.bytes
        renewed = stored.pexpiretime(theirs)
        assert renewed > first
        assert renewed >= stored.pexpiretime(store_keys.enhancement("door", 5, 2))
        # A time to live that somebody made longer stays.
        stored.pexpire(theirs, 120_000)
        longer = stored.pexpiretime(theirs)
        await edge.predict(key, "q")
        await talk.frame()
        assert stored.pexpiretime(theirs) == longer


@pytest.mark.parametrize("acknowledged", [True, False])
async def test_without_the_key_frames_layer_the_others_of_its_group_are_of_no_use(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis, acknowledged: bool
) -> None:
    script, address = server
    async with uplink(address, valkey.url) as edge:
        key = await edge.add_group("K")
        talk = await script.conversation()
        await talk.greet(session=5)
        assert (await talk.frame()).enhancement.bytes
        if acknowledged:
            await talk.ack(1)
            await edge.settled()
        # Evicted, say.
        stored.delete(store_keys.enhancement("door", 5, 1))
        await edge.predict(key, "pq")
        assert [frame.HasField("enhancement") for frame in await talk.frames(2)] == [False, False]
        assert not stored.exists(store_keys.enhancement("door", 5, 2), store_keys.enhancement("door", 5, 3))
        assert edge.tally.enhancements_failed == 2
        assert edge.pending.key_wanted
        assert edge.tally.key_requests == {KeyCause.STORE: 1}
        await edge.add_group("L", "r")
        assert [frame.HasField("enhancement") for frame in await talk.frames(2)] == [True, True]


async def test_a_key_frame_is_asked_for_when_a_store_that_missed_the_last_one_is_back(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis
) -> None:
    script, address = server
    async with uplink(address, valkey.url) as edge:
        talk = await script.conversation()
        await talk.greet(session=5, credits=1000)
        stored.config_set("maxmemory", 1)
        key = await edge.add_group("K", "p")
        assert [frame.HasField("enhancement") for frame in await talk.frames(2)] == [False, False]
        await asyncio.sleep(0.06)
        await edge.predict(key, "q")
        assert not (await talk.frame()).enhancement.bytes
        assert not edge.pending.key_wanted, "the store takes nothing: a key frame would be of no use"
        stored.config_set("maxmemory", 0)
        while not edge.pending.key_wanted:
            await asyncio.sleep(0.06)
            await edge.predict(key, "r")
            assert not (await talk.frame()).enhancement.bytes
        await edge.add_group("L", "s")
        assert [frame.HasField("enhancement") for frame in await talk.frames(2)] == [True, True]
        assert edge.tally.key_requests == {KeyCause.STORE: 1}


async def test_a_drain_is_followed_to_the_last_ack_and_then_to_a_new_connection(server: Server) -> None:
    script, address = server
    async with uplink(address) as edge:
        await edge.add("ab")
        talk = await script.conversation()
        await talk.greet(session=3)
        await talk.frames(2)
        await talk.drain()
        closing = asyncio.create_task(talk.closed_by_edge())
        await asyncio.sleep(0.05)
        await edge.add("c")
        assert not closing.done()
        await talk.ack(2)
        await closing
        talk.end()
        talk = await script.conversation()
        assert (await talk.greet(session=3, last_stored=2)).session == 3
        assert (await talk.frame()).id.sequence == 3
        assert edge.tally.resent == 0


async def test_a_draining_server_that_acknowledges_nothing_is_left(server: Server) -> None:
    script, address = server
    async with uplink(address, drain_timeout_s=0.1) as edge:
        await edge.add("a")
        talk = await script.conversation()
        await talk.greet(session=3)
        await talk.frame()
        await talk.drain()
        await talk.closed_by_edge()
        talk.end()
        talk = await script.conversation()
        await talk.greet(session=3)
        assert (await talk.frame()).id.sequence == 1


async def test_a_silent_server_is_left_and_its_frames_are_sent_again(server: Server) -> None:
    script, address = server
    async with uplink(address, ack_timeout_s=1.0) as edge:
        await edge.add("a")
        talk = await script.conversation()
        await talk.greet(session=3)
        await talk.frame()
        again = await script.conversation()
        talk.end()
        await again.greet(session=3)
        assert (await again.frame()).machine_layer == b"machine a"


async def test_a_server_without_work_may_be_silent(server: Server) -> None:
    script, address = server
    async with uplink(address, ack_timeout_s=1.0) as edge:
        talk = await script.conversation()
        await talk.greet(session=3)
        await asyncio.sleep(1.5)
        await edge.add("a")
        assert (await talk.frame()).id.sequence == 1
        assert edge.tally.connections == 1


async def test_a_server_that_never_welcomes_is_left(server: Server) -> None:
    script, address = server
    async with uplink(address, connect_timeout_s=1.0) as edge:
        await edge.add("a")
        talk = await script.conversation()
        again = await script.conversation()
        talk.end()
        await again.greet(session=3)
        assert (await again.frame()).id.sequence == 1


async def test_a_server_that_is_not_there_yet_is_waited_for(free_port: int) -> None:
    async with uplink(f"127.0.0.1:{free_port}") as edge:
        await edge.add("a")
        await asyncio.sleep(0.3)
        script = ScriptedServer()
        async with listening(script, free_port):
            talk = await script.conversation()
            await talk.greet(session=1)
            await talk.frame()
            await talk.ack(1)
            await edge.settled()


async def test_a_server_that_dies_in_the_middle_is_waited_for(free_port: int) -> None:
    script = ScriptedServer()
    async with uplink(f"127.0.0.1:{free_port}") as edge:
        await edge.add("abc")
        async with listening(script, free_port):
            talk = await script.conversation()
            await talk.greet(session=1)
            await talk.frames(3)
            await talk.ack(1)
            await edge.settled(waiting=2)
        await asyncio.sleep(0.2)
        async with listening(script, free_port):
            talk = await script.conversation()
            assert (await talk.greet(session=1, last_stored=1)).session == 1
            assert [frame.id.sequence for frame in await talk.frames(2)] == [2, 3]


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.FAILED_PRECONDITION]
)
async def test_a_refused_call_is_tried_again(server: Server, code: grpc.StatusCode) -> None:
    script, address = server
    script.refuse(code)
    async with uplink(address) as edge:
        await edge.add("a")
        await eventually(lambda: script.refused >= 3)
        script.refuse(None)
        talk = await script.conversation()
        await talk.greet(session=1)
        assert (await talk.frame()).id.sequence == 1


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED])
async def test_a_call_ended_by_an_error_is_opened_again(server: Server, code: grpc.StatusCode) -> None:
    script, address = server
    async with uplink(address) as edge:
        await edge.add("a")
        talk = await script.conversation()
        await talk.greet(session=1)
        await talk.frame()
        script.refuse(code)
        talk.end()
        await asyncio.sleep(0.05)
        script.refuse(None)
        talk = await script.conversation()
        await talk.greet(session=1)
        assert (await talk.frame()).id.sequence == 1


@pytest.mark.parametrize(
    ("code", "token", "named"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, None, r"refused this edge \(UNAUTHENTICATED: as .*--token-file"),
        (
            grpc.StatusCode.PERMISSION_DENIED,
            "of another",
            r"made for camera door to .*/token \(--token-file\)",
        ),
        (grpc.StatusCode.ABORTED, None, r"another edge has the name of camera door .*ABORTED: as"),
    ],
)
async def test_why_the_server_refuses_this_edge_is_told_until_it_is_welcome(
    server: Server,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    code: grpc.StatusCode,
    token: str | None,
    named: str,
) -> None:
    script, address = server
    script.refuse(code)
    token_file = None
    if token is not None:
        token_file = tmp_path / "token"
        token_file.write_text(token.replace(" ", "-"))
    async with uplink(address, token_file=token_file) as edge:
        await eventually(lambda: bool(edge.tally.refusal))
        assert re.search(named, edge.tally.refusal)
        await eventually(lambda: edge.tally.refusal in caplog.text)
        script.refuse(None)
        await (await script.conversation()).greet(session=1)
        await eventually(lambda: edge.tally.connected)
        assert not edge.tally.refusal


async def test_answers_outside_the_contract_end_the_connection(server: Server) -> None:
    script, address = server
    async with uplink(address) as edge:
        await edge.add("a")
        talk = await script.conversation()
        await talk.hello()
        await talk.ack(1)
        talk = await script.conversation()
        await talk.hello()
        await talk.welcome(session=0)
        talk = await script.conversation()
        await talk.greet(session=1)
        await talk.frame()
        await talk.ack(99)
        talk = await script.conversation()
        await talk.greet(session=1)
        assert (await talk.frame()).id.sequence == 1
        await talk.welcome(session=1)
        talk = await script.conversation()
        await talk.greet(session=1)
        assert (await talk.frame()).id.sequence == 1
        assert edge.tally.acked == 0


async def test_lost_connections_leave_neither_sockets_nor_calls_behind(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, address = server
    # Something is always being written, also in the moment in which a connection ends.
    monkeypatch.setattr(uplink_module, "_TELL_EVERY_S", 0.0)
    monkeypatch.setattr(uplink_module, "_TELL_AGAIN_S", 0.0)

    def sockets() -> int:
        found = 0
        for descriptor in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):
                found += str(descriptor.readlink()).startswith("socket:")
        return found

    def calls() -> int:
        gc.collect()
        return sum(issubclass(type(thing), grpc.aio.StreamStreamCall) for thing in gc.get_objects())

    async def reconnect(times: int) -> None:
        for _ in range(times):
            talk = await script.conversation()
            await talk.greet(session=1)
            await talk.frame()
            talk.end()

    async with uplink(address, backoff_base_s=0.001, backoff_cap_s=0.001) as edge:
        await edge.add("a")
        await reconnect(1)
        talk = await script.conversation()
        await talk.greet(session=1)
        # gRPC closes sockets a while after it is told to.
        async with asyncio.timeout(60):
            await eventually(lambda: calls() == 1)
        await asyncio.sleep(1)
        before = sockets()
        talk.end()
        await reconnect(40)
        talk = await script.conversation()
        await talk.greet(session=1)
        async with asyncio.timeout(60):
            await eventually(lambda: calls() == 1 and sockets() <= before)


async def test_the_server_is_told_how_source_and_spool_do(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, address = server
    monkeypatch.setattr(uplink_module, "_TELL_EVERY_S", 0.01)
    async with uplink(address) as edge:
        edge.tally.source = SourceState.GIVING
        talk = await script.conversation()
        await talk.greet(session=1)
        first = await talk.report()
        assert (first.source, first.HasField("spool")) == ("giving", False)
        edge.tally.spool = SpoolReport(
            frames=3, bytes=9000, limit_bytes=10_000, oldest_s=61.5, full=True, failing=False
        )
        edge.tally.source = SourceState.FROZEN
        second = await talk.report()
        while second.source == "giving":
            second = await talk.report()
        assert (second.source, second.spool.frames, second.spool.full) == ("frozen", 3, True)
        assert second.spool.oldest.ToMilliseconds() == 61_500
