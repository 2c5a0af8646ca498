"""The client for programs with an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from secondsight.client import _requests
from secondsight.client._client import settings_of, verification
from secondsight.client._download import CHUNK, Download
from secondsight.client._exceptions import ClientError
from secondsight.client._exchange import Outcome, Pause, exchange
from secondsight.client._feed import AsyncFeed, Encoding
from secondsight.client._requests import Request
from secondsight.client._results import Start, Wanted
from secondsight.client._settings import Settings
from secondsight.client._subscription import AsyncSubscription
from secondsight.client._values import (
    Box,
    Camera,
    Document,
    ExportKind,
    Frame,
    ImageFormat,
    Job,
    LayerBytes,
    LayerName,
    Mark,
    MarksSummary,
    Page,
    Recogniser,
    Thing,
    Timeline,
    Verdict,
    View,
    ViewName,
)

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

    async def recognisers(self) -> tuple[Recogniser, ...]:
        """See `Client.recognisers`."""
        return await self._ask(_requests.recognisers())

    def frames(
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
        return self._pages(
            _requests.frames(camera, since=since, until=until, task=task, page_size=page_size, kept=kept)
        )

    async def frame(self, camera: str, frame: str, *, task: str | None = None) -> Frame:
        """See `Client.frame`."""
        return await self._ask(_requests.frame(camera, frame, task=task))

    async def frame_at(self, camera: str, time: datetime, *, task: str | None = None) -> Frame:
        """See `Client.frame_at`."""
        return await self._ask(_requests.frame_at(camera, time, task=task))

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
        download: bool = False,
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
                download=download,
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

    async def cost(
        self,
        camera: str,
        frame: str,
        view: ViewName = "machine",
        *,
        slices: int | None = None,
        reason: str | None = None,
    ) -> Document:
        """See `Client.cost`."""
        return await self._ask(_requests.cost(camera, frame, view, slices=slices, reason=reason))

    async def overview(self) -> Document:
        """See `Client.overview`."""
        return await self._ask(_requests.overview())

    async def timeline(
        self,
        camera: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        buckets: int | None = None,
        task: str | None = None,
    ) -> Timeline:
        """See `Client.timeline`."""
        return await self._ask(
            _requests.timeline(camera, since=since, until=until, buckets=buckets, task=task)
        )

    def things(
        self,
        camera: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        label: str | None = None,
        zone: str | None = None,
        alert: bool = False,
        task: str | None = None,
    ) -> AsyncIterator[Thing]:
        """See `Client.things`."""
        return self._pages(
            _requests.things(camera, since=since, until=until, label=label, zone=zone, alert=alert, task=task)
        )

    def marks(self, camera: str | None = None) -> AsyncIterator[Mark]:
        """See `Client.marks`."""
        return self._pages(_requests.marks(camera))

    async def marks_of(self, camera: str, frame: str) -> tuple[Mark, ...]:
        """See `Client.marks_of`."""
        return await self._ask(_requests.marks_of(camera, frame))

    async def marks_summary(
        self, camera: str | None = None, *, since: datetime | None = None, until: datetime | None = None
    ) -> MarksSummary:
        """See `Client.marks_summary`."""
        return await self._ask(_requests.marks_summary(camera, since=since, until=until))

    async def mark(
        self,
        camera: str,
        frame: str,
        verdict: Verdict,
        *,
        detection: int | None = None,
        box: Box | None = None,
        label: str | None = None,
        note: str = "",
        reason: str | None = None,
    ) -> Mark:
        """See `Client.mark`."""
        return await self._ask(
            _requests.mark(
                camera,
                frame,
                verdict,
                detection=detection,
                box=box,
                label=label,
                note=note,
                reason=reason,
            )
        )

    async def remove_mark(self, mark: Mark, *, reason: str | None = None) -> None:
        """See `Client.remove_mark`."""
        await self._ask(_requests.remove_mark(mark, reason=reason))

    async def make_clip(
        self,
        camera: str,
        since: datetime,
        until: datetime,
        view: ViewName = "machine",
        *,
        slices: int | None = None,
        width: int | None = None,
        reason: str | None = None,
        key: str | None = None,
    ) -> Job:
        """See `Client.make_clip`."""
        return await self._ask(
            _requests.make_clip(
                camera, since, until, view, slices=slices, width=width, reason=reason, key=key
            )
        )

    async def make_export(
        self,
        kind: ExportKind,
        cameras: Sequence[str],
        since: datetime,
        until: datetime,
        *,
        view: ViewName = "machine",
        format: ImageFormat = "jpeg",
        slices: int | None = None,
        width: int | None = None,
        task: str | None = None,
        reason: str | None = None,
        key: str | None = None,
    ) -> Job:
        """See `Client.make_export`."""
        return await self._ask(
            _requests.make_export(
                kind,
                cameras,
                since,
                until,
                view=view,
                image_format=format,
                slices=slices,
                width=width,
                task=task,
                reason=reason,
                key=key,
            )
        )

    async def clips(self) -> tuple[Job, ...]:
        """See `Client.clips`."""
        return await self._ask(_requests.jobs("clips"))

    async def exports(self) -> tuple[Job, ...]:
        """See `Client.exports`."""
        return await self._ask(_requests.jobs("exports"))

    async def job(self, job: Job) -> Job:
        """See `Client.job`."""
        return await self._ask(_requests.job(job))

    async def wait_for(
        self, job: Job, *, progress: Callable[[Job], None] | None = None, every: float = 1.0
    ) -> Job:
        """See `Client.wait_for`."""
        while True:
            if progress is not None:
                progress(job)
            if _requests.is_done(job):
                return job
            await asyncio.sleep(every)
            job = await self.job(job)

    async def download(self, job: Job, path: Path | str) -> Path:
        """See `Client.download`."""
        with Download(_requests.file_of(job), Path(path), self.settings) as download:
            while True:
                try:
                    response = await self._http.send(download.request(), stream=True)
                    try:
                        if response.is_error:
                            await response.aread()
                        download.began(response)
                        async for data in response.aiter_bytes(CHUNK):
                            download.write(data)
                        return Path(path)
                    finally:
                        await response.aclose()
                except (httpx.TransportError, ClientError) as error:
                    wait = download.failed(error)
                await asyncio.sleep(wait)

    async def forget(self, job: Job) -> None:
        """See `Client.forget`."""
        await self._ask(_requests.forget(job))

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

    async def _pages(self, request: Request[Page[T]]) -> AsyncIterator[T]:
        asked: Request[Page[T]] | None = request
        while asked is not None:
            page = await self._ask(asked)
            for item in page.items:
                yield item
            asked = _requests.following(request, page)

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
