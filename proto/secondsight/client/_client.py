"""The client for programs without an event loop."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from secondsight.client import _requests
from secondsight.client._download import CHUNK, Download
from secondsight.client._exceptions import ClientError
from secondsight.client._exchange import Outcome, Pause, exchange
from secondsight.client._feed import AsyncFeed, Encoding, Feed
from secondsight.client._loop_thread import LoopThread
from secondsight.client._requests import Request
from secondsight.client._results import Start, Wanted
from secondsight.client._settings import Settings
from secondsight.client._subscription import AsyncSubscription, Subscription
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


class Client:
    """Asks one server. Safe for several threads; close it, or use it by ``with``.

    Every method raises `ClientError`: see there what it may be. Calls that do no more when they are made twice are
    tried again as `Settings.retries` says.

    Args:
        settings: an `http://HOST:PORT` alone, or all there is to say; the environment's when left out.
    """

    def __init__(self, settings: Settings | str | None = None) -> None:
        self.settings = settings_of(settings)
        self._http = httpx.Client(verify=verification(self.settings), trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def cameras(self) -> tuple[Camera, ...]:
        """Cameras that have stored a frame, as far as one may see them, sorted by name."""
        return self._ask(_requests.cameras())

    def recognisers(self) -> tuple[Recogniser, ...]:
        """What each task recognises with, of every task that a worker has begun, by the names of tasks."""
        return self._ask(_requests.recognisers())

    def frames(
        self,
        camera: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        task: str | None = None,
        page_size: int | None = None,
        kept: bool = False,
    ) -> Iterator[Frame]:
        """Frames of a camera, newest first, page after page as they are asked for.

        Args:
            since, until: by when they were captured: from `since`, and before `until`.
            task: whose results they bring; the default one's when left out.
            kept: only those that are kept because of an alert, or because somebody said so.
        """
        return self._pages(
            _requests.frames(camera, since=since, until=until, task=task, page_size=page_size, kept=kept)
        )

    def frame(self, camera: str, frame: str, *, task: str | None = None) -> Frame:
        """One frame."""
        return self._ask(_requests.frame(camera, frame, task=task))

    def frame_at(self, camera: str, time: datetime, *, task: str | None = None) -> Frame:
        """The frame that was captured nearest to a moment."""
        return self._ask(_requests.frame_at(camera, time, task=task))

    def view(
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
        """A picture of a frame.

        Args:
            view: `machine`, from the machine layer alone; `human`, from both.
            reason: of a human view, what it is for, in one line; the server's audit keeps it.
            slices: a human view from the first 1 to 5 slices of the enhancement layer; from all when left out.
            width: at most so many pixels wide.
            wait: seconds that layers may take to come from the camera's edge, when it alone has them.
            download: a file to keep: it says within where it comes from, and who took it when.
        """
        return self._ask(
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

    def layer(
        self,
        camera: str,
        frame: str,
        layer: LayerName,
        *,
        reason: str | None = None,
        wait: float | None = None,
    ) -> LayerBytes:
        """A raw bitstream. The enhancement layer is guarded as a human view is, and takes a reason."""
        return self._ask(_requests.layer(camera, frame, layer, reason=reason, wait=wait))

    def keep(self, camera: str, frame: str, *, reason: str | None = None) -> Frame:
        """Have a frame kept with both layers, as long as what somebody has to look at."""
        return self._ask(_requests.keep(camera, frame, reason=reason))

    def cost(
        self,
        camera: str,
        frame: str,
        view: ViewName = "machine",
        *,
        slices: int | None = None,
        reason: str | None = None,
    ) -> Document:
        """Bytes of a view, beside those of both layers and of a JPEG that shows as much."""
        return self._ask(_requests.cost(camera, frame, view, slices=slices, reason=reason))

    def overview(self) -> Document:
        """Uplinks, lag, drops, store and views: what the console's overview shows."""
        return self._ask(_requests.overview())

    def timeline(
        self,
        camera: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        buckets: int | None = None,
        task: str | None = None,
    ) -> Timeline:
        """What a camera has shown, for longer than its frames are kept; the last hour unless told otherwise.

        Args:
            buckets: at most so many stretches of time, about.
        """
        return self._ask(_requests.timeline(camera, since=since, until=until, buckets=buckets, task=task))

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
    ) -> Iterator[Thing]:
        """What a camera has seen for a while, last first, each with the frame that shows it best.

        Args:
            alert: only what somebody has to look at.
        """
        return self._pages(
            _requests.things(camera, since=since, until=until, label=label, zone=zone, alert=alert, task=task)
        )

    def marks(self, camera: str | None = None) -> Iterator[Mark]:
        """What operators said of results, of one camera or of all that one may see."""
        return self._pages(_requests.marks(camera))

    def marks_of(self, camera: str, frame: str) -> tuple[Mark, ...]:
        """What was said of a frame."""
        return self._ask(_requests.marks_of(camera, frame))

    def marks_summary(
        self, camera: str | None = None, *, since: datetime | None = None, until: datetime | None = None
    ) -> MarksSummary:
        """How often results were right, as far as operators have looked."""
        return self._ask(_requests.marks_summary(camera, since=since, until=until))

    def mark(
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
        """Say that a detection is right or wrong, or that something was missed. The frame is kept then.

        Args:
            detection: its place in the result's detections, counted from 0.
            box, label: of what was missed; of what is wrong, `label` says what it is instead.
            reason: that of the human view.
        """
        return self._ask(
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

    def remove_mark(self, mark: Mark, *, reason: str | None = None) -> None:
        """Take back what one has said."""
        self._ask(_requests.remove_mark(mark, reason=reason))

    def make_clip(
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
        """Have a film made of what a camera showed; `wait_for` waits for it, `download` fetches it.

        Args:
            key: the same clip asked for again with the same key is no second one.
        """
        return self._ask(
            _requests.make_clip(
                camera, since, until, view, slices=slices, width=width, reason=reason, key=key
            )
        )

    def make_export(
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
        """Have a file made of many frames: `results` and `marks` for COCO's tools, zips of `views` and `layers`."""
        return self._ask(
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

    def clips(self) -> tuple[Job, ...]:
        """One's own clips, or all of them for admins; the last one asked for first."""
        return self._ask(_requests.jobs("clips"))

    def exports(self) -> tuple[Job, ...]:
        """Likewise exports."""
        return self._ask(_requests.jobs("exports"))

    def job(self, job: Job) -> Job:
        """How far a clip or an export is now."""
        return self._ask(_requests.job(job))

    def wait_for(self, job: Job, *, progress: Callable[[Job], None] | None = None, every: float = 1.0) -> Job:
        """Wait until a clip or an export is there.

        Args:
            progress: told how far it is, at first and `every` so many seconds.

        Raises:
            JobError: it was not made.
        """
        while True:
            if progress is not None:
                progress(job)
            if _requests.is_done(job):
                return job
            time.sleep(every)
            job = self.job(job)

    def download(self, job: Job, path: Path | str) -> Path:
        """Fetch the file of a clip or an export; what is cut off goes on where it was.

        Raises:
            JobError: there is none.
        """
        with Download(_requests.file_of(job), Path(path), self.settings) as download:
            while True:
                try:
                    response = self._http.send(download.request(), stream=True)
                    try:
                        if response.is_error:
                            response.read()
                        download.began(response)
                        for data in response.iter_bytes(CHUNK):
                            download.write(data)
                        return Path(path)
                    finally:
                        response.close()
                except (httpx.TransportError, ClientError) as error:
                    wait = download.failed(error)
                time.sleep(wait)

    def forget(self, job: Job) -> None:
        """Cancel a clip or an export, and remove what there is of it."""
        self._ask(_requests.forget(job))

    def subscribe(
        self,
        cameras: Sequence[str] = (),
        *,
        labels: Sequence[str] = (),
        minimum_score: float = 0.0,
        task: str = "",
        start: Start = "latest",
        resume_after: Mapping[str, str] | None = None,
    ) -> Subscription:
        """Results as they come::

            with client.subscribe(["gate"], labels=["person"]) as results:
                for result in results:
                    ...

        Args:
            cameras: only these, also those that nobody has had so far; all, also those that appear later, when empty.
            labels, minimum_score: only such detections; frames without any are left out then.
            task: whose results; the default one's when empty.
            start: where cameras begin that have no position: at the `latest` result or the `earliest` that is kept.
            resume_after: the `positions` of an earlier subscription, to go on from there.
        """
        wanted = Wanted(
            cameras=tuple(cameras), labels=tuple(labels), minimum_score=minimum_score, task=task, start=start
        )
        return Subscription(AsyncSubscription(self.settings, wanted, resume_after or {}), LoopThread.shared())

    def pushing(
        self,
        camera: str,
        *,
        encoding: Encoding = Encoding(),
        model: bytes | None = None,
        store: str | None = None,
        retention: float = 3600.0,
        most_waiting: int = 32,
    ) -> Feed:
        """Push frames of a camera::

            with client.pushing("gate", store="redis://127.0.0.1:6379/0") as feed:
                for picture in pictures:
                    feed.push(picture)

        Args:
            encoding: of the pictures; by the codec's defaults when left out.
            model: identity of the codec's model, of layers that were encoded elsewhere (`push_layers`); then nothing is
                encoded here.
            store: the server's store, for enhancement layers. Without one there are no human views.
            retention: seconds for which they are kept.
            most_waiting: frames that may wait for the server's answer; then `push` waits.
        """

        def make() -> AsyncFeed:
            return AsyncFeed(
                self.settings,
                camera,
                encoding=encoding,
                model=model,
                store=store,
                retention=retention,
                most_waiting=most_waiting,
            )

        return Feed(make, LoopThread.shared())

    def _pages(self, request: Request[Page[T]]) -> Iterator[T]:
        asked: Request[Page[T]] | None = request
        while asked is not None:
            page = self._ask(asked)
            yield from page.items
            asked = _requests.following(request, page)

    def _ask(self, request: Request[T]) -> T:
        steps = exchange(request, self.settings)
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                answer: T = end.value
                return answer
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                outcome = None
                continue
            try:
                outcome = self._http.send(step)
            except httpx.TransportError as error:
                outcome = error


def settings_of(settings: Settings | str | None) -> Settings:
    """All that a client is told."""
    if isinstance(settings, str):
        return Settings(server=settings)
    return Settings.from_environment() if settings is None else settings


def verification(settings: Settings) -> ssl.SSLContext | bool:
    """How httpx proves who the server is."""
    return settings.tls.context() if settings.secure else True
