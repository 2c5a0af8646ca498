"""The timeline and the things of a camera by REST, over what a real server published and over what it no longer has."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from secondsight import store_keys
from server.process import Server
from server.timeline.records import LabelRecord, Record
from server.timeline.timeline import SIZES_S, bucket_size, gaps_in, usual_interval_ms
from shared_models import Codec, EncodedFrame
from tests.server.conftest import StartServer
from tests.server.harness import SquareSpotter, edge_stream, keep_enhancement, recognised

DOOR = "/v1/cameras/front-door"
Encoded = list[EncodedFrame]


@dataclass
class Door:
    """A server with frames of the camera `front-door`."""

    server: Server
    http: httpx.AsyncClient

    async def timeline(self, **query: Any) -> dict[str, Any]:
        answer = await self.http.get(f"{DOOR}/timeline", params=query)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def things(self, **query: Any) -> dict[str, Any]:
        answer = await self.http.get(f"{DOOR}/things", params=query)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told


def rfc(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@asynccontextmanager
async def door(
    start_server: StartServer,
    codec: Codec,
    encoded: Encoded,
    client: Redis,
    captured_s: list[float],
    **settings: Any,
) -> AsyncIterator[Door]:
    """A server with recognised frames 1-1, 1-2, … that were captured then; their enhancement layers are stored."""
    async with start_server(SquareSpotter(), **settings) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        for sequence, at_s in enumerate(captured_s, 1):
            layers = encoded[(sequence - 1) % len(encoded)]
            whole_s, ms = divmod(round(1000 * at_s), 1000)
            frame = await edge.send(
                sequence,
                layers,
                # No nanoseconds would leave those that the harness has set.
                captured_at={"seconds": whole_s, "nanos": ms * 10**6 or 1},
                enhancement={"expires_at": {"seconds": int(time.time()) + 600}},
            )
            await keep_enhancement(client, frame, layers)
        await recognised(client, len(captured_s))
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield Door(server, http)


async def test_seconds_while_results_are_kept_and_minutes_afterwards(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    minute = (int(time.time()) - 300) // 60 * 60
    captured = [minute + at + 0.5 for at in (1, 2, 3, 4, 20, 61)]
    async with door(start_server, codec, encoded, client, captured) as at_door:
        span = {"from": rfc(minute), "to": rfc(minute + 120), "buckets": 120}
        told = await at_door.timeline(**span)
        assert (told["bucket_s"], told["interval_s"]) == (1, 1.0)
        starts = [seconds(bucket["start"]) for bucket in told["buckets"]]
        assert starts == [at - 0.5 for at in captured]
        first = told["buckets"][0]
        assert (first["frames"], first["first_frame"], first["viewable"]) == (1, "1-1", "human")
        assert first["labels"] == first["label_frames"] == {"square": 1, "shadow": 1}
        assert first["machine_bytes"] == len(encoded[0].machine)
        assert first["enhancement_bytes"] == len(encoded[0].enhancement)
        gaps = [(seconds(gap["from"]) - minute, seconds(gap["to"]) - minute) for gap in told["gaps"]]
        assert gaps == [(4.5, 20.5), (20.5, 61.5), (61.5, 120)]

        # Once results of a minute are gone it is told as a whole, and the next one still by the second.
        await client.xtrim(store_keys.results("front-door"), minid="1-3", approximate=False)
        coarse, fine = (await at_door.timeline(**span))["buckets"]
        assert (coarse["seconds"], coarse["frames"]) == (60, 5)
        assert (fine["seconds"], fine["frames"], seconds(fine["start"])) == (1, 1, minute + 61)
        assert (await at_door.timeline(**span))["gaps"] == told["gaps"]


async def test_history_outlives_pictures(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    now = time.time()
    # Two in one bucket of five minutes, whatever the time is.
    earlier = (now - 90 * 60) // 300 * 300
    captured = [now - 26 * 3600, earlier, earlier + 1, now - 2]
    async with door(start_server, codec, encoded, client, captured) as at_door:
        kept = await at_door.http.post(f"{DOOR}/frames/1-2/keep", params={"reason": "evidence"})
        assert kept.status_code == 200, kept.text
        await client.xtrim(store_keys.frames("front-door"), minid="1-4", approximate=False)
        told = await at_door.timeline(**{"from": rfc(now - 2 * 86400), "buckets": 600})
        assert [bucket["viewable"] for bucket in told["buckets"]] == ["none", "human", "human"]
        assert [bucket["frames"] for bucket in told["buckets"]] == [1, 2, 1]
        assert seconds(told["oldest"]) == pytest.approx(captured[0], abs=0.01)
        assert seconds(told["newest"]) == pytest.approx(captured[-1], abs=0.01)
        await client.expire(store_keys.kept("front-door", 1, 2), 0)
        # Hours and days are the same frames.
        for buckets in (49, 3):
            coarse = await at_door.timeline(**{"from": rfc(now - 2 * 86400), "buckets": buckets})
            assert coarse["bucket_s"] == {49: 3600, 3: 86400}[buckets]
            assert sum(bucket["frames"] for bucket in coarse["buckets"]) == 4
            assert sum(bucket["machine_bytes"] for bucket in coarse["buckets"]) == sum(
                bucket["machine_bytes"] for bucket in told["buckets"]
            )


async def test_things_page_by_page_both_ways(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    now = time.time()
    # SquareSpotter sees a square and a shadow in every frame; a minute apart they are new ones.
    captured = [now - 600 + 60 * number for number in range(5)]
    settings = {"alert_labels": ("square",), "alert_score": 0.8}
    async with door(start_server, codec, encoded, client, captured, **settings) as at_door:
        everything = (await at_door.things(limit=100))["things"]
        assert [thing["best_frame"] for thing in everything[::2]] == ["1-5", "1-4", "1-3", "1-2", "1-1"]
        assert {thing["label"]: thing["alert"] for thing in everything} == {"square": True, "shadow": False}
        for order, expected in (("newest", everything), ("oldest", everything[::-1])):
            pages, address = [], f"{DOOR}/things?limit=3&order={order}"
            while address:
                page = (await at_door.http.get(address)).json()
                pages.append(page["things"])
                address = page["next"]
            assert [len(page) for page in pages] == [3, 3, 3, 1]
            assert [thing for page in pages for thing in page] == expected
        alerts = (await at_door.things(alert=True))["things"]
        assert [thing["label"] for thing in alerts] == ["square"] * 5
        assert (await at_door.things(label="shadow", alert=True))["things"] == []
        some = await at_door.things(**{"from": rfc(now - 500), "to": rfc(now - 450), "label": "shadow"})
        assert [thing["best_frame"] for thing in some["things"]] == ["1-3"]
        assert (await at_door.things(zone="drive"))["things"] == []
        one = alerts[0]
        assert one["track"] is None and one["viewable"] and one["zones"] == []
        for link in one["links"].values():
            assert (await at_door.http.get(link)).status_code == 200


async def test_a_page_ends_where_too_many_are_left_out(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    now = time.time()
    captured = [now - 600 + 60 * number for number in range(4)]
    async with door(start_server, codec, encoded, client, captured, things_read=3) as at_door:
        found, address, pages = [], f"{DOOR}/things?label=square", 0
        while address:
            page = (await at_door.http.get(address)).json()
            found += page["things"]
            address, pages = page["next"], pages + 1
        assert [thing["best_frame"] for thing in found] == ["1-4", "1-3", "1-2", "1-1"]
        assert pages == 3


async def test_without_a_history_there_are_no_things(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    now = time.time()
    async with door(start_server, codec, encoded, client, [now], history_days=0) as at_door:
        for query in ({}, {"from": rfc(now - 60)}, {"to": rfc(now + 60)}):
            assert await at_door.things(**query) == {"things": [], "next": None}


async def test_what_cannot_be_asked(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with door(start_server, codec, encoded, client, [time.time()]) as at_door:
        for address, status, slug in (
            ("/v1/cameras/nowhere/timeline", 404, "unknown-camera"),
            ("/v1/cameras/nowhere/things", 404, "unknown-camera"),
            (f"{DOOR}/timeline?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "invalid-range"),
            (f"{DOOR}/timeline?from=yesterday", 422, "invalid-request"),
            (f"{DOOR}/things?cursor=nonsense", 422, "invalid-cursor"),
        ):
            refused = await at_door.http.get(address)
            assert (refused.status_code, refused.json()["type"]) == (status, f"/problems/{slug}")
        # As much as there is, of whatever is asked for.
        whole = await at_door.timeline(**{"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T00:00:00Z"})
        assert sum(bucket["frames"] for bucket in whole["buckets"]) == 1
        other = await at_door.timeline(task="plates")
        assert (other["buckets"], other["gaps"], other["oldest"]) == ([], [], None)


@given(span_ms=st.integers(1, 40 * 86_400_000), most=st.integers(1, 600))
def test_buckets_are_the_least_that_are_few_enough(span_ms: int, most: int) -> None:
    size = bucket_size(span_ms, most)
    assert size in SIZES_S and 86400 % size == 0
    assert span_ms <= 1000 * size * most or size == SIZES_S[-1]
    by_hours = span_ms > 7 * 86_400_000
    smaller = [each for each in SIZES_S if each < size and (each >= 3600 or not by_hours)]
    assert not smaller or span_ms > 1000 * smaller[-1] * most


def _records(times_ms: list[int], span_ms: int) -> list[Record]:
    """Records of frames at these times, as the store adds them up."""
    records = []
    for start in sorted({at // span_ms * span_ms for at in times_ms}):
        within = sorted(at for at in times_ms if at // span_ms * span_ms == start)
        pauses = [(later - earlier, earlier, later) for earlier, later in pairwise(within)]
        _, *pause = max(pauses, default=(0, start, start))
        records.append(
            Record(
                start,
                span_ms,
                len(within),
                0,
                0,
                0,
                0,
                within[0],
                "1-1",
                within[-1],
                "1-1",
                (pause[0], pause[1]),
                {"person": LabelRecord(1, 1)},
            )
        )
    return records


@given(
    times=st.lists(st.integers(0, 600_000), min_size=1, max_size=40, unique=True),
    threshold=st.integers(1000, 60_000),
)
def test_gaps_are_where_nothing_was_captured_for_longer(times: list[int], threshold: int) -> None:
    times.sort()
    gaps = gaps_in(_records(times, 60_000), 0, 600_000, threshold)
    edges = [0, *times, 600_000]
    expected = [(earlier, later) for earlier, later in pairwise(edges) if later - earlier > threshold]
    found = [(gap.from_ms, gap.to_ms) for gap in gaps]
    # Of a minute with several, the longest is known.
    assert set(found) <= set(expected)
    assert all(earlier // 60_000 == later // 60_000 for earlier, later in set(expected) - set(found))
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("times", "interval"),
    [([0], None), ([0, 500], 500), ([0, 100, 200, 300, 9000], 100), ([0, 60_000, 120_000], 60_000)],
)
def test_the_usual_interval(times: list[int], interval: float | None) -> None:
    assert usual_interval_ms(_records(times, 60_000)) == interval
