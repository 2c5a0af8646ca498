"""Several workers: the cameras are shared out, and every frame has one result, in order, whoever dies."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from secondsight import store_keys
from server.errors import StoreUnavailableError, WorkerStuckError
from server.frame_bus import Claimed, FrameBus, Holding, LeaseLostError, Publishing
from server.layers import Layers
from server.leases import Leases
from server.tasks import TaskInUseError, Tasks
from server.tasks_command import app as tasks_app
from shared_models import Codec, EncodedFrame
from tests.server.conftest import CREW
from tests.server.crew import Crew, crew_on
from tests.server.harness import SquareSpotter, results_in, until

TASK = store_keys.DEFAULT_TASK
MANY = 10_000
"""Tries of a frame: how many workers die with one depends on how long it takes."""

Encoded = list[EncodedFrame]


async def test_frames_have_one_result_each_and_in_order_though_workers_die_at_any_moment(
    crew: Crew, encoded: Encoded
) -> None:
    cameras = ["attic", "barn", "cellar"]
    dice = random.Random(6)

    stored = asyncio.Event()

    async def trouble() -> None:
        while not stored.is_set():
            while len(crew.running) < 3:
                crew.start(tries=MANY)
            await asyncio.sleep(dice.uniform(0.1, 0.4))
            victim = dice.choice(list(crew.running))
            await (crew.die if dice.random() < 0.7 else crew.leave)(victim)

    numbers = range(1, 13)
    troubling = asyncio.create_task(trouble())
    try:
        async with asyncio.TaskGroup() as storing:
            for camera_id in cameras:
                storing.create_task(crew.store(camera_id, numbers, encoded))
    finally:
        # Not cancelled: who is about to die would go on, or not, when the test is over.
        stored.set()
        await troubling
    crew.start(tries=MANY)
    await crew.have_results(cameras, numbers)


async def test_cameras_are_shared_out_and_go_to_others_at_once_when_a_worker_leaves(
    valkey_crew: Crew, encoded: Encoded
) -> None:
    crew = valkey_crew
    cameras = [f"camera-{number}" for number in range(5)]
    for camera_id in cameras:
        await crew.store(camera_id, range(1, 2), encoded)
    # A lease that outlasts the test: only who gives it back lets others have the camera.
    first, second = (crew.start(lease=600.0) for _ in range(2))

    async def shared() -> bool:
        return sorted(len(worker.cameras) for worker in crew.running) == [2, 3]

    await until(shared)
    assert sorted(first.cameras + second.cameras) == cameras
    await crew.leave(first)

    async def taken_over() -> bool:
        return second.cameras == cameras

    await until(taken_over)
    third = crew.start(lease=600.0)
    await until(shared)
    # Which of the two has the odd one depends on who looks first.
    assert sorted(second.cameras + third.cameras) == cameras
    await crew.have_results(cameras, range(1, 2))


def _leases(crew: Crew, worker: str) -> Leases:
    """Of a worker that is played here: they last until `_lease_ends`, however slow the machine is."""
    return FrameBus(crew.redis, crew.blocking, replace(crew.config, lease=600.0)).leases(worker, TASK)


async def _lease_ends(crew: Crew) -> None:
    """As by itself, of a worker that is not heard of."""
    await crew.redis.hset(store_keys.worker("gate", TASK), "until", 0)


async def _claimed(crew: Crew, worker: str, holding: Holding) -> Claimed:
    leases = _leases(crew, worker)
    for _ in range(5):
        claimed = await crew.bus.claim(holding, leases)
        if claimed is not None:
            return claimed
    raise AssertionError("nothing to claim")


async def _takes(crew: Crew, worker: str) -> Holding:
    assert await _leases(crew, worker).take(["gate"]) == ["gate"]
    return Holding("gate")


async def test_a_worker_that_was_paused_for_longer_than_its_lease_does_no_harm(
    crew: Crew, encoded: Encoded
) -> None:
    await crew.store("gate", range(1, 4), encoded)
    paused = await _takes(crew, "paused")
    stale = await _claimed(crew, "paused", paused)
    assert (stale.entry_id, stale.tries) == ("1-1", 1)
    assert await _leases(crew, "other").take(["gate"]) == []
    await _lease_ends(crew)
    other = await _takes(crew, "other")
    again = await _claimed(crew, "other", other)
    assert (again.entry_id, again.tries) == ("1-1", 2)
    leases = {name: _leases(crew, name) for name in ("paused", "other")}
    assert await crew.bus.publish(stale, leases["paused"], b"stale") is Publishing.LOST
    # It waits for frames without a look at its lease, and is handed the next one.
    paused.may_wait = True
    assert (await _claimed(crew, "paused", paused)).entry_id == "1-2"
    assert await crew.bus.publish(again, leases["other"], b"") is Publishing.PUBLISHED
    assert await crew.bus.publish(again, leases["other"], b"") is Publishing.REPEATED
    other.may_wait = True
    third = await _claimed(crew, "other", other)
    assert third.entry_id == "1-3"
    assert await crew.bus.publish(third, leases["other"], b"") is Publishing.NOT_ITS_TURN
    other.may_wait = False
    for entry_id in ("1-2", "1-3"):
        claimed = await _claimed(crew, "other", other)
        assert claimed.entry_id == entry_id
        assert await crew.bus.publish(claimed, leases["other"], b"") is Publishing.PUBLISHED
    paused.may_wait = False
    with pytest.raises(LeaseLostError):
        await crew.bus.claim(paused, leases["paused"])
    assert list(await results_in(crew.redis, "gate")) == ["1-1", "1-2", "1-3"]


async def test_a_frame_that_ends_worker_after_worker_is_given_up_and_the_camera_goes_on(
    valkey_crew: Crew, encoded: Encoded
) -> None:
    crew = valkey_crew
    await crew.store("gate", range(1, 4), encoded)
    for victim in range(3):
        await _claimed(crew, f"victim-{victim}", await _takes(crew, f"victim-{victim}"))
        await _lease_ends(crew)
    crew.start(tries=3)

    async def all_have_results() -> bool:
        return len(await results_in(crew.redis, "gate")) == 3

    await until(all_have_results)
    first, *others = (await results_in(crew.redis, "gate")).values()
    assert first.failure.startswith("given up: 3 workers")
    assert not any(result.failure for result in others)
    ((entry_id, fields),) = await crew.redis.xrange(store_keys.dead("gate", TASK))
    assert entry_id == b"1-1"
    assert fields[b"reason"].decode() == first.failure
    assert encoded[1].machine in fields[b"frame"]


async def test_every_task_sees_every_frame(valkey_crew: Crew, encoded: Encoded) -> None:
    crew = valkey_crew
    crew.start()
    crew.start(task="count")
    await crew.store("gate", range(1, 13), encoded)
    await crew.have_results(["gate"], range(1, 13))
    counted = store_keys.results("gate", "count")

    async def all_counted() -> bool:
        return await crew.redis.xlen(counted) == 12

    await until(all_counted)
    assert [entry_id.decode() for entry_id, _ in await crew.redis.xrange(counted)] == [
        f"1-{n}" for n in range(1, 13)
    ]


async def test_frames_await_a_slow_task_up_to_their_bound_and_then_pass_it_over(
    any_url: str, codec: Codec, encoded: Encoded
) -> None:
    config = replace(CREW, frames_kept=10, frames_most=14)
    async with crew_on(any_url, codec, config) as crew:
        await crew.store("gate", range(1, 3), encoded)
        slow = crew.start(task="slow")

        async def seen() -> bool:
            return await crew.redis.xlen(store_keys.results("gate", "slow")) == 2

        await until(seen)
        await crew.leave(slow)
        crew.start()
        await crew.store("gate", range(3, 17), encoded)
        frames = store_keys.frames("gate")
        assert await crew.redis.xlen(frames) == 14
        assert await crew.bus.lag("gate", "slow") == 14
        await crew.store("gate", range(17, 20), encoded)
        assert await crew.redis.xlen(frames) == 14
        assert await crew.bus.lag("gate", "slow") == 14
        slow = crew.start(task="slow")

        async def caught_up() -> bool:
            return await crew.bus.lag("gate", "slow") == 0

        await until(caught_up)
        seen_by_slow = [
            entry_id.decode() for entry_id, _ in await crew.redis.xrange(store_keys.results("gate", "slow"))
        ]
        assert seen_by_slow == [f"1-{number}" for number in (1, 2, *range(6, 20))]
        await crew.have_results(["gate"], range(1, 20))
        await crew.store("gate", range(20, 21), encoded)
        await until(caught_up)
        await crew.store("gate", range(21, 22), encoded)
        assert await crew.redis.xlen(frames) <= 11


async def test_a_worker_that_leaves_finishes_the_frame_in_hand(valkey_crew: Crew, encoded: Encoded) -> None:
    spotter = SquareSpotter()
    spotter.released.clear()
    crew = valkey_crew
    worker = crew.start(spotter, lease=600.0)
    await crew.store("gate", range(1, 4), encoded)

    async def at_work() -> bool:
        return bool((await crew.redis.xpending(store_keys.frames("gate"), TASK))["pending"])

    await until(at_work)
    leaving = asyncio.create_task(crew.leave(worker))
    await asyncio.sleep(0.1)
    assert not leaving.done()
    spotter.released.set()
    await leaving
    assert list(await results_in(crew.redis, "gate")) == ["1-1"]
    assert not await crew.redis.exists(store_keys.worker("gate", TASK))
    assert await crew.redis.zcard(store_keys.workers(TASK)) == 0


async def test_a_worker_that_does_not_come_to_an_end_with_a_frame_ends_and_another_has_the_frame(
    valkey_crew: Crew, encoded: Encoded
) -> None:
    crew, spotter = valkey_crew, SquareSpotter()
    spotter.released.clear()
    stuck = crew.start(spotter, recognise_within=0.2)
    await crew.store("gate", range(1, 3), encoded)
    with pytest.raises(WorkerStuckError, match="frame 1-1 of camera gate"):
        await crew.running.pop(stuck)
    crew.start()
    await crew.have_results(["gate"], range(1, 3))
    spotter.released.set()
    stuck.close()


async def test_a_frame_whose_key_frame_the_store_does_not_give_waits_and_is_given_up_by_nobody(
    valkey_crew: Crew, encoded: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew, tries = valkey_crew, 2
    looks, is_away, view = 0, True, Layers.machine_view

    async def maybe_view(layers: Layers, *args: Any, **settings: Any) -> Any:
        nonlocal looks
        looks += 1
        if is_away:
            raise StoreUnavailableError
        return await view(layers, *args, **settings)

    monkeypatch.setattr(Layers, "machine_view", maybe_view)
    worker = crew.start(tries=tries)
    await crew.store("gate", range(1, 2), encoded)

    async def is_decided() -> bool:
        return looks > 2 * tries or bool(await results_in(crew.redis, "gate"))

    await until(is_decided)
    (pending,) = await crew.redis.xpending_range(store_keys.frames("gate"), TASK, "-", "+", 10)
    assert pending["times_delivered"] == 1
    # It does not keep its worker from leaving.
    await crew.leave(worker)
    is_away = False
    crew.start(tries=tries)
    await crew.have_results(["gate"], range(1, 2))


async def test_a_task_that_nobody_runs_is_listed_and_can_be_forgotten(
    valkey_crew: Crew, store_url: str, encoded: Encoded
) -> None:
    crew = valkey_crew
    crew.start()
    idle = crew.start(task="idle")
    await crew.store("gate", range(1, 3), encoded)
    results = store_keys.results("gate", "idle")

    async def seen() -> bool:
        return await crew.redis.xlen(results) == 2

    await until(seen)
    tasks = Tasks(crew.redis)
    with pytest.raises(TaskInUseError, match="has workers"):
        await tasks.remove("idle")
    await crew.leave(idle)
    await crew.store("gate", range(3, 7), encoded)
    await crew.have_results(["gate"], range(1, 7))
    shown = await asyncio.to_thread(CliRunner().invoke, tasks_app, ["list", "--store", store_url])
    assert shown.exit_code == 0
    assert ["idle", "0", "1", "4", "0"] in [
        line.replace("│", " ").split() for line in shown.stdout.splitlines()
    ]
    removed = await asyncio.to_thread(CliRunner().invoke, tasks_app, ["remove", "idle", "--store", store_url])
    assert removed.exit_code == 0, removed.output
    assert [task.name for task in await tasks.all()] == [TASK]
    assert not await crew.redis.exists(results)
    assert await crew.redis.hkeys(store_keys.RECOGNISERS) == [TASK.encode()]
    again = await asyncio.to_thread(CliRunner().invoke, tasks_app, ["remove", "idle", "--store", store_url])
    assert (again.exit_code, "no camera has frames for a task idle" in again.output) == (2, True)
    with pytest.raises(TaskInUseError, match="default"):
        await tasks.remove(TASK)


@pytest.mark.parametrize("name", ["*", "?lates", "[a-z]*"])
async def test_a_name_that_is_a_pattern_has_no_task_forgotten(
    store_url: str, client: Redis, name: str
) -> None:
    labels = store_keys.labels("gate", "plates")
    await client.hset(labels, "person", 1)
    refused = await asyncio.to_thread(CliRunner().invoke, tasks_app, ["remove", name, "--store", store_url])
    assert (refused.exit_code, "is no name of a task" in refused.output) == (2, True)
    assert await client.exists(labels)
