"""Enhancement layers in the store from which the server fetches them, each with a time to live."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final, cast

from secondsight import store_keys
from secondsight.client._exceptions import SettingsError
from secondsight.client._outbox import Pushed
from secondsight.client._settings import Tls
from secondsight.store_address import cluster_nodes, is_cluster
from secondsight.v1 import frame_pb2

if TYPE_CHECKING:
    from redis.asyncio import Redis

_LOG = logging.getLogger(__name__)

_TIMEOUT_S: Final = 5.0
_LEFT_ALONE_S: Final = 5.0


class EnhancementStore:
    """Writes one camera's layers. A store that fails is left alone for a while, and frames go without.

    Args:
        url: ``redis://HOST:PORT/0``, or ``redis+cluster://HOST:PORT``; ``rediss`` for TLS.
        retention: seconds for which a layer is kept.

    Raises:
        SettingsError: `url` is no address of a store.
    """

    def __init__(self, url: str, camera: str, retention: float, tls: Tls) -> None:
        if not retention > 0:
            raise SettingsError(f"layers cannot be kept for {retention} s; give more than 0")
        self._redis = _open(url, tls)
        self._camera = camera
        self._ttl_ms = max(1, round(retention * 1000))
        self._resume_at = 0.0

    async def stow(self, pushed: Pushed) -> None:
        """Store the layer of `pushed` under its present name, and no longer under an earlier one."""
        from redis.exceptions import RedisClusterException, RedisError

        layers = pushed.layers
        if not layers.enhancement or pushed.viewable or time.monotonic() < self._resume_at:
            return
        key = layers.key
        if key is not None and not key.viewable:
            return  # nobody could look at it
        assert pushed.name is not None
        try:
            expires_at_ms = time.time_ns() // 1_000_000 + self._ttl_ms
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.set(self._address(pushed.name), layers.enhancement, px=self._ttl_ms)
                if pushed.stored_as is not None:
                    pipeline.unlink(self._address(pushed.stored_as))
                if key is not None and key.name is not None:
                    # After the frame's own layer, so that the key frame's is the last of its group to expire.
                    pipeline.pexpire(self._address(key.name), self._ttl_ms, gt=True)
                await pipeline.execute()
        except (RedisError, RedisClusterException, OSError) as error:
            _LOG.warning("the store takes no enhancement layers, frames go without: %s", str(error))
            self._resume_at = time.monotonic() + _LEFT_ALONE_S
            return
        pushed.stored_as = pushed.name
        pushed.receipt = frame_pb2.EnhancementReceipt(
            bytes=len(layers.enhancement),
            slices=layers.slices,
            place=frame_pb2.ENHANCEMENT_PLACE_STORE,
            retention=frame_pb2.RETENTION_ROUTINE,
        )
        pushed.receipt.expires_at.FromMilliseconds(expires_at_ms)

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    def _address(self, name: tuple[int, int]) -> str:
        return store_keys.enhancement(self._camera, *name)


def _open(url: str, tls: Tls) -> Redis:
    from redis.asyncio import Redis
    from redis.asyncio.cluster import ClusterNode, RedisCluster
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    options: dict[str, Any] = {
        "socket_timeout": _TIMEOUT_S,
        "socket_connect_timeout": _TIMEOUT_S,
        # One retry, for the connection that a restarted store has left behind.
        "retry": Retry(NoBackoff(), 1),
        "decode_responses": False,
    }
    if url.startswith("rediss"):
        files = {"ssl_ca_certs": tls.ca, "ssl_certfile": tls.certificate, "ssl_keyfile": tls.key}
        options |= {name: str(path) for name, path in files.items() if path is not None}
    try:
        if not is_cluster(url):
            return Redis.from_url(url, **options)
        first, others = cluster_nodes(url)
        nodes = [ClusterNode(*other) for other in others]
        return cast("Redis", RedisCluster.from_url(first, startup_nodes=nodes, **options))
    except ValueError as error:
        # Without the URL, which may hold a password.
        raise SettingsError(
            f"the store has no address that can be used: give redis://HOST:PORT/0 ({error})"
        ) from error
