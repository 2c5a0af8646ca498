"""Stored frames and their pictures for jobs, behind everybody who waits for one."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from server.catalogue import Catalogue, HumanLayers, StoredFrame
from server.config import ServerConfig
from server.enhancement import EnhancementSource
from server.errors import (
    DecodingFailedError,
    EnhancementError,
    EnhancementUnavailableError,
    KeyFrameGoneError,
    NoUplinkError,
    RecognitionFailedError,
    SlicesNotStoredError,
    UndecodableLayerError,
    UnknownCameraError,
    UnknownFrameError,
    ViewsBusyError,
)
from server.jobs.job import Order, Planned
from server.layers import Layers
from server.views import View, ViewRequest, Views
from shared_models.picture import Picture

CANNOT_BE_SHOWN: Final = (
    UnknownCameraError,
    UnknownFrameError,
    KeyFrameGoneError,
    EnhancementError,
    EnhancementUnavailableError,
    SlicesNotStoredError,
    UndecodableLayerError,
    DecodingFailedError,
    RecognitionFailedError,
)
"""Of one frame. A job leaves it out and says so; anything else ends the job."""

_NICENESS: Final = 10
_T = TypeVar("_T")


class Footage:
    """Fetches and decodes for jobs.

    The codec is asked only when nobody else needs it, or after `ServerConfig.job_yields` seconds. What else a job
    computes runs in a thread that the operating system puts behind the others.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        enhancement: EnhancementSource,
        layers: Layers,
        views: Views,
        config: ServerConfig,
    ) -> None:
        self.catalogue = catalogue
        self.views = views
        self._enhancement = enhancement
        self._layers = layers
        self._config = config
        self._thread = ThreadPoolExecutor(
            config.jobs_at_once, thread_name_prefix="jobs", initializer=_step_back
        )

    async def picture(
        self, planned: Planned, order: Order, patience: EdgePatience
    ) -> tuple[StoredFrame, Picture]:
        """A frame, and its view as ordered.

        Raises:
            one of `CANNOT_BE_SHOWN`
            StoreUnavailableError
        """
        stored = await self.catalogue.frame(planned.camera, planned.frame)
        layers = await self.human_layers(stored, patience) if order.view is View.HUMAN else None
        request = ViewRequest(order.view, order.image_format, order.slices, stored.frame, layers)
        await self._layers.idle(self._config.job_yields)
        # The next one to look wants what is live.
        return stored, await self.views.picture(request, keep=False)

    async def human_layers(self, stored: StoredFrame, patience: EdgePatience) -> HumanLayers:
        """What a human view takes beside the frame; a job has the time to wait for an edge that is away.

        Raises:
            EnhancementError, EnhancementUnavailableError, KeyFrameGoneError
            StoreUnavailableError
        """
        while True:
            try:
                return await self._enhancement.human_layers(stored, self._config.enhancement_wait_most)
            except ViewsBusyError as error:
                await asyncio.sleep(error.retry_after)
            except NoUplinkError:
                if not await patience.waited():
                    raise

    async def aside(self, work: Callable[[], _T]) -> _T:
        """Have something computed in the jobs' own thread. It ends also when whoever asked was cancelled."""
        running = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # What it works on is closed and removed next.
            await asyncio.wait([running])
            raise

    def close(self) -> None:
        """Let what is computed end."""
        self._thread.shutdown(wait=True, cancel_futures=True)


class EdgePatience:
    """Time for edges that are not connected, of all frames of a job together."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    async def waited(self) -> bool:
        """Wait a moment; False when there is no time left."""
        if self._left <= 0:
            return False
        pause = min(1.0, self._left)
        self._left -= pause
        await asyncio.sleep(pause)
        return True


def _step_back() -> None:
    # On Linux it is the thread's alone. Elsewhere it goes at the pace of the others.
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
