"""Clients of the store, with time limits that fit what they are for."""

from enum import Enum, auto
from typing import Final, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import FullJitterBackoff
from redis.exceptions import RedisClusterException, RedisError

from secondsight.store_address import cluster_nodes, is_cluster
from server.errors import ServerConfigError

LONGEST_BLOCK_MS: Final = 2000
"""Give no more than this as BLOCK: a client of the role `BLOCKING` waits a little longer for its answer."""

STORE_ERRORS: Final = (RedisError, RedisClusterException)
"""What a client raises when the store does not do what it is asked."""

_SCANNED_AT_ONCE: Final = 1000
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


async def erase(client: Redis, pattern: str) -> int:
    """Remove the keys that match a pattern, wherever in a cluster; how many there were."""
    erased = 0
    async for key in client.scan_iter(match=pattern, count=_SCANNED_AT_ONCE):
        erased += await client.unlink(key)
    return erased


def open_client(url: str, role: Role = Role.COMMANDS, *, max_connections: int = 32) -> Redis:
    """Make a client with a pool of its own; it connects at its first command. Close it with `aclose()`.

    With `Role.COMMANDS` a command that a lost connection or a silent store has ended is repeated up to three times with
    jittered waits, within about a second beside the time limits. So a repeated write must do no harm: XADD with an
    explicit id, SET, XACK. Replies are bytes.

    A client of a cluster does what one of a single store does, as long as every command keeps to the keys of one
    camera, and raises one error more: `STORE_ERRORS` names them all. There, `max_connections` counts for each node.

    Raises:
        ServerConfigError: `url` has no scheme that is known (`secondsight.store_address`), or no host.
    """
    try:
        if is_cluster(url):
            return _open_cluster(url, role, max_connections)
        return _open_single(url, role, max_connections)
    except ValueError as error:
        # Without the URL, which may hold a password.
        raise ServerConfigError(
            f"the store has no address that can be used: give redis://HOST:PORT/0 ({error})"
        ) from error


def _open_single(url: str, role: Role, max_connections: int) -> Redis:
    client: Redis = Redis.from_url(
        url,
        decode_responses=False,
        max_connections=max_connections,
        socket_timeout=_answer_timeout(role),
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_keepalive=True,
        health_check_interval=_HEALTH_CHECK_S,
        retry=_retry(role),
    )
    return client


def _open_cluster(url: str, role: Role, max_connections: int) -> Redis:
    first, others = cluster_nodes(url)
    cluster = RedisCluster.from_url(
        first,
        startup_nodes=[ClusterNode(*other) for other in others],
        # Cameras on nodes that live go on while others are away.
        require_full_coverage=False,
        decode_responses=False,
        max_connections=max_connections,
        socket_timeout=_answer_timeout(role),
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_keepalive=True,
        health_check_interval=_HEALTH_CHECK_S,
        retry=_retry(role),
    )
    return cast(Redis, cluster)


def _answer_timeout(role: Role) -> float:
    return _ANSWER_TIMEOUT_S + (LONGEST_BLOCK_MS / 1000 if role is Role.BLOCKING else 0)


def _retry(role: Role) -> Retry:
    return Retry(FullJitterBackoff(cap=0.5, base=0.05), _RETRIES if role is Role.COMMANDS else 0)
