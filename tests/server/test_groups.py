"""Groups of frames in the store: no frame without its key frame, and nothing let go of but whole groups."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from server.config import ServerConfig
from server.errors import StoreFullError
from server.frame_bus import Appending, FrameBus, Holding, Publishing
from server.groups import KeyFrame
from server.store.client import Role, open_client
from server.store.embedded import EmbeddedStore
from tests.server.harness import frames_in

# Nobody recognises these frames, so those that await a task are bounded as the others are.
CONFIG = ServerConfig(
    frames_kept=10,
    frames_most=10,
    group_frames=6,
    backlog_frames=2,
    store_patience=1.0,
    block=0.05,
    lease=600.0,
)
CAMERA = "front-door"


class Filling:
    """Appends frames to a camera, by kind: ``K`` a key frame, ``p`` one predicted from the last key frame."""

    def __init__(self, bus: FrameBus) -> None:
        self.bus = bus
        self.sequence = 0
        self.key = KeyFrame(1, 0, 0)

    async def append(self, kind: str) -> Appending:
        self.sequence += 1
        if kind == "K":
            self.key = KeyFrame(1, self.sequence, 1000 + self.sequence)
        return (await self.bus.append(CAMERA, 1, self.sequence, b"frame", self.key)).outcome

    async def append_all(self, kinds: str) -> None:
        for kind in kinds:
            assert await self.append(kind) is Appending.STORED


@pytest.fixture
async def filling(client: Redis, store_url: str) -> AsyncIterator[Filling]:
    async with open_client(store_url, Role.BLOCKING) as blocking:
        yield Filling(FrameBus(client, blocking, CONFIG))


async def keys_in(client: Redis) -> list[str]:
    return [entry_id.decode() for entry_id, _ in await client.xrange(store_keys.keys(CAMERA))]


def numbered(frames: range) -> list[str]:
    return [f"1-{sequence}" for sequence in frames]


async def test_the_key_frames_are_listed_without_the_frames(filling: Filling, client: Redis) -> None:
    assert await filling.bus.last_key(CAMERA) is None
    await filling.append_all("KppKp")
    assert await keys_in(client) == ["1-1", "1-4"]
    assert await filling.bus.last_key(CAMERA) == KeyFrame(1, 4, 1004)
    assert await frames_in(client) == numbered(range(1, 6))


async def test_groups_go_as_a_whole_and_as_many_frames_stay_as_are_kept(
    filling: Filling, client: Redis
) -> None:
    await filling.append_all("KpppKpppKp")
    assert await frames_in(client) == numbered(range(1, 11))
    await filling.append_all("ppp")
    assert await frames_in(client) == numbered(range(1, 14))
    await filling.append_all("p")
    assert await frames_in(client) == numbered(range(5, 15))
    assert await keys_in(client) == ["1-5", "1-9"]


@pytest.mark.parametrize("kinds", ["Kppppp" * 8, "K" * 40, "KpKppppp" * 5, "Kp" * 20, "Kppppp" + "K" * 30])
async def test_the_store_holds_less_than_the_kept_frames_and_a_group_together(
    filling: Filling, client: Redis, kinds: str
) -> None:
    for count, kind in enumerate(kinds, 1):
        await filling.append_all(kind)
        kept = await frames_in(client)
        assert min(count, 10) <= len(kept) < 10 + 6
        assert kept[0] in await keys_in(client)
        assert set(await keys_in(client)) <= set(kept)


async def test_a_group_that_is_full_takes_no_more_frames(filling: Filling, client: Redis) -> None:
    await filling.append_all("Kppppp")
    assert await filling.append("p") is Appending.GROUP_FULL
    await filling.append_all("Kp")
    assert await frames_in(client) == [*numbered(range(1, 7)), "1-8", "1-9"]


@pytest.mark.parametrize(
    "claimed", [KeyFrame(1, 1, 1001), KeyFrame(1, 4, 1001), KeyFrame(1, 5, 1005), KeyFrame(9, 4, 1004)]
)
async def test_a_frame_is_stored_after_no_other_than_its_own_key_frame(
    filling: Filling, client: Redis, claimed: KeyFrame
) -> None:
    await filling.append_all("KppKp")
    appended = await filling.bus.append(CAMERA, 1, 6, b"frame", claimed)
    assert appended.outcome is Appending.WITHOUT_KEY
    assert appended.last_key == KeyFrame(1, 4, 1004)
    assert await frames_in(client) == numbered(range(1, 6))


async def test_a_store_that_was_emptied_takes_no_predicted_frame(filling: Filling, client: Redis) -> None:
    await filling.append_all("Kp")
    await client.flushdb()
    appended = await filling.bus.append(CAMERA, 1, 3, b"frame", filling.key)
    assert (appended.outcome, appended.last_key, appended.backlog) == (Appending.WITHOUT_KEY, None, 0)
    assert await frames_in(client) == []


async def test_a_frame_that_was_stored_before_is_told_as_such_whichever_key_frame_came_since(
    filling: Filling,
) -> None:
    await filling.append_all("KpKp")
    for sequence, key in ((1, KeyFrame(1, 1, 1001)), (2, KeyFrame(1, 1, 1001)), (3, KeyFrame(1, 3, 1003))):
        appended = await filling.bus.append(CAMERA, 1, sequence, b"frame", key)
        assert appended.outcome is Appending.REPEATED
    late = await filling.bus.append(CAMERA, 0, 9, b"frame", KeyFrame(0, 1, 7))
    assert late.outcome is Appending.STALE_SESSION
    assert await filling.bus.last_key(CAMERA) == KeyFrame(1, 3, 1003)


async def test_frames_from_before_there_were_groups_go_one_by_one(filling: Filling, client: Redis) -> None:
    for sequence in range(1, 13):
        await client.xadd(store_keys.frames(CAMERA), {store_keys.FRAME_FIELD: b"frame"}, id=f"0-{sequence}")
    await filling.append_all("Kppp")
    assert await frames_in(client) == [
        *(f"0-{sequence}" for sequence in range(7, 13)),
        *numbered(range(1, 5)),
    ]
    await filling.append_all("ppKpppp")
    assert await frames_in(client) == numbered(range(1, 12))


FRAME = bytes(50_000)


async def fill(bus: FrameBus, kinds: str) -> None:
    """Append frames that take room, each recognised at once."""
    key = KeyFrame(1, 0, 0)
    leases, holding = bus.leases("worker", store_keys.DEFAULT_TASK), Holding(CAMERA)
    await leases.take([CAMERA])
    for sequence, kind in enumerate(kinds, 1):
        key = KeyFrame(1, sequence, 1000 + sequence) if kind == "K" else key
        assert (await bus.append(CAMERA, 1, sequence, FRAME, key)).outcome is Appending.STORED
        while (claimed := await bus.claim(holding, leases)) is None:
            pass
        assert await bus.publish(claimed, leases, b"result") is Publishing.PUBLISHED


@pytest.mark.parametrize(
    ("kinds", "kept"),
    [
        ("Kppp" * 5, range(9, 22)),
        ("Kppp" + "Kppppppppppp" + "Kppp", range(5, 22)),
        ("KpppppppppppppppKppp", range(17, 22)),
    ],
    ids=["the older half", "no less than half", "one group is more than half"],
)
async def test_a_full_store_lets_go_of_whole_groups(valkey: EmbeddedStore, kinds: str, kept: range) -> None:
    config = replace(
        CONFIG, frames_kept=100, frames_most=100, group_frames=100, store_patience=5.0, store_pause=0.01
    )
    async with open_client(valkey.url) as client, open_client(valkey.url, Role.BLOCKING) as blocking:
        bus = FrameBus(client, blocking, config)
        await fill(bus, kinds)
        used = (await client.info("memory"))["used_memory"]
        await client.config_set("maxmemory", used - 20_000)
        last = await bus.last_key(CAMERA)
        assert last is not None
        assert (await bus.append(CAMERA, 1, 21, FRAME, last)).outcome is Appending.STORED
        assert await frames_in(client) == numbered(kept)
        assert (await keys_in(client))[0] == f"1-{kept[0]}"


async def test_a_full_store_keeps_the_last_group_whole_until_a_key_frame_asks_for_its_place(
    valkey: EmbeddedStore,
) -> None:
    async with open_client(valkey.url) as client, open_client(valkey.url, Role.BLOCKING) as blocking:
        config = replace(CONFIG, group_frames=100, store_patience=5.0, store_pause=0.01)
        bus = FrameBus(client, blocking, config)
        await fill(bus, "Kppppppppp")
        used = (await client.info("memory"))["used_memory"]
        await client.config_set("maxmemory", used - 20_000)
        grown = await bus.append(CAMERA, 1, 11, FRAME, KeyFrame(1, 1, 1001))
        assert grown.outcome is Appending.NO_ROOM
        assert await frames_in(client) == numbered(range(1, 11))
        begun = await bus.append(CAMERA, 1, 12, FRAME, KeyFrame(1, 12, 1012))
        assert begun.outcome is Appending.STORED
        assert await frames_in(client) == ["1-12"]
        assert await keys_in(client) == ["1-12"]


async def test_a_full_store_keeps_what_is_not_recognised_even_from_a_key_frame(valkey: EmbeddedStore) -> None:
    async with open_client(valkey.url) as client, open_client(valkey.url, Role.BLOCKING) as blocking:
        bus = FrameBus(client, blocking, replace(CONFIG, store_patience=0.3, store_pause=0.01))
        await fill(bus, "Kpp")
        await bus.append(CAMERA, 1, 4, FRAME, KeyFrame(1, 1, 1001))
        await client.config_set("maxmemory", 1)
        with pytest.raises(StoreFullError):
            await bus.append(CAMERA, 1, 5, FRAME, KeyFrame(1, 5, 1005))
        assert await frames_in(client) == numbered(range(1, 5))
