"""Between the stream ``wanted`` of a camera and its uplink: requests and notes to the edge, layers from it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from secondsight import limits
from secondsight.v1 import ingest_pb2
from server import metrics
from server.config import ServerConfig
from server.enhancement_wanted import Asked, Name, Wanted, Wish
from server.errors import StoreUnavailableError
from server.session import Uplink

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _OnTheWire:
    name: Name
    since: float


class Forwarding:
    """For one uplink, whose edge keeps enhancement layers."""

    def __init__(self, uplink: Uplink, wanted: Wanted, config: ServerConfig) -> None:
        self._uplink = uplink
        self._wanted = wanted
        self._config = config
        self._issued = 0
        self._on_the_wire: dict[int, _OnTheWire] = {}
        self._given_up: set[int] = set()
        self._answered = asyncio.Event()

    async def run(self) -> None:
        """Pass on what is wanted until cancelled; wait for the store when it is away."""
        camera_id = self._uplink.camera_id
        after: str | None = None
        async with self._wanted.uplink(camera_id, secrets.token_hex(8)) as tell:
            while True:
                try:
                    await tell()
                    if after is None:
                        after = await self._wanted.last_note(camera_id)
                    for wish in await self._wanted.read(camera_id, after, self._config.enhancement_requests):
                        await self._pass_on(wish, tell)
                        after = wish.entry_id
                except StoreUnavailableError:
                    await asyncio.sleep(self._config.store_pause)
                if self._uplink.draining.is_set():
                    # What comes now is for the next uplink.
                    await self._uplink.ended.wait()

    async def take(self, reply: ingest_pb2.EnhancementReply) -> bool:
        """A layer has come, or the word that there is none; False when it was not asked for."""
        if reply.request in self._given_up:
            self._given_up.remove(reply.request)
            metrics.ENHANCEMENT_REPLIES.labels("late").inc()
            return True
        asked = self._on_the_wire.pop(reply.request, None)
        self._answered.set()
        if asked is None:
            return False
        camera_id, layer = self._uplink.camera_id, reply.enhancement_layer
        try:
            if reply.lack == ingest_pb2.ENHANCEMENT_LACK_GONE:
                metrics.ENHANCEMENT_REPLIES.labels("gone").inc()
                await self._wanted.tell_lack(camera_id, asked.name, Asked.GONE)
            elif reply.lack or not 0 < len(layer) <= limits.ENHANCEMENT_LAYER_BYTES:
                metrics.ENHANCEMENT_REPLIES.labels("unavailable").inc()
                await self._wanted.tell_lack(camera_id, asked.name, Asked.UNAVAILABLE)
            else:
                metrics.ENHANCEMENT_REPLIES.labels("layer").inc()
                metrics.ENHANCEMENT_SECONDS.observe(time.monotonic() - asked.since)
                if self._uplink.flow is not None:
                    self._uplink.flow.carried.fetched += len(layer)
                await self._wanted.hand_over(camera_id, asked.name, layer)
        except StoreUnavailableError as error:
            # Whoever waits is told that it took too long; frames go on.
            _log.warning("an enhancement layer of camera %s came and cannot be stored: %s", camera_id, error)
        return True

    async def _pass_on(self, wish: Wish, tell: Callable[[], Awaitable[None]]) -> None:
        if wish.retain is not None:
            await self._uplink.retain(wish.retain)
        if wish.request is None:
            return
        name = (wish.request.session, wish.request.sequence)
        await self._until_there_is_room(tell)
        # An edge may leave a request unanswered: what is old does not keep the layer from being asked for again.
        under_way = any(
            asked.name == name and not self._is_old(asked) for asked in self._on_the_wire.values()
        )
        if under_way or not await self._wanted.is_waiting(self._uplink.camera_id, name):
            return
        self._issued += 1
        self._on_the_wire[self._issued] = _OnTheWire(name, time.monotonic())
        await self._uplink.ask_enhancement(self._issued, *name)

    async def _until_there_is_room(self, tell: Callable[[], Awaitable[None]]) -> None:
        """Wait for answers, and forget requests that nobody waits for any more."""
        while len(self._on_the_wire) >= self._config.enhancement_requests:
            # Who waits for a layer gives up when the uplink is not spoken of, and this may take long.
            await tell()
            for number, asked in list(self._on_the_wire.items()):
                if self._is_old(asked):
                    del self._on_the_wire[number]
                    self._given_up.add(number)
            self._answered.clear()
            if len(self._on_the_wire) >= self._config.enhancement_requests:
                try:
                    async with asyncio.timeout(self._config.block):
                        await self._answered.wait()
                except TimeoutError:
                    continue

    def _is_old(self, asked: _OnTheWire) -> bool:
        """Whether nobody waits for it any more."""
        return asked.since <= time.monotonic() - self._config.enhancement_wait_most
