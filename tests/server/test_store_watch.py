"""The metrics that are read from the store."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from secondsight import store_keys
from server import metrics
from server.store_watch import StoreWatch
from server.tasks import Tasks
from tests.server.conftest import CONFIG

LAG, DEAD, WORKERS = "secondsight_lag_frames", "secondsight_dead_letters", "secondsight_workers"


def _told(task: str) -> tuple[float | None, ...]:
    of_camera = {"camera": "gate", "task": task}
    return (
        REGISTRY.get_sample_value(LAG, of_camera),
        REGISTRY.get_sample_value(DEAD, of_camera),
        REGISTRY.get_sample_value(WORKERS, {"task": task}),
    )


@pytest.fixture
def _forgotten() -> Iterator[None]:
    yield
    metrics.forget_camera("gate")


@pytest.mark.usefixtures("_forgotten")
async def test_of_a_task_that_was_forgotten_no_series_stays(client: Redis) -> None:
    watch = StoreWatch(client, CONFIG)
    await client.hset(store_keys.CAMERAS, "gate", time.time_ns())
    for sequence in range(1, 6):
        await client.xadd(store_keys.frames("gate"), {store_keys.FRAME_FIELD: b""}, id=f"1-{sequence}")
    for task in (store_keys.DEFAULT_TASK, "plates"):
        await client.xgroup_create(store_keys.frames("gate"), task, id="0")
    await client.xadd(store_keys.dead("gate", "plates"), {"reason": "x"})
    await watch.look()
    assert _told("plates") == (5, 1, 0)
    await Tasks(client).remove("plates")
    await watch.look()
    assert _told("plates") == (None, None, None)
    assert _told(store_keys.DEFAULT_TASK) == (5, 0, 0)
