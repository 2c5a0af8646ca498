"""What a service tells systemd: that it serves, that it lives, that it is ending (sd_notify(3), systemd.service(5))."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


def tell(state: str) -> None:
    """Send one or more assignments, as READY=1. Nobody is told, and nothing fails, outside of systemd."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifying:
        # "@" names a socket without a file.
        notifying.sendto(state.encode(), address.replace("@", "\0", 1))


@asynccontextmanager
async def told(stop: asyncio.Event) -> AsyncIterator[None]:
    """Tell that the service serves, from `stop` on that it is ending, and that its event loop runs all the while.

    A loop that hangs says nothing, and systemd begins the service again after WatchdogSec.
    """
    tell("READY=1")
    beating = asyncio.create_task(_beat(_watchdog_s()))
    ending = asyncio.create_task(stop.wait())
    ending.add_done_callback(lambda _: tell("STOPPING=1"))
    try:
        yield
    finally:
        for task in (ending, beating):
            task.cancel()
        await asyncio.gather(ending, beating, return_exceptions=True)


def _watchdog_s() -> float | None:
    """Within how many seconds systemd wants to hear from this process; None if it does not."""
    wanted, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not wanted.isdecimal() or int(wanted) == 0 or process not in ("", str(os.getpid())):
        return None
    return int(wanted) / 1e6


async def _beat(watchdog_s: float | None) -> None:
    while watchdog_s is not None:
        tell("WATCHDOG=1")
        await asyncio.sleep(watchdog_s / 3)
