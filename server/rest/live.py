"""What event streams share: how many there are, the frames that they tell of, and the state of the cameras."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from secondsight.cancelling import cancel_all
from secondsight.v1 import analytics_pb2
from server import metrics
from server.access.caller import Principal
from server.catalogue import Catalogue, StoredFrame
from server.config import ServerConfig
from server.errors import StoreUnavailableError, StreamsBusyError
from server.frame_bus import Published
from server.rest.cameras import Camera, camera_document
from server.rest.frames import frame_document

_RETRY_AFTER: Final = 5
_PASSING: Final = {"last_frame_at", "awaiting", "slow_detail"}
"""Fields of a camera that change all the time: no event tells of them alone."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CameraTold:
    """A camera's document, and which of all changes brought it."""

    change: int
    document: Camera

    @cached_property
    def text(self) -> str:
        """As JSON."""
        return self.document.model_dump_json()


@dataclass(frozen=True)
class FrameTold:
    """A frame whose result has come."""

    stored: StoredFrame

    @cached_property
    def text(self) -> str:
        """Its document, as JSON."""
        return frame_document(self.stored).model_dump_json()

    def text_with(self, result: analytics_pb2.RecognitionResult) -> str:
        """Likewise, with this result instead of the whole one."""
        if result is self.stored.result:
            return self.text
        return frame_document(replace(self.stored, result=result)).model_dump_json()


class Live:
    """Shared by all event streams of one process."""

    def __init__(self, catalogue: Catalogue, config: ServerConfig) -> None:
        self.changes = 0
        """Of cameras, so far: those that came, changed or went."""
        self._cameras: dict[str, CameraTold] = {}
        self._catalogue = catalogue
        self._config = config
        self._open: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()
        self._frames: OrderedDict[tuple[str, str, str], FrameTold] = OrderedDict()
        self._reading = asyncio.Lock()

    @asynccontextmanager
    async def place(self, principal: Principal) -> AsyncIterator[None]:
        """Room for one more stream of this user; the cameras have been looked at.

        Raises:
            StreamsBusyError
            StoreUnavailableError
        """
        config = self._config
        if self._open.total() >= config.streams_at_once:
            raise StreamsBusyError("the server has", config.streams_at_once, _RETRY_AFTER)
        if self._open[principal.name] >= config.streams_each:
            raise StreamsBusyError("you have", config.streams_each, _RETRY_AFTER)
        self._open[principal.name] += 1
        metrics.EVENT_STREAMS.inc()
        try:
            async with self._beginning:
                if self._looking is None:
                    await self._look()
                    self._looking = asyncio.create_task(self._keep_looking())
            yield
        finally:
            metrics.EVENT_STREAMS.dec()
            self._open[principal.name] -= 1
            self._open += Counter()  # forgets those that have none
            if not self._open and self._looking is not None:
                looking, self._looking = self._looking, None
                await cancel_all([looking])

    def cameras(self, principal: Principal, named: Sequence[str]) -> list[CameraTold]:
        """Cameras that there are, by name: of those named, or all, what the principal may see."""
        return [
            told
            for camera_id, told in self._cameras.items()
            if principal.sees(camera_id) and (not named or camera_id in named)
        ]

    async def frames(self, results: Sequence[Published], task: str) -> list[FrameTold]:
        """The frames that these results are of. What has become of a frame is looked up once for all streams.

        Raises:
            StoreUnavailableError
        """
        names = [(task, published.camera_id, published.entry_id) for published in results]
        async with self._reading:
            lacking = [
                (name, published.message)
                for name, published in zip(names, results, strict=True)
                if name not in self._frames
            ]
            if lacking:
                found = await self._catalogue.of_results([result for _, result in lacking])
                for (name, _), stored in zip(lacking, found, strict=True):
                    self._frames[name] = FrameTold(stored)
            frames = [self._frames[name] for name in names]
            while len(self._frames) > self._config.documents_kept:
                self._frames.popitem(last=False)
        return frames

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._config.cameras_look)
            try:
                await self._look()
            except StoreUnavailableError as error:
                _log.warning("the state of the cameras: %s", error)

    async def _look(self) -> None:
        cameras: dict[str, CameraTold] = {}
        for camera in await self._catalogue.cameras():
            document = camera_document(camera)
            told = self._cameras.get(document.camera)
            if told is None or _lasting(told.document) != _lasting(document):
                self.changes += 1
                told = CameraTold(self.changes, document)
            cameras[document.camera] = told
        if self._cameras.keys() - cameras.keys():
            self.changes += 1
        self._cameras = cameras


def _lasting(document: Camera) -> dict[str, object]:
    return document.model_dump(exclude=_PASSING)
