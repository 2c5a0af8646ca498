"""The client for programs with an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

import httpx

from secondsight.client import _requests
from secondsight.client._client import settings_of, verification
from secondsight.client._exchange import Outcome, Pause, exchange
from secondsight.client._feed import AsyncFeed, Encoding
from secondsight.client._requests import Request
from secondsight.client._results import Start, Wanted
from secondsight.client._settings import Settings
from secondsight.client._subscription import AsyncSubscription
from secondsight.client._values import Camera, Frame, ImageFormat, LayerBytes, LayerName, View, ViewName

T = TypeVar("T")


class AsyncClient:
    """Asks one server; close it, or use it by ``async with``. Otherwise as `Client`, whose methods tell more."""

    def __init__(self, settings: Settings | str | None = None) -> None:
        self.settings = settings_of(settings)
        self._http = httpx.AsyncClient(verify=verification(self.settings), trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def cameras(self) -> tuple[Camera, ...]:
        """See `Client.cameras`."""
        return await self._ask(_requests.cameras())

    async def frames(
        self,
        camera: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        task: str | None = None,
        page_size: int | None = None,
        kept: bool = False,
    ) -> AsyncIterator[Frame]:
        """See `Client.frames`."""
        page = await self._ask(
            _requests.frames(camera, since=since, until=until, task=task, page_size=page_size, kept=kept)
        )
        while True:
            for frame in page.frames:
                yield frame
            if page.next is None:
                return
            page = await self._ask(_requests.page_at(page.next))

    async def frame(self, camera: str, frame: str) -> Frame:
        """See `Client.frame`."""
        return await self._ask(_requests.frame(camera, frame))

    async def frame_at(self, camera: str, time: datetime) -> Frame:
        """See `Client.frame_at`."""
        return await self._ask(_requests.frame_at(camera, time))

    async def view(
        self,
        camera: str,
        frame: str,
        view: ViewName = "machine",
        *,
        reason: str | None = None,
        slices: int | None = None,
        width: int | None = None,
        format: ImageFormat = "jpeg",
        wait: float | None = None,
    ) -> View:
        """See `Client.view`."""
        return await self._ask(
            _requests.view(
                camera,
                frame,
                view,
                reason=reason,
                slices=slices,
                width=width,
                image_format=format,
                wait=wait,
            )
        )

    async def layer(
        self,
        camera: str,
        frame: str,
        layer: LayerName,
        *,
        reason: str | None = None,
        wait: float | None = None,
    ) -> LayerBytes:
        """See `Client.layer`."""
        return await self._ask(_requests.layer(camera, frame, layer, reason=reason, wait=wait))

    async def keep(self, camera: str, frame: str, *, reason: str | None = None) -> Frame:
        """See `Client.keep`."""
        return await self._ask(_requests.keep(camera, frame, reason=reason))

    def subscribe(
        self,
        cameras: Sequence[str] = (),
        *,
        labels: Sequence[str] = (),
        minimum_score: float = 0.0,
        task: str = "",
        start: Start = "latest",
        resume_after: Mapping[str, str] | None = None,
    ) -> AsyncSubscription:
        """See `Client.subscribe`."""
        wanted = Wanted(
            cameras=tuple(cameras), labels=tuple(labels), minimum_score=minimum_score, task=task, start=start
        )
        return AsyncSubscription(self.settings, wanted, resume_after or {})

    def pushing(
        self,
        camera: str,
        *,
        encoding: Encoding = Encoding(),
        model: bytes | None = None,
        store: str | None = None,
        retention: float = 3600.0,
        most_waiting: int = 32,
    ) -> AsyncFeed:
        """See `Client.pushing`."""
        return AsyncFeed(
            self.settings,
            camera,
            encoding=encoding,
            model=model,
            store=store,
            retention=retention,
            most_waiting=most_waiting,
        )

    async def _ask(self, request: Request[T]) -> T:
        steps = exchange(request, self.settings)
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                answer: T = end.value
                return answer
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                outcome = None
                continue
            try:
                outcome = await self._http.send(step)
            except httpx.TransportError as error:
                outcome = error
