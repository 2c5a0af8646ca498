"""Ports for servers that a test starts later, again, or in another process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_port() -> Iterator[int]:
    """A port of the loopback on which nobody listens, and which meanwhile nobody else is given.

    It is bound, and never listens: connections to it are refused. A server that sets SO_REUSEADDR may have it.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])
