"""Enhancement layers for human views, from wherever they wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from secondsight import store_keys
from secondsight.v1 import frame_pb2
from server import metrics
from server.catalogue import (
    Catalogue,
    EnhancementState,
    HumanLayers,
    KeyLayers,
    StoredFrame,
    enhancement_gone,
)
from server.config import ServerConfig
from server.enhancement_stores import EnhancementStores
from server.enhancement_wanted import Asked, Name, Wanted
from server.errors import EdgeStoreSilentError, EdgeTooSlowError, NoUplinkError, ViewsBusyError


@dataclass(frozen=True)
class _Lacking:
    """A frame whose layer no store has, and the frame that needs it as its key frame's."""

    frame: frame_pb2.Frame
    needed_by: frame_pb2.Frame | None


class EnhancementSource:
    """Fetches layers: from the camera's store, or over its uplink when the edge alone has them.

    Several requests for one layer become one on the wire, also among several servers over one store.
    """

    def __init__(
        self, catalogue: Catalogue, stores: EnhancementStores, wanted: Wanted, config: ServerConfig
    ) -> None:
        self._catalogue = catalogue
        self._stores = stores
        self._wanted = wanted
        self._config = config
        self._waiting = 0

    async def layer(self, stored: StoredFrame, wait_s: float | None = None) -> bytes:
        """The enhancement layer of a frame.

        Args:
            wait_s: how long it may take to come over the uplink; the configuration's when None, and its most at most.

        Raises:
            EnhancementNotStoredError: the edge stored none.
            EnhancementExpiredError: it did, and its time to live is over.
            EnhancementEvictedError: it did, and the store let it go before its time.
            EnhancementUnavailableError: it cannot be had now.
            ViewsBusyError: too many wait for edges.
            StoreUnavailableError
        """
        (layer,) = await self._fetch([(stored.frame, None)], wait_s)
        return layer

    async def human_layers(self, stored: StoredFrame, wait_s: float | None = None) -> HumanLayers:
        """What a human view takes beside the frame itself: of a predicted frame also its key frame's layers.

        Raises:
            EnhancementError, EnhancementUnavailableError: a layer cannot be had, its own or its key frame's.
            KeyFrameGoneError
            StoreUnavailableError
        """
        frame = stored.frame
        if stored.key_frame is None:
            return HumanLayers(await self.layer(stored, wait_s), None)
        key = await self._catalogue.key_frame(frame)
        own, of_key = await self._fetch([(frame, None), (key, frame)], wait_s)
        return HumanLayers(own, KeyLayers(key.machine_layer, of_key))

    async def _fetch(
        self, frames: Sequence[tuple[frame_pb2.Frame, frame_pb2.Frame | None]], wait_s: float | None
    ) -> list[bytes]:
        """Layers of frames of one camera, each with the frame that needs it as its key frame."""
        camera_id = frames[0][0].id.camera_id
        names = [(frame.id.session, frame.id.sequence) for frame, _ in frames]
        keys = [store_keys.enhancement(camera_id, *name) for name in names]
        layers = await self._stores.read(camera_id, keys)
        flow = metrics.FLOWS.find(camera_id)
        if flow is not None and camera_id in self._config.camera_stores:
            flow.carried.fetched += sum(len(layer or b"") for layer in layers)
        lacking: dict[Name, _Lacking] = {}
        for name, layer, (frame, needed_by) in zip(names, layers, frames, strict=True):
            if layer is None:
                lacking[name] = _Lacking(frame, needed_by)
                await self._check_at_edge(lacking[name])
        fetched = await self._from_edge(camera_id, lacking, wait_s) if lacking else {}
        found = [fetched.get(name) or bytes(layer or b"") for name, layer in zip(names, layers, strict=True)]
        metrics.LAYER_BYTES.labels(camera_id, "enhancement").inc(sum(map(len, found)))
        return found

    async def _from_edge(
        self, camera_id: str, lacking: dict[Name, _Lacking], wait_s: float | None
    ) -> dict[Name, bytes]:
        config = self._config
        wait_s = min(config.enhancement_wait if wait_s is None else wait_s, config.enhancement_wait_most)
        if self._waiting >= config.enhancement_waits:
            raise ViewsBusyError(config.view_retry_after)
        self._waiting += 1
        try:
            return await self._come(camera_id, lacking, wait_s)
        finally:
            self._waiting -= 1

    async def _come(self, camera_id: str, lacking: dict[Name, _Lacking], wait_s: float) -> dict[Name, bytes]:
        """Ask for layers and wait until all have come."""
        config = self._config
        deadline = time.monotonic() + wait_s
        while True:
            progress = await self._wanted.progress(camera_id, list(lacking))
            come = {name: layer for name, layer in progress.layers.items() if layer is not None}
            if len(come) == len(lacking):
                return come
            waited_for = {name: progress.asked[name] for name in lacking if name not in come}
            for name, asked in waited_for.items():
                if asked is Asked.GONE:
                    await self._check_at_edge(lacking[name])
                if asked is Asked.UNAVAILABLE:
                    raise EdgeStoreSilentError(camera_id, config.store_retry_after)
            if not progress.connected:
                raise NoUplinkError(camera_id, config.uplink_retry_after)
            for name, asked in waited_for.items():
                if asked is None:
                    await self._wanted.ask(camera_id, name)
            if time.monotonic() >= deadline:
                raise EdgeTooSlowError(camera_id, wait_s, config.store_retry_after)
            await asyncio.sleep(config.enhancement_poll)

    async def _check_at_edge(self, lacking: _Lacking) -> None:
        """Raise EnhancementError unless the edge has it, as far as anybody knows."""
        state = await self._catalogue.enhancement_state(lacking.frame, lacking.needed_by)
        if state is not EnhancementState.AT_EDGE:
            raise enhancement_gone(state, lacking.frame, lacking.needed_by)
