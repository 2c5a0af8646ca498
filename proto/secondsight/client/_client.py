"""The client for programs without an event loop."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

import httpx

from secondsight.client import _requests
from secondsight.client._exchange import Outcome, Pause, exchange
from secondsight.client._feed import AsyncFeed, Encoding, Feed
from secondsight.client._loop_thread import LoopThread
from secondsight.client._requests import Request
from secondsight.client._results import Start, Wanted
from secondsight.client._settings import Settings
from secondsight.client._subscription import AsyncSubscription, Subscription
from secondsight.client._values import Camera, Frame, ImageFormat, LayerBytes, LayerName, View, ViewName

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
        page = self._ask(
            _requests.frames(camera, since=since, until=until, task=task, page_size=page_size, kept=kept)
        )
        yield from page.frames
        while page.next is not None:
            page = self._ask(_requests.page_at(page.next))
            yield from page.frames

    def frame(self, camera: str, frame: str) -> Frame:
        """One frame."""
        return self._ask(_requests.frame(camera, frame))

    def frame_at(self, camera: str, time: datetime) -> Frame:
        """The frame that was captured nearest to a moment."""
        return self._ask(_requests.frame_at(camera, time))

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
    ) -> View:
        """A picture of a frame.

        Args:
            view: `machine`, from the machine layer alone; `human`, from both.
            reason: of a human view, what it is for, in one line; the server's audit keeps it.
            slices: a human view from the first 1 to 5 slices of the enhancement layer; from all when left out.
            width: at most so many pixels wide.
            wait: seconds that layers may take to come from the camera's edge, when it alone has them.
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
            cameras: only these; all, also those that appear later, when empty.
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
