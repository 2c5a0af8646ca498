"""Cancellations: of tasks that talk to a store, and those of calls that a server cancels."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
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
