"""The marks in the store: their order, their bound, and what is found of them by frame."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from server.errors import UnknownMarkError
from server.marks.marks import Marks
from server.store.client import open_client
from tests.server.marks.made import mark


@asynccontextmanager
async def store_at(url: str) -> AsyncIterator[Redis]:
    opened = open_client(url)
    try:
        yield opened
    finally:
        await opened.aclose()


async def test_beyond_the_bound_those_of_the_oldest_frames_go(any_url: str) -> None:
    async with store_at(any_url) as client:
        marks = Marks(client, most=3)
        for frame in ("9-1", "10-1", "2-5", "10-20"):
            await marks.put(mark(frame=frame))
        page = await marks.page(["gate"], after=None, limit=10)
        assert [kept.frame for kept in page.marks] == ["10-20", "10-1", "9-1"]
        assert await client.hlen(store_keys.marks("gate")) == 3
        with pytest.raises(UnknownMarkError, match="GET /v1/marks"):
            await marks.get("gate", mark(frame="2-5").id)


async def test_frames_come_whole_whatever_lies_between(any_url: str) -> None:
    async with store_at(any_url) as client:
        marks = Marks(client, most=10_000)
        for number in range(140):
            for detection in (0, 1):
                await marks.put(mark(frame=f"1-{number}", detection=detection))
        await marks.put(mark(frame="11-1"))
        found = [marked async for marked in marks.marked_frames(["gate"])]
        assert [(marked.frame, len(marked.marks)) for marked in found] == [
            ("11-1", 1),
            *((f"1-{number}", 2) for number in reversed(range(140))),
        ]
        assert [kept.frame for kept in await marks.of_frame("gate", "1-1")] == ["1-1", "1-1"]
        edge = found[3].captured_at
        assert [marked async for marked in marks.marked_frames(["gate"], until=edge)] == []
        assert len([marked async for marked in marks.marked_frames(["gate"], since=edge)]) == 141


async def test_a_mark_reads_as_it_was_written(any_url: str) -> None:
    async with store_at(any_url) as client:
        marks, said = Marks(client, most=10), mark()
        assert await marks.put(said)
        assert not await marks.put(said)
        assert await marks.get("gate", said.id) == said
        await marks.remove(said)
        assert (await marks.page(["gate"], after=None, limit=5)).marks == []
        assert not await client.exists(store_keys.marks("gate"))
        assert not await client.exists(store_keys.marks_order("gate"))


async def test_cameras_lie_anywhere_in_the_store(any_url: str) -> None:
    async with store_at(any_url) as client:
        marks, cameras = Marks(client, most=10), [f"camera-{number}" for number in range(8)]
        for camera in cameras:
            await client.hset(store_keys.CAMERAS, camera, 1)
            await marks.put(mark(camera=camera))
        assert [marked.camera async for marked in marks.marked_frames()] == cameras
        first = await marks.page(cameras, after=None, limit=5)
        second = await marks.page(cameras, after=first.next_after, limit=5)
        assert [kept.camera for kept in first.marks + second.marks] == cameras
        assert second.next_after is None


async def test_a_place_without_a_mark_does_not_end_the_list(any_url: str) -> None:
    async with store_at(any_url) as client:
        marks = Marks(client, most=100)
        for number in range(1, 7):
            await marks.put(mark(frame=f"1-{number}"))
        await client.hdel(store_keys.marks("gate"), mark(frame="1-5").id)
        pages, after = [], None
        while not pages or after is not None:
            page = await marks.page(["gate"], after=after, limit=2)
            pages.append([kept.frame for kept in page.marks])
            after = page.next_after
        assert pages == [["1-6", "1-4"], ["1-3", "1-2"], ["1-1"]]
