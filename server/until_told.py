"""Run what serves until the process is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from typing import Protocol, TypeVar

from secondsight import systemd
from server.errors import WorkerStuckError

_log = logging.getLogger(__name__)


class Serving(Protocol):
    """Serves between `start` and `stop`."""

    async def start(self) -> None: ...
    async def failed(self) -> None: ...
    async def stop(self) -> None: ...


_Serves = TypeVar("_Serves", bound=Serving)


async def serve_until_told(serving: _Serves, announce: Callable[[_Serves], None]) -> None:
    """Serve until SIGTERM or SIGINT. `announce` is called once requests are taken.

    Ends the process on the spot, with EX_SOFTWARE, when its worker is stuck: whoever supervises it starts another.

    Raises:
        OSError: an address cannot be listened on.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await serving.start()
    announce(serving)
    async with systemd.told(told):
        waiting = asyncio.create_task(told.wait())
        failing = asyncio.create_task(serving.failed())
        try:
            await asyncio.wait((waiting, failing), return_when=asyncio.FIRST_COMPLETED)
            if failing.done():
                failing.result()
        except WorkerStuckError as error:
            # A thread that does not end keeps the interpreter from ending, and what is stored needs no farewell.
            _log.critical("%s", error)
            logging.shutdown()
            os._exit(os.EX_SOFTWARE)
        finally:
            for task in (waiting, failing):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
            await serving.stop()
