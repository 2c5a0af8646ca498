"""Tasks side by side and their end: cancellations, also those of calls that a server cancels."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_AGAIN: Final = 1.0


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended; their outcomes may be looked at or not.

    Once is not enough: `asyncio.wait_for` of Python 3.11, through which redis-py sends, drops a cancellation that
    arrives in the moment in which it is done (python/cpython#86296), and a task that goes on for ever would.
    """
    given = list(tasks)
    pending = {task for task in given if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN)
    for task in given:
        if not task.cancelled():
            task.exception()  # or asyncio would complain that nobody did


async def first_of(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, raise what it raised, and leave none behind.

    Not a TaskGroup, which cancels once: see `cancel_all`.
    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await asyncio.shield(cancel_all(tasks))
    try:
        for task in tasks:
            if task in done:
                task.result()
    finally:
        # An error keeps this frame, and with it the task that keeps the error: a circle, in which a call and its socket
        # would last until the garbage collector comes.
        del tasks, done, task


@contextmanager
def cancelled_by_server(told: Exception) -> Iterator[None]:
    """Raise `told` for a cancellation within that is not the task's own.

    grpcio raises CancelledError also when the server has cancelled the call; that must not end the task.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise told from error
