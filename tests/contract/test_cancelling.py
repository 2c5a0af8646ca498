"""Tasks that drop a cancellation end all the same."""

from __future__ import annotations

import asyncio

import pytest

from secondsight import cancelling
from secondsight.cancelling import cancel_all


async def for_ever() -> None:
    await asyncio.Event().wait()


async def drops_two_cancellations() -> None:
    for _ in range(2):
        try:
            await for_ever()
        except asyncio.CancelledError:
            continue
    await for_ever()


async def fails() -> None:
    raise ZeroDivisionError("as it goes")


async def test_all_end_however_often_they_have_to_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "_AGAIN", 0.01)
    tasks = [asyncio.create_task(work()) for work in (for_ever, drops_two_cancellations, fails)]
    await asyncio.sleep(0)
    await cancel_all(tasks)
    assert [task.cancelled() for task in tasks] == [True, True, False]
    assert isinstance(tasks[2].exception(), ZeroDivisionError)


async def test_there_may_be_none() -> None:
    await cancel_all([])
