"""Enhancement layers in Redis, each with a time to live."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import redis.asyncio as redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from edge.backoff import Backoff
from edge.config import TlsConfig
from edge.errors import ConfigError, EnhancementUnavailableError
from secondsight import store_keys
from secondsight.store_address import cluster_nodes, is_cluster

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")

Name = tuple[int, int]
"""Session and sequence of a frame."""


class EnhancementStore:
    """Writes, reads and lengthens the lives of one camera's enhancement layers.

    After a failure the store is left alone for as long as `backoff` says, so that a dead one does not slow the uplink
    down. Every method raises EnhancementUnavailableError meanwhile, and when the store fails.
    """

    def __init__(
        self, url: str, camera_id: str, timeout_s: float, backoff: Backoff, tls: TlsConfig | None = None
    ) -> None:
        """Raises ConfigError when `url` is no Redis URL. Connects at the first command.

        `tls` is for a URL that begins with rediss://, and gives way to what the URL itself says.
        """
        self._redis = open_store(url, timeout_s, tls)
        self._camera_id = camera_id
        self._backoff = backoff
        self._resume_at = 0.0

    @property
    def left_alone_s(self) -> float:
        """For so long the store is not asked, because it failed; 0 when it is."""
        return max(0.0, self._resume_at - time.monotonic())

    async def write(
        self,
        name: Name,
        layer: bytes,
        ttl_ms: int,
        *,
        instead_of: Name | None = None,
        key: Name | None = None,
    ) -> bool:
        """Store a layer.

        Args:
            instead_of: an earlier name of the frame, which goes.
            key: name of the key frame that it is predicted from.

        Returns:
            False, and the layer is not stored, when that of the key frame is not there.
        """

        async def attempt() -> bool:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.set(self._address(name), layer, px=ttl_ms)
                if instead_of is not None:
                    pipeline.unlink(self._address(instead_of))
                if key is not None:
                    # After the frame's own layer, so that the key frame's is the last of its group to expire.
                    pipeline.pexpire(self._address(key), ttl_ms, gt=True)
                    pipeline.exists(self._address(key))
                *_, key_exists = await pipeline.execute()
            if key is not None and not key_exists:
                await self.remove(name)
                return False
            return True

        return await self._asked(attempt)

    async def remove(self, name: Name) -> None:
        """Let a layer go."""
        await self._asked(lambda: self._redis.unlink(self._address(name)))

    async def lengthen(self, name: Name, ttl_ms: int) -> bool:
        """Have a layer live for at least so long from now; False when it is not there."""

        async def attempt() -> bool:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.pexpire(self._address(name), ttl_ms, gt=True)
                pipeline.exists(self._address(name))
                _, exists = await pipeline.execute()
            return bool(exists)

        return await self._asked(attempt)

    async def read(self, name: Name) -> bytes | None:
        """A layer; None when it is not there."""
        layer: Any = await self._asked(lambda: self._redis.get(self._address(name)))
        return None if layer is None else bytes(layer)

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def _asked(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        if self.left_alone_s:
            raise EnhancementUnavailableError("the store of enhancement layers failed just now")
        try:
            done = await attempt()
        except (RedisError, RedisClusterException, OSError) as error:
            if self._resume_at == 0.0:
                _LOG.warning("the store takes no enhancement layers, frames go without: %s", str(error))
            self._resume_at = time.monotonic() + self._backoff.next_wait()
            raise EnhancementUnavailableError("the store of enhancement layers failed") from error
        if self._resume_at != 0.0:
            _LOG.warning("the store takes enhancement layers again")
            self._resume_at = 0.0
            self._backoff.reset()
        return done

    def _address(self, name: Name) -> str:
        return store_keys.enhancement(self._camera_id, *name)


def open_store(url: str, timeout_s: float, tls: TlsConfig | None) -> redis.Redis:
    """A client that connects at its first command. Close it.

    Raises:
        ConfigError: `url` is no Redis URL.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        # One retry, for the connection that a restarted store has left behind.
        "retry": Retry(NoBackoff(), 1),
        "decode_responses": False,
    }
    try:
        if not is_cluster(url):
            return redis.Redis.from_url(url, **options, **_tls_options(url, tls))
        first, others = cluster_nodes(url)
        nodes = [ClusterNode(*other) for other in others]
        cluster = RedisCluster.from_url(first, startup_nodes=nodes, **options, **_tls_options(first, tls))
        return cast(redis.Redis, cluster)
    except ValueError as error:
        # Without the URL, which may hold a password.
        raise ConfigError(
            f"the store has no address that can be used: give redis://HOST:PORT/0 ({error})"
        ) from error


def _tls_options(url: str, tls: TlsConfig | None) -> dict[str, Any]:
    if tls is None or urlsplit(url).scheme != "rediss":
        return {}
    options = {"ssl_ca_certs": tls.ca, "ssl_certfile": tls.certificate, "ssl_keyfile": tls.key}
    return {name: str(path) for name, path in options.items() if path is not None}
