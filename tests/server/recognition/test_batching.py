"""Pictures share a call of the recogniser exactly when it was busy as they came."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from server.errors import InvalidRecogniserError
from server.recognition import BaseRecogniser, Detection, Seen
from server.recognition.batching import Batching

PATIENCE = 30.0


class Counting(BaseRecogniser):
    """Sees the level of each picture; can be held; cannot bear a picture of level 13."""

    name = "counting"
    labels = ("level",)
    most_at_once = 3

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.busy = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def recognise(self, images: Sequence[np.ndarray]) -> list[Seen]:
        levels = [int(image[0, 0, 0]) for image in images]
        self.calls.append(levels)
        self.busy.set()
        assert self.free.wait(PATIENCE)
        if 13 in levels:
            raise ZeroDivisionError("thirteen")
        return [Seen((Detection("level", level / 255, 0, 0, 1, 1),)) for level in levels]


@pytest.fixture
def recogniser() -> Counting:
    return Counting()


@pytest_asyncio.fixture
async def batching(recogniser: Counting) -> AsyncIterator[Batching]:
    batching = Batching(recogniser)
    yield batching
    recogniser.free.set()
    batching.close(wait=True)


async def level(batching: Batching, level: int) -> int:
    (found,) = (await batching.see(np.full((4, 4, 3), level, np.uint8))).detections
    return round(found.score * 255)


async def held_by_one(recogniser: Counting, batching: Batching) -> asyncio.Task[int]:
    """A call is under way, and does not end."""
    recogniser.free.clear()
    task = asyncio.create_task(level(batching, 1))
    assert await asyncio.to_thread(recogniser.busy.wait, PATIENCE)
    return task


async def test_a_picture_that_finds_the_recogniser_idle_does_not_wait_for_others(
    recogniser: Counting, batching: Batching
) -> None:
    assert [await level(batching, n) for n in (1, 2)] == [1, 2]
    assert recogniser.calls == [[1], [2]]


async def test_what_came_meanwhile_shares_calls_and_each_gets_its_own(
    recogniser: Counting, batching: Batching
) -> None:
    first = await held_by_one(recogniser, batching)
    others = [asyncio.create_task(level(batching, n)) for n in (2, 3, 4, 5)]
    await asyncio.sleep(0)
    recogniser.free.set()
    assert await asyncio.gather(first, *others) == [1, 2, 3, 4, 5]
    assert recogniser.calls == [[1], [2, 3, 4], [5]]


async def test_a_picture_that_cannot_be_borne_costs_the_others_nothing(
    recogniser: Counting, batching: Batching
) -> None:
    first = await held_by_one(recogniser, batching)
    others = [asyncio.create_task(level(batching, n)) for n in (2, 13, 4)]
    await asyncio.sleep(0)
    recogniser.free.set()
    outcomes = await asyncio.gather(first, *others, return_exceptions=True)
    assert [outcomes[0], outcomes[1], outcomes[3]] == [1, 2, 4]
    assert str(outcomes[2]) == "thirteen"
    assert recogniser.calls == [[1], [2, 13, 4], [2], [13], [4]]


async def test_who_has_gone_is_not_looked_for(recogniser: Counting, batching: Batching) -> None:
    first = await held_by_one(recogniser, batching)
    gone, stays = (asyncio.create_task(level(batching, n)) for n in (2, 3))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    recogniser.free.set()
    assert await asyncio.gather(first, stays) == [1, 3]
    assert recogniser.calls == [[1], [3]]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([], "counting gave 0 results for 1 pictures"),
        (None, "counting gave nothing for 1 pictures"),
        ([None], "counting gave nothing for a picture"),
    ],
)
async def test_an_answer_that_is_none_is_an_error(
    recogniser: Counting, batching: Batching, answer: Any, told: str
) -> None:
    recogniser.recognise = lambda images: answer  # type: ignore[method-assign]
    with pytest.raises(InvalidRecogniserError, match=told):
        await level(batching, 1)
