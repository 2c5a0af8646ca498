"""Tasks that drop a cancellation end all the same."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress

import pytest

from secondsight import cancelling
from secondsight.cancelling import cancel_all, first_of


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


async def test_what_one_of_several_raises_ends_the_others() -> None:
    ended = asyncio.Event()

    async def other() -> None:
        try:
            await for_ever()
        finally:
            ended.set()

    with pytest.raises(ZeroDivisionError, match="as it goes"):
        await first_of(other(), fails())
    assert ended.is_set()


async def test_one_of_several_that_ends_in_order_ends_the_others() -> None:
    await first_of(for_ever(), asyncio.sleep(0))


async def test_nothing_of_what_has_failed_waits_for_the_garbage_collector() -> None:
    class Call:
        pass

    async def fails_with(_call: Call) -> None:
        raise ZeroDivisionError("as it goes")

    call = Call()
    left = weakref.ref(call)
    gc.disable()
    try:
        with suppress(ZeroDivisionError):
            await first_of(for_ever(), fails_with(call))
        del call
        await asyncio.sleep(0)
        assert left() is None
    finally:
        gc.enable()
