"""Every setting and limit of the embedded store, in one place."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.store.errors import StoreConfigError

_SIZE: Final = re.compile(r"(\d+)\s*(b|kb|mb|gb)?", re.IGNORECASE)
_UNITS: Final = {"b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
_LEAST_MEMORY: Final = 8 * 1024**2
_LONGEST_SOCKET_PATH: Final = 107  # sun_path of unix(7), less the closing zero


def parse_size(text: str) -> int:
    """Bytes of a size such as `512mb` (units are powers of 1024).

    Raises:
        StoreConfigError: `text` is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise StoreConfigError(f"{text!r} is no size: write a number and b, kb, mb or gb, as in 512mb")
    return int(match[1]) * _UNITS[(match[2] or "b").lower()]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Settings of one embedded store.

    Attributes:
        data: folder of the append-only file, the lock and the log; made when it is not there. One store owns it.
        port: TCP port on 127.0.0.1; 0 takes a free one. Not used with `unix_socket`.
        unix_socket: path of a socket that only this user may open, in place of the port.
        max_memory: bytes. Above it, keys with a time to live go, the shortest first; without any, writes fail.
        start_timeout: seconds for a start, the reading of the append-only file included.
        stop_timeout: seconds from SIGTERM to SIGKILL.
        lock_patience: seconds for which a folder whose owner has just died may still be locked.
        backoff_base: seconds; doubles with every death of the server that follows soon upon a start.
        backoff_cap: seconds.
        healthy_after: seconds of life after which a death counts as the first.
        log_limit: bytes of the log file above which the next start puts it aside.
    """

    data: Path
    port: int = 6379
    unix_socket: Path | None = None
    max_memory: int = 512 * 1024**2
    start_timeout: float = 60.0
    stop_timeout: float = 10.0
    lock_patience: float = 2.0
    backoff_base: float = 0.1
    backoff_cap: float = 5.0
    healthy_after: float = 30.0
    log_limit: int = 8 * 1024**2

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise StoreConfigError(f"port {self.port} does not exist: use 1 to 65535, or 0 for a free one")
        if self.max_memory < _LEAST_MEMORY:
            raise StoreConfigError(f"{self.max_memory} bytes of memory are too few: give at least 8mb")
        if self.unix_socket is not None and len(str(self.unix_socket.absolute())) > _LONGEST_SOCKET_PATH:
            raise StoreConfigError(
                f"{self.unix_socket} is too long for a socket: {_LONGEST_SOCKET_PATH} characters at most"
            )
