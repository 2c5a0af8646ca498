"""Clients of the store, with time limits that fit what they are for."""

from enum import Enum, auto
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import FullJitterBackoff

LONGEST_BLOCK_MS: Final = 2000
"""Give no more than this as BLOCK: a client of the role `BLOCKING` waits a little longer for its answer."""

_RETRIES: Final = 3
_CONNECT_TIMEOUT_S: Final = 2.0
_ANSWER_TIMEOUT_S: Final = 5.0
_HEALTH_CHECK_S: Final = 15


class Role(Enum):
    """What a client is for.

    `COMMANDS` repeats what a lost connection has ended. `BLOCKING` never does: a consumer group has handed out its
    entries although the answer was lost, so a repeated XREADGROUP would pass them over.
    """

    COMMANDS = auto()
    BLOCKING = auto()


def open_client(url: str, role: Role = Role.COMMANDS, *, max_connections: int = 32) -> Redis:
    """Make a client with a pool of its own; it connects at its first command. Close it with `aclose()`.

    With `Role.COMMANDS` a command that a lost connection or a silent store has ended is repeated up to three times with
    jittered waits, within about a second beside the time limits. So a repeated write must do no harm: XADD with an
    explicit id, SET, XACK. Replies are bytes.

    Raises:
        ValueError: `url` has no scheme that redis-py knows.
    """
    client: Redis = Redis.from_url(
        url,
        decode_responses=False,
        max_connections=max_connections,
        socket_timeout=_ANSWER_TIMEOUT_S
        if role is Role.COMMANDS
        else _ANSWER_TIMEOUT_S + LONGEST_BLOCK_MS / 1000,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_keepalive=True,
        health_check_interval=_HEALTH_CHECK_S,
        retry=Retry(FullJitterBackoff(cap=0.5, base=0.05), _RETRIES if role is Role.COMMANDS else 0),
    )
    return client
