"""Which enhancement layers are kept until somebody asks for a human view, where and for how long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from enum import Enum, auto
from typing import Final

from edge.backoff import Backoff
from edge.config import EdgeConfig
from edge.enhancement_memory import EnhancementMemory, Held
from edge.enhancement_store import EnhancementStore, Name
from edge.errors import EnhancementGoneError, EnhancementUnavailableError
from edge.metrics import Tally
from edge.pending import PendingFrame
from secondsight import limits
from secondsight.v1 import frame_pb2

_LOG = logging.getLogger(__name__)


class _Choice(Enum):
    """What becomes of a frame's layer when the frame is sent."""

    STORE = auto()
    HOLD = auto()
    """In memory, until it is known whether anybody needs it."""
    LEAVE = auto()


class EnhancementKeeper:
    """One camera's enhancement layers: in the store those that are kept, in memory those of which it is not known yet.

    A store that fails costs frames their human views and never their machine layers. What the server wants to be kept
    longer waits for the store to come back.

    Raises:
        ConfigError: `config.store` is no Redis URL.
    """

    def __init__(self, config: EdgeConfig, tally: Tally) -> None:
        assert config.store is not None
        self._config: Final = config.enhancement
        self._tally = tally
        self._store = EnhancementStore(
            config.store,
            config.camera_id,
            config.store_timeout_s,
            Backoff(config.store_backoff_base_s, config.store_backoff_cap_s),
            config.store_tls or config.tls,
        )
        self._memory = EnhancementMemory(self._config.verdict_s, self._config.waiting_bytes)
        self._ttl_ms = {
            frame_pb2.RETENTION_ROUTINE: self._config.routine_s * 1000,
            frame_pb2.RETENTION_DETECTION: self._config.detection_s * 1000,
            frame_pb2.RETENTION_ALERT: self._config.alert_s * 1000,
        }
        self._wanted: OrderedDict[Name, frame_pb2.Retention] = OrderedDict()
        self._told = asyncio.Event()

    async def stow(self, pending: PendingFrame) -> bool:
        """Store or hold the enhancement layer of `pending` under its present name, and no longer under an earlier one.

        On success `pending.receipt` is set. A failure is counted and leaves it None, as does a frame that the policy
        leaves out.

        Returns:
            False when the layer of the key frame which `pending` is predicted from is not there, so that neither this
            frame nor another one of its group can be viewed.
        """
        choice = self._choice(pending)
        if choice is _Choice.LEAVE or pending.stored_as == pending.name:
            return True
        first_time = pending.stored_as is None
        try:
            usable = await self._put(pending) if choice is _Choice.STORE else self._hold(pending)
        except EnhancementUnavailableError:
            usable = None
        if not usable:
            pending.receipt = None
            if pending.queue_us is None:
                self._tally.enhancements_failed += 1
            return usable is None
        pending.stored_as = pending.name
        if choice is _Choice.STORE:
            self._count(len(pending.frame.enhancement), first_time)
        return True

    def retain(self, session: int, sequence: int, retention: frame_pb2.Retention) -> None:
        """Have the layer of a frame, also of an earlier session, live for as long as the class says; see `run`."""
        name = (session, sequence)
        held = self._memory.find(name)
        if held is not None:
            held.wanted = True
        self._tally.enhancements_wanted += 1
        self._wanted[name] = max(retention, self._wanted.pop(name, frame_pb2.RETENTION_ROUTINE))
        if len(self._wanted) > self._config.retains_waiting:
            self._wanted.popitem(last=False)
            self._tally.retains_lost += 1
        self._told.set()

    async def fetch(self, session: int, sequence: int) -> bytes:
        """The layer of a frame, also of an earlier session.

        Raises:
            EnhancementGoneError: it was not kept, or no longer is.
            EnhancementUnavailableError: the store does not answer now.
        """
        name = (session, sequence)
        held = self._memory.find(name)
        layer = await self._store.read(name) if held is None else held.layer
        if layer is None:
            raise EnhancementGoneError(f"no enhancement layer of frame {session}-{sequence} is kept")
        if len(layer) > limits.ENHANCEMENT_LAYER_BYTES:
            raise EnhancementGoneError(
                f"the enhancement layer of frame {session}-{sequence} has {len(layer)} bytes, above the limit of "
                f"{limits.ENHANCEMENT_LAYER_BYTES}: lower the quality or the size of the picture"
            )
        return layer

    async def run(self) -> None:
        """Do what `retain` asked for, and wait for the store when it is away, until cancelled."""
        while True:
            await self._told.wait()
            self._told.clear()
            while self._wanted:
                name, retention = next(iter(self._wanted.items()))
                try:
                    await self._lengthen(name, self._lifetime_ms(retention))
                except EnhancementUnavailableError:
                    await asyncio.sleep(self._store.left_alone_s)
                    continue
                if self._wanted.get(name) == retention:
                    del self._wanted[name]

    async def close(self) -> None:
        """Close the connection to the store."""
        await self._store.close()

    def _choice(self, pending: PendingFrame) -> _Choice:
        match self._config.policy:
            case "every":
                return _Choice.STORE
            case "nth" if pending.frame.turn % self._config.nth == 0:
                return _Choice.STORE
            case "nth" if pending.key is not None:
                return _Choice.LEAVE
            case "nth" | "detection":
                return _Choice.HOLD
            case "off":
                return _Choice.LEAVE

    async def _put(self, pending: PendingFrame) -> bool | None:
        """True when the layer is stored, False when its key frame's is missing, None when there is no use to try."""
        key = pending.key
        if key is not None and key.replaced and not key.viewable:
            return None
        ttl_ms = self._ttl_ms[frame_pb2.RETENTION_ROUTINE]
        expires_at_ms = time.time_ns() // 1_000_000 + ttl_ms
        held = None if key is None else self._memory.find(key.name)
        if key is not None and held is not None and not held.stored:
            await self._store_held(key.name, held, ttl_ms)
        stored = await self._store.write(
            pending.name,
            pending.frame.enhancement,
            ttl_ms,
            instead_of=pending.stored_as,
            key=None if key is None else key.name,
        )
        if key is not None and not (stored and key.viewable):
            key.receipt = key.stored_as = None
            if stored:
                await self._store.remove(pending.name)
            pending.stored_as = None
            return False
        at_edge = self._config.place == "edge"
        pending.receipt = _receipt(
            pending,
            expires_at_ms,
            frame_pb2.ENHANCEMENT_PLACE_EDGE if at_edge else frame_pb2.ENHANCEMENT_PLACE_STORE,
        )
        return True

    def _hold(self, pending: PendingFrame) -> bool:
        key = pending.key
        held = self._memory.hold(
            pending.name, pending.frame.enhancement, None if key is None else key.name, pending.stored_as
        )
        self._tally.enhancements_let_go = self._memory.let_go
        if not held:
            assert key is not None
            key.receipt = key.stored_as = None
            return False
        expires_at_ms = time.time_ns() // 1_000_000 + round(self._config.verdict_s * 1000)
        # Nobody but this edge has it, wherever it is stored once it is wanted.
        pending.receipt = _receipt(pending, expires_at_ms, frame_pb2.ENHANCEMENT_PLACE_EDGE)
        return True

    def _lifetime_ms(self, retention: frame_pb2.Retention) -> int:
        """The longest for a class that only a newer server knows: a layer that is gone cannot be had again."""
        return self._ttl_ms.get(retention, max(self._ttl_ms.values()))

    async def _lengthen(self, name: Name, ttl_ms: int) -> None:
        held = self._memory.find(name)
        if held is None:
            await self._store.lengthen(name, ttl_ms)
            return
        key = None if held.key is None else self._memory.find(held.key)
        if held.key is not None and key is not None:
            await self._store_held(held.key, key, ttl_ms)
        await self._store_held(name, held, ttl_ms)
        self._memory.drop(name)

    async def _store_held(self, name: Name, held: Held, ttl_ms: int) -> None:
        """Have a layer that is held in the store for at least so long."""
        if held.stored and await self._store.lengthen(name, ttl_ms):
            return
        await self._store.write(name, held.layer, ttl_ms)
        held.stored = True
        self._count(len(held.layer), first_time=True)

    def _count(self, count: int, first_time: bool) -> None:
        self._tally.spending.enhancement(count, foreseen=self._config.policy == "every")
        if first_time:
            self._tally.enhancement_bytes += count


def _receipt(
    pending: PendingFrame, expires_at_ms: int, place: frame_pb2.EnhancementPlace
) -> frame_pb2.EnhancementReceipt:
    receipt = frame_pb2.EnhancementReceipt(
        bytes=len(pending.frame.enhancement),
        slices=pending.frame.slices,
        place=place,
        retention=frame_pb2.RETENTION_ROUTINE,
    )
    receipt.expires_at.FromMilliseconds(expires_at_ms)
    return receipt
