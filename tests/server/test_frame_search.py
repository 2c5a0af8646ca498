"""Frames by when they were captured."""

from __future__ import annotations

import random

import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import frame_pb2
from server.frame_search import FrameSearch
from server.kept_frames import KeptFrames

CAMERA = "gate"
Times = dict[tuple[int, int], int]


async def stored(client: Redis, times: Times) -> FrameSearch:
    for (session, sequence), captured_ns in sorted(times.items()):
        await client.xadd(
            store_keys.frames(CAMERA),
            {store_keys.FRAME_FIELD: _frame(captured_ns)},
            id=store_keys.entry_id(session, sequence),
        )
    return FrameSearch(client, KeptFrames(client))


def _frame(captured_ns: int) -> bytes:
    frame = frame_pb2.Frame()
    frame.captured_at.FromNanoseconds(captured_ns)
    return frame.SerializeToString()


def _many_sessions(seed: int) -> Times:
    """Sessions and sequences with gaps, times that rise."""
    chance = random.Random(seed)
    times, now, session = {}, 1_000, 1
    for _ in range(chance.randint(1, 6)):
        session += chance.randint(1, 40)
        sequence = 0
        for _ in range(chance.randint(1, 9)):
            sequence += chance.randint(1, 5)
            now += chance.randint(1, 30)
            times[session, sequence] = now
    return times


@pytest.mark.parametrize("seed", range(8))
async def test_the_first_frame_from_a_moment_on_and_the_nearest_are_found(client: Redis, seed: int) -> None:
    times = _many_sessions(seed)
    search = await stored(client, times)
    for moment in range(990, max(times.values()) + 12, 3):
        later = [name for name, captured in times.items() if captured >= moment]
        found = await search.first_from(CAMERA, moment)
        assert (None if found is None else (found.session, found.sequence)) == (min(later) if later else None)
        nearest = await search.nearest(CAMERA, moment)
        assert nearest is not None
        distance = abs(times[store_keys.parse_entry_id(nearest)] - moment)
        assert distance == min(abs(captured - moment) for captured in times.values())


async def test_a_camera_without_frames_has_none(client: Redis) -> None:
    search = await stored(client, {})
    assert await search.first_from(CAMERA, 5) is None
    assert await search.nearest(CAMERA, 5) is None


async def test_before_all_that_the_stream_has_it_is_looked_among_kept_frames(client: Redis) -> None:
    search = await stored(client, {(1, number): 1000 + number for number in range(1, 10)})
    kept = KeptFrames(client)
    for sequence in (2, 4, 7):
        await kept.keep(CAMERA, [(1, sequence)], None, 60)
    await client.delete(store_keys.kept(CAMERA, 1, 4))
    await client.xtrim(store_keys.frames(CAMERA), maxlen=1, approximate=False)
    assert await search.nearest(CAMERA, 1001) == "1-2"
    assert await search.nearest(CAMERA, 1006) == "1-7"
    assert await search.nearest(CAMERA, 1009) == "1-9"
