"""History is what was published: each result once, in its minute, whoever dies or asks twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import frame_pb2
from server.frame_bus import Claimed, FrameBus, Holding, Publishing
from server.groups import KeyFrame
from server.tasks import Tasks
from server.timeline.entry import DAY_MS, HOUR_MS, Entry, Sighting
from server.timeline.history import MINUTE_MS, History
from server.timeline.records import LabelRecord, Record
from shared_models import Codec, EncodedFrame
from tests.server.conftest import CREW
from tests.server.crew import Crew, crew_on
from tests.server.harness import until

TASK = store_keys.DEFAULT_TASK
GATE = "gate"

Encoded = list[EncodedFrame]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def minutes_of(redis: Redis, camera_id: str = GATE) -> list[Record]:
    history = History(redis, camera_id, TASK)
    today = now_ms() // DAY_MS
    labels = await history.labels()
    days = await history.days(range(today - 31, today + 2))
    hours = await history.hours(days, labels)
    minutes = await history.minutes([record.start_ms // HOUR_MS for record in hours], labels)
    assert sum(record.frames for record in hours) == sum(record.frames for record in minutes)
    return minutes


async def test_workers_that_die_at_any_moment_neither_lose_nor_double_history(
    crew: Crew, encoded: Encoded
) -> None:
    cameras, numbers = ["attic", "barn"], range(1, 17)
    dice = random.Random(8)
    begun = now_ms() // MINUTE_MS * MINUTE_MS - 2 * HOUR_MS

    def captured(sequence: int) -> int:
        return begun + sequence * 15_000

    async def trouble() -> None:
        # Not for ever: where work takes longer than their lives no frame would be done with.
        for _ in range(40):
            while len(crew.running) < 2:
                crew.start()
            await asyncio.sleep(dice.uniform(0.05, 0.3))
            await crew.die(dice.choice(list(crew.running)))

    troubling = asyncio.create_task(trouble())
    try:
        async with asyncio.TaskGroup() as storing:
            for camera_id in cameras:
                storing.create_task(crew.store(camera_id, numbers, encoded, captured_ms=captured))
    finally:
        troubling.cancel()
        await asyncio.gather(troubling, return_exceptions=True)
    crew.start()
    await crew.have_results(cameras, numbers)
    for camera_id in cameras:
        minutes = await minutes_of(crew.redis, camera_id)
        assert [record.start_ms for record in minutes] == [begun + each * MINUTE_MS for each in range(5)]
        assert [record.frames for record in minutes] == [3, 4, 4, 4, 1]
        assert [record.first_frame for record in minutes] == ["1-1", "1-4", "1-8", "1-12", "1-16"]
        assert sum(record.machine_bytes for record in minutes) == sum(
            len(encoded[sequence % len(encoded)].machine) for sequence in numbers
        )
        # SquareSpotter sees one of each everywhere.
        assert all(
            record.labels
            == {"square": LabelRecord(1, record.frames), "shadow": LabelRecord(1, record.frames)}
            for record in minutes
        )


async def test_late_frames_and_clocks_that_jump_count_where_they_were_captured(
    valkey_crew: Crew, encoded: Encoded
) -> None:
    crew, now = valkey_crew, now_ms()
    yesterday = now - DAY_MS
    # A clock before its first NTP, one that is a day ahead, a spool of yesterday, then the present, then a step back.
    captured = {1: 0, 2: now + DAY_MS, 3: yesterday, 4: yesterday + 1000, 5: now, 6: now - 5 * MINUTE_MS}
    crew.start()
    await crew.store(GATE, range(1, 7), encoded, captured_ms=captured.__getitem__)
    await crew.have_results([GATE], range(1, 7))
    minutes = {record.start_ms // MINUTE_MS: record for record in await minutes_of(crew.redis)}
    assert minutes[yesterday // MINUTE_MS].first_frame == "1-3"
    assert "1-6" in minutes[(now - 5 * MINUTE_MS) // MINUTE_MS].first_frame
    # What cannot be is where it was recognised, a moment ago.
    late = [record for key, record in minutes.items() if key >= now // MINUTE_MS]
    assert sum(record.frames for record in late) == 3
    assert sum(record.frames for record in minutes.values()) == 6


async def _publish(crew: Crew, entries: list[Entry], camera_id: str = GATE) -> list[Publishing]:
    """Publish results that add these entries, as a worker does whose lease outlasts every pause."""
    bus = FrameBus(crew.redis, crew.blocking, replace(crew.config, lease=60.0))
    leases = bus.leases("tester", TASK)
    became = []
    for entry in entries:
        session, sequence = store_keys.parse_entry_id(entry.frame)
        frame = frame_pb2.Frame(machine_layer=b"layer").SerializeToString()
        await bus.append(camera_id, session, sequence, frame, KeyFrame(session, sequence, sequence))
        await leases.take([camera_id])
        claimed = await bus.claim(Holding(camera_id), leases)
        assert claimed is not None and claimed.entry_id == entry.frame
        became.append(await bus.publish(claimed, leases, b"result", entry=entry))
    return became


def _entry(sequence: int, at_ms: int, **fields: Any) -> Entry:
    return Entry(
        **{
            "frame": store_keys.entry_id(1, sequence),
            "at_ms": at_ms,
            "machine_bytes": 700,
            "enhancement_bytes": 3000,
            "until_s": 0,
            "alert": False,
            **fields,
        }
    )


LABELS = st.dictionaries(st.sampled_from(["person", "car", "Fußgänger", 'a "b"\n']), st.integers(1, 40))
FRAMES = st.lists(
    st.tuples(
        st.integers(-40_000, 200_000),  # ms from the frame before: the clock goes back, too
        st.integers(0, 2**31),
        st.integers(0, 2**31),
        st.booleans(),
        LABELS,
        st.integers(0, 2),  # how often it is published again
    ),
    min_size=1,
    max_size=12,
)


@dataclass
class _Expected:
    frames: list[Entry] = field(default_factory=list)

    def record(self, start_ms: int, span_ms: int) -> dict[str, Any]:
        most: Counter[str] = Counter()
        within: Counter[str] = Counter()
        for entry in self.frames:
            for label, count in entry.labels.items():
                most[label] = max(most[label], count)
                within[label] += 1
        first = min(self.frames, key=lambda entry: entry.at_ms)
        last = max(reversed(self.frames), key=lambda entry: entry.at_ms)
        return {
            "start_ms": start_ms,
            "span_ms": span_ms,
            "frames": len(self.frames),
            "machine_bytes": sum(entry.machine_bytes for entry in self.frames),
            "enhancement_bytes": sum(entry.enhancement_bytes for entry in self.frames),
            "alerts": sum(entry.alert for entry in self.frames),
            "until_s": max(entry.until_s for entry in self.frames),
            "first_ms": first.at_ms,
            "first_frame": first.frame,
            "last_ms": last.at_ms,
            "last_frame": last.frame,
            "labels": {label: LabelRecord(most[label], within[label]) for label in most},
        }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=FRAMES)
def test_history_equals_what_was_published(frames: Any, store_url: str, codec: Codec) -> None:
    begun = now_ms() - 3 * DAY_MS
    entries = []
    for sequence, (step, machine, enhancement, alert, labels, _) in enumerate(frames, 1):
        begun += step
        entries.append(
            _entry(
                sequence,
                begun,
                machine_bytes=machine,
                enhancement_bytes=enhancement,
                alert=alert,
                labels=labels,
                until_s=begun // 1000 + 60,
            )
        )

    async def run() -> tuple[list[Record], list[Record]]:
        async with crew_on(store_url, codec, replace(CREW, lease=60.0)) as crew:
            await crew.redis.flushall()
            for entry, (*_, again) in zip(entries, frames, strict=True):
                assert await _publish(crew, [entry]) == [Publishing.PUBLISHED]
                claimed = Claimed(GATE, entry.frame, b"")
                for _ in range(again):
                    leases = crew.bus.leases("tester", TASK)
                    assert await crew.bus.publish(claimed, leases, b"", entry=entry) is Publishing.REPEATED
                other = crew.bus.leases("other", TASK)
                assert await crew.bus.publish(claimed, other, b"", entry=entry) is Publishing.LOST
            history = History(crew.redis, GATE, TASK)
            labels = await history.labels()
            days = sorted({entry.day for entry in entries})
            hours = await history.hours(days, labels)
            return hours, await history.minutes([each.start_ms // HOUR_MS for each in hours], labels)

    hours, minutes = asyncio.run(run())
    for found, span_ms in ((hours, HOUR_MS), (minutes, MINUTE_MS)):
        expected: defaultdict[int, _Expected] = defaultdict(_Expected)
        for entry in entries:
            expected[entry.at_ms // span_ms].frames.append(entry)
        told = [
            {name: getattr(record, name) for name in _Expected.record(next(iter(expected.values())), 0, 0)}
            for record in found
        ]
        assert told == [expected[place].record(place * span_ms, span_ms) for place in sorted(expected)]


def _seen(label: str, *, track: str = "", score: int = 800, alert: bool = False, **fields: Any) -> Sighting:
    return Sighting(track=track, label=label, score=score, count=1, zones=(), alert=alert, **fields)


async def _things(crew: Crew, *, alerts: bool) -> list[Any]:
    history = History(crew.redis, GATE, TASK)
    named = await history.names_of_things(
        alerts=alerts, from_ms=0, to_ms=2 * now_ms(), behind=None, oldest_first=False, most=100
    )
    return await history.things([name for _, name in named], await history.labels())


async def test_things_are_told_from_their_first_to_their_last_frame(crew: Crew) -> None:
    begun = now_ms() - HOUR_MS
    steps: list[tuple[int, list[Sighting]]] = [
        (0, [_seen("person", track="1-1-0", score=600)]),
        (100, [_seen("person", track="1-1-0", score=900), _seen("dog")]),
        (200, [_seen("person", track="1-1-0", score=700, alert=True), _seen("dog", score=850)]),
        (300, [_seen("person", track="1-1-0", score=950)]),
        (20_000, [_seen("dog")]),
    ]
    entries = [
        _entry(sequence, begun + at, sightings=tuple(seen), labels={each.label: 1 for each in seen})
        for sequence, (at, seen) in enumerate(steps, 1)
    ]
    assert set(await _publish(crew, entries)) == {Publishing.PUBLISHED}
    (person,) = await _things(crew, alerts=True)
    # An alert is shown by the frame in which it was one, though another shows it better.
    assert (person.label, person.best_frame, person.best_score, person.frames) == ("person", "1-3", 0.7, 4)
    assert (person.first_ms, person.last_ms) == (begun, begun + 300)
    later, earlier = await _things(crew, alerts=False)
    assert (earlier.label, earlier.best_frame, earlier.frames, earlier.is_track) == ("dog", "1-3", 2, False)
    assert (later.first_ms, later.frames) == (begun + 20_000, 1)


async def test_old_history_goes_by_itself_and_things_are_bounded(store_url: str, codec: Codec) -> None:
    config = replace(CREW, things_kept=3, history_days=2)
    now = now_ms()
    async with crew_on(store_url, codec, config) as crew:
        old = now - 3 * DAY_MS
        entries = [
            _entry(
                sequence,
                old if sequence <= 4 else now - (40 - sequence) * 1000,
                sightings=(_seen("person", track=f"1-{sequence}-0", alert=sequence % 2 == 0),),
                labels={"person": 1},
            )
            for sequence in range(1, 21)
        ]
        await _publish(crew, entries)
        for alerts, newest in (
            (True, ["1-20-0", "1-18-0", "1-16-0"]),
            (False, ["1-19-0", "1-17-0", "1-15-0"]),
        ):
            assert [thing.name for thing in await _things(crew, alerts=alerts)] == newest
        assert await crew.redis.hlen(store_keys.things(GATE, TASK)) == 6
        # The last frame was captured 20 s ago: in the hour before, maybe.
        hour = (now - 20_000) // HOUR_MS
        goes_at = await crew.redis.expiretime(store_keys.minutes(GATE, TASK, hour))
        assert goes_at == (hour + 1) * 3600 + 2 * 86400
        # What is older than the history at once has no time to live left.
        assert not await crew.redis.exists(store_keys.minutes(GATE, TASK, old // HOUR_MS))
        assert await crew.redis.ttl(store_keys.things(GATE, TASK)) > 86400


async def test_recognition_goes_on_whatever_lies_where_the_history_should_be(crew: Crew) -> None:
    now = now_ms()
    first = _entry(1, now, labels={"person": 1}, sightings=(_seen("person"),))
    await crew.redis.set(store_keys.labels(GATE, TASK), "no hash")
    assert await _publish(crew, [first]) == [Publishing.PUBLISHED]
    await crew.redis.delete(store_keys.labels(GATE, TASK))
    minutes = store_keys.minutes(GATE, TASK, now // HOUR_MS)
    await crew.redis.hset(minutes, str(now // MINUTE_MS % 60), "no record")
    assert await _publish(crew, [replace(first, frame="1-2")]) == [Publishing.PUBLISHED]
    (record,) = await minutes_of(crew.redis)
    assert record.frames == 1


async def test_no_history_where_none_is_wanted(store_url: str, codec: Codec, encoded: Encoded) -> None:
    async with crew_on(store_url, codec, replace(CREW, history_days=0)) as crew:
        crew.start()
        await crew.store(GATE, range(1, 3), encoded)
        await crew.have_results([GATE], range(1, 3))

        async def idle() -> bool:
            return await crew.bus.backlog(GATE) == 0

        await until(idle)
        assert [key async for key in crew.redis.scan_iter("{gate}:*minutes*")] == []


async def test_a_task_that_is_removed_leaves_no_history(crew: Crew, encoded: Encoded) -> None:
    crew.start(task="plates")
    crew.start()
    await crew.store(GATE, range(1, 4), encoded)
    await crew.have_results([GATE], range(1, 4))
    plates = History(crew.redis, GATE, "plates")

    async def told() -> bool:
        return len(await plates.labels()) == 2

    await until(told)
    for worker in list(crew.running):
        await crew.leave(worker)
    assert await Tasks(crew.redis).remove("plates") == 1
    assert [key async for key in crew.redis.scan_iter("*plates*")] == []
    assert sum(record.frames for record in await minutes_of(crew.redis)) == 3
