"""Enhancement layers at the edge: which are kept, for how long, and how they are handed out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis

from edge.config import EdgeConfig, EnhancementConfig, RateConfig
from edge.enhancement import EnhancementKeeper
from edge.enhancement_memory import EnhancementMemory
from edge.errors import EnhancementGoneError
from edge.metrics import Tally
from edge.rate_control import Levels, RateControl
from edge.spending import Spending
from secondsight import limits, store_keys
from secondsight.v1 import frame_pb2, ingest_pb2
from server.store.embedded import EmbeddedStore
from tests.edge.conftest import eventually
from tests.edge.scripted_server import ScriptedServer
from tests.edge.test_uplink import FAST, uplink

Server = tuple[ScriptedServer, str]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> EnhancementMemory:
    """Holds layers for 10 s and up to 100 bytes."""
    return EnhancementMemory(10.0, 100, clock)


@pytest.fixture
def stored(valkey: EmbeddedStore) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.url) as client:
        yield client


def layer_key(sequence: int, session: int = 5) -> str:
    return store_keys.enhancement("door", session, sequence)


def layers_in(store: redis.Redis) -> list[int]:
    """Sequence numbers of the frames whose layers it has."""
    found: Any = store.keys("{door}:enhancement:*")
    return sorted(int(key.rpartition(b"-")[2]) for key in found)


def test_a_key_frames_layer_is_held_as_long_as_one_that_needs_it(
    memory: EnhancementMemory, clock: Clock
) -> None:
    memory.hold((1, 1), b"key", None)
    clock.now = 8.0
    memory.hold((1, 2), b"predicted", (1, 1))
    clock.now = 12.0
    memory.hold((1, 3), b"key", None)
    assert memory.find((1, 1)) and memory.find((1, 2))
    clock.now = 20.0
    memory.hold((1, 4), b"predicted", (1, 3))
    assert memory.find((1, 1)) is None and memory.find((1, 2)) is None
    assert memory.let_go == 2
    clock.now = 100.0
    memory.hold((1, 5), b"predicted", (1, 3))
    assert memory.find((1, 3)), "more may come that needs the newest key frame"
    assert memory.find((1, 4)) is None
    assert memory.bytes == len(b"key") + len(b"predicted")


def test_the_oldest_layers_go_first_when_there_are_too_many_bytes(memory: EnhancementMemory) -> None:
    memory.hold((1, 1), bytes(30), None)
    memory.hold((1, 2), bytes(30), (1, 1))
    memory.hold((1, 3), bytes(30), (1, 1))
    memory.hold((1, 4), bytes(30), (1, 1))
    assert [name for name in range(1, 5) if memory.find((1, name))] == [1, 3, 4]
    memory.hold((1, 5), bytes(90), None)
    assert [name for name in range(1, 6) if memory.find((1, name))] == [5]
    assert memory.bytes == 90


def test_a_layer_goes_with_its_frames_name(memory: EnhancementMemory) -> None:
    memory.hold((1, 1), b"key", None)
    memory.hold((1, 2), b"predicted", (1, 1))
    memory.hold((2, 1), b"key", None, instead_of=(1, 1))
    assert memory.find((1, 1)) is None
    memory.hold((2, 2), b"predicted", (2, 1), instead_of=(1, 2))
    assert memory.find((1, 2)) is None
    found = memory.find((2, 2))
    assert found is not None and found.key == (2, 1)
    assert memory.bytes == len(b"key") + len(b"predicted")


def test_a_layer_whose_key_frames_is_not_held_is_of_no_use(memory: EnhancementMemory) -> None:
    memory.hold((1, 1), b"key", None)
    assert not memory.hold((1, 3), b"predicted", (1, 2))
    assert memory.find((1, 3)) is None


def test_what_is_to_be_stored_does_not_go_by_time(memory: EnhancementMemory, clock: Clock) -> None:
    memory.hold((1, 1), b"key", None)
    memory.hold((1, 2), b"predicted", (1, 1))
    held = memory.find((1, 2))
    assert held is not None
    held.wanted = True
    clock.now = 100.0
    memory.hold((1, 3), b"key", None)
    assert memory.find((1, 2)) is held and memory.find((1, 1))


@pytest.fixture
async def keeper(valkey: EmbeddedStore) -> AsyncIterator[EnhancementKeeper]:
    config = EdgeConfig(camera_id="door", source="none", server="127.0.0.1:1", store=valkey.url, **FAST)
    made = EnhancementKeeper(config, Tally())
    yield made
    await made.close()


async def test_a_layer_above_the_limit_of_a_message_is_as_good_as_gone(
    keeper: EnhancementKeeper, stored: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ENHANCEMENT_LAYER_BYTES", 100)
    stored.set(layer_key(1), bytes(100))
    stored.set(layer_key(2), bytes(101))
    assert len(await keeper.fetch(5, 1)) == 100
    with pytest.raises(EnhancementGoneError, match="lower the quality"):
        await keeper.fetch(5, 2)


async def test_a_layer_that_is_asked_for_needs_no_credit_and_counts_as_spent(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis
) -> None:
    script, address = server
    place = EnhancementConfig(place="edge")
    async with uplink(address, valkey.url, enhancement=place) as edge:
        await edge.add("ab")
        talk = await script.conversation()
        assert (await talk.greet(session=5, credits=1)).keeps_enhancement
        frame = await talk.frame()
        assert frame.enhancement.place == frame_pb2.ENHANCEMENT_PLACE_EDGE
        assert frame.enhancement.retention == frame_pb2.RETENTION_ROUTINE
        spent = sum(edge.tally.spending.days.values())
        for request, sequence in ((7, 1), (8, 1), (9, 6)):
            await talk.ask_enhancement(request, 5, sequence)
        replies = [await talk.enhancement() for _ in range(3)]
        assert [reply.request for reply in replies] == [7, 8, 9]
        assert [reply.enhancement_layer for reply in replies] == [b"enhancement a", b"enhancement a", b""]
        assert replies[2].lack == ingest_pb2.ENHANCEMENT_LACK_GONE
        assert sum(edge.tally.spending.days.values()) == spent + 2 * len(b"enhancement a")
        assert (edge.tally.enhancements_replied, edge.tally.enhancement_lacks) == (2, 1)
        await talk.ack(1)
        assert (await talk.frame()).machine_layer == b"machine b"


async def test_a_store_that_does_not_answer_is_a_lack_of_its_own(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis
) -> None:
    script, address = server
    async with uplink(address, valkey.url, store_timeout_s=0.2) as edge:
        await edge.add("a")
        talk = await script.conversation()
        await talk.greet(session=5)
        await talk.frame()
        stored.client_pause(60_000)
        await talk.ask_enhancement(1, 5, 1)
        assert (await talk.enhancement()).lack == ingest_pb2.ENHANCEMENT_LACK_UNAVAILABLE


async def test_what_the_server_wants_kept_waits_for_the_store_to_come_back(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis
) -> None:
    script, address = server
    lives = EnhancementConfig(routine_s=60, detection_s=600, alert_s=6000, retains_waiting=2)
    async with uplink(address, valkey.url, store_timeout_s=20.0, enhancement=lives) as edge:
        await edge.add("abcd")
        talk = await script.conversation()
        await talk.greet(session=5)
        await talk.frames(4)
        stored.client_pause(60_000, all=False)
        await talk.retain(5, 1, frame_pb2.RETENTION_DETECTION)
        await talk.retain(5, 2, frame_pb2.RETENTION_ALERT)
        await talk.retain(5, 2, frame_pb2.RETENTION_DETECTION)
        await talk.retain(5, 3, frame_pb2.RETENTION_DETECTION)
        await eventually(lambda: edge.tally.retains_lost == 1)
        stored.client_unpause()
        await eventually(lambda: stored.pttl(layer_key(3)) > 60_000)
        assert 600_000 < stored.pttl(layer_key(2)) <= 6_000_000
        assert stored.pttl(layer_key(4)) <= 60_000
        # A class below the one it has shortens no life.
        await talk.retain(5, 2, frame_pb2.RETENTION_DETECTION)
        await talk.retain(5, 4, frame_pb2.RETENTION_DETECTION)
        await eventually(lambda: stored.pttl(layer_key(4)) > 60_000)
        assert stored.pttl(layer_key(2)) > 600_000


async def test_with_the_policy_detection_a_verdict_stores_the_key_frames_layer_once(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis
) -> None:
    script, address = server
    policy = EnhancementConfig(policy="detection", detection_s=600, alert_s=600, routine_s=60)
    async with uplink(address, valkey.url, enhancement=policy) as edge:
        await edge.add_group("k", "abc")
        talk = await script.conversation()
        await talk.greet(session=5)
        frames = await talk.frames(4)
        assert {frame.enhancement.place for frame in frames} == {frame_pb2.ENHANCEMENT_PLACE_EDGE}
        assert layers_in(stored) == []
        for sequence in (2, 4):
            await talk.retain(5, sequence, frame_pb2.RETENTION_DETECTION)
        await eventually(lambda: layers_in(stored) == [1, 2, 4])
        assert stored.get(layer_key(1)) == b"enhancement k"
        lengths = [len(f"enhancement {name}") for name in "kac"]
        await eventually(lambda: edge.tally.enhancement_bytes == sum(lengths))
        stored.unlink(layer_key(1))
        await talk.retain(5, 3, frame_pb2.RETENTION_DETECTION)
        await eventually(lambda: layers_in(stored) == [1, 2, 3, 4])


async def test_frames_that_are_named_anew_are_found_under_their_new_names(
    server: Server, valkey: EmbeddedStore, stored: redis.Redis
) -> None:
    script, address = server
    policy = EnhancementConfig(policy="detection")
    async with uplink(address, valkey.url, enhancement=policy) as edge:
        await edge.add_group("k", "a")
        talk = await script.conversation()
        await talk.greet(session=5)
        await talk.frames(2)
        talk.end()
        talk = await script.conversation()
        await talk.greet(session=6)
        await talk.frames(2)
        await talk.retain(6, 2, frame_pb2.RETENTION_DETECTION)
        await eventually(lambda: bool(stored.exists(layer_key(2, session=6))))
        assert stored.get(layer_key(1, session=6)) == b"enhancement k"
        assert not stored.exists(layer_key(1), layer_key(2))


def test_what_is_sent_on_request_takes_room_from_frames() -> None:
    clock = Clock()
    spending = Spending(clock, clock)
    control = RateControl(RateConfig(kbit_s=8.0), (Levels(0, 0),), 1, spending, clock)
    first = control.admit(1.0)
    assert first is not None
    control.coded(first, 1000, key=True, encode_s=0.01)
    clock.now = 0.1
    second = control.admit(1.0)
    assert second is not None
    control.coded(second, 1000, key=False, encode_s=0.01)
    spending.reply(8000)
    clock.now = 0.2
    assert control.admit(1.0) is None
    assert spending.minute_bytes == 8000


def test_enhancement_layers_that_were_not_foreseen_take_room_only_if_they_cross_the_uplink() -> None:
    clock = Clock()
    for counts, expected in ((False, 0), (True, 500)):
        spending = Spending(clock, clock, counts_enhancement=counts)
        spending.enhancement(300)
        spending.enhancement(500, foreseen=False)
        assert spending.beside_bytes == expected
