"""Frames of one camera to the server, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc.aio

from secondsight.cancelling import cancel_all, cancelled_by_server, first_of
from secondsight.client._calls import asked_wait, call_error, may_pass, metadata, open_channel
from secondsight.client._enhancement_store import EnhancementStore
from secondsight.client._exceptions import (
    ClientError,
    FeedClosedError,
    IncompatibleServerError,
    PushError,
    SettingsError,
    TimedOutError,
    UnreachableError,
)
from secondsight.client._exchange import VERSION, wait_after
from secondsight.client._loop_thread import LoopThread
from secondsight.client._outbox import Layers, Outbox, Pushed
from secondsight.client._settings import Settings
from secondsight.store_keys import InvalidCameraIdError, checked_camera_id
from secondsight.v1 import ingest_pb2, ingest_pb2_grpc

if TYPE_CHECKING:
    from secondsight.client._picture_encoder import Picture, PictureEncoder

    PushCall = grpc.aio.StreamStreamCall[ingest_pb2.PushRequest, ingest_pb2.PushResponse]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How pictures are encoded: as for ``secondsight encode``; the codec's defaults where None.

    `quality` is that of frames predicted from a key frame, whose own human view is finer.
    """

    profile: str = "lite"
    device: str = "auto"
    quality: int | None = None
    machine_quality: int | None = None
    slices: int | None = None


class AsyncFeed:
    """Pushes frames, inside ``async with``. Opened by `AsyncClient.pushing`.

    Frames are sent in the order in which they are pushed, and kept until the server has answered for them: after a lost
    connection they are sent again. Leaving the context waits for that.
    """

    def __init__(
        self,
        settings: Settings,
        camera: str,
        *,
        encoding: Encoding,
        model: bytes | None,
        store: str | None,
        retention: float,
        most_waiting: int,
    ) -> None:
        try:
            checked_camera_id(camera)
        except InvalidCameraIdError as error:
            raise SettingsError(str(error)) from error
        if most_waiting < 1:
            raise SettingsError(f"{most_waiting} frames cannot wait; give 1 or more")
        self._settings = settings
        self._camera = camera
        self._encoding = encoding
        self._model = model
        self._store = None if store is None else EnhancementStore(store, camera, retention, settings.tls)
        self._most_waiting = most_waiting
        self._outbox = Outbox(camera)
        self._encoder: PictureEncoder | None = None
        self._threads = ThreadPoolExecutor(1, "secondsight-encoder")
        self._newest_key: Pushed | None = None
        self._began_ns = 0
        self._in_turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._connected = False
        self._ever_connected = False
        self._task: asyncio.Task[None] | None = None

    @property
    def key_wanted(self) -> bool:
        """Whether the next of one's own layers has to be a key frame; nothing else can be predicted from now."""
        return self._outbox.key_wanted

    @property
    def waiting(self) -> int:
        """Frames that the server has not answered for."""
        return len(self._outbox)

    async def __aenter__(self) -> Self:
        if self._model is None:
            self._encoder = await asyncio.get_running_loop().run_in_executor(self._threads, self._load)
            self._model = self._encoder.model
        self._task = asyncio.create_task(self._run())
        try:
            await self._until(lambda: self._ever_connected)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self.flush()
        finally:
            await self.close()

    async def push(
        self, picture: Picture, *, captured_at: datetime | None = None, pts_us: int | None = None
    ) -> Pushed:
        """Encode a picture and have it sent; waits while too many wait.

        Args:
            picture: RGB as uint8, height x width x 3; a Pillow picture; or a file that Pillow reads, its bytes or path.
            captured_at: now when left out.
            pts_us: its time in its source, microseconds; since the first frame when left out.

        Raises:
            PictureError: it cannot be encoded.
            ClientError: the feed has failed for good.
        """
        at_ns = _nanoseconds(captured_at)
        async with self._in_turn:
            await self._room()
            encoder = self._encoder
            if encoder is None:
                raise PushError("this feed was opened for layers of another encoder: use push_layers")
            if self._outbox.key_wanted:
                encoder.request_key()
            layers, encode_us = await asyncio.get_running_loop().run_in_executor(
                self._threads, encoder.encode, picture, self._newest_key
            )
            return self._add(layers, at_ns, pts_us, encode_us)

    async def push_layers(
        self, layers: Layers, *, captured_at: datetime | None = None, pts_us: int | None = None
    ) -> Pushed:
        """Have a frame sent that is encoded already; waits while too many wait."""
        at_ns = _nanoseconds(captured_at)
        async with self._in_turn:
            await self._room()
            return self._add(layers, at_ns, pts_us, 0)

    async def flush(self) -> None:
        """Wait until the server has answered for all frames.

        Raises:
            FrameRefusedError: the first of those that it refused since the last time.
            ClientError: the feed has failed for good.
        """
        await self._until(lambda: not self._outbox)
        refusals, self._outbox.refusals = self._outbox.refusals, []
        if refusals:
            raise refusals[0]

    async def close(self) -> None:
        """End it, whatever waits."""
        if self._task is not None:
            await cancel_all([self._task])
        self._threads.shutdown(wait=False)
        if self._store is not None:
            await self._store.close()
        self._changed.set()

    def _load(self) -> PictureEncoder:
        from secondsight.client._picture_encoder import PictureEncoder

        encoding = self._encoding
        return PictureEncoder(
            profile=encoding.profile,
            device=encoding.device,
            quality=encoding.quality,
            machine_quality=encoding.machine_quality,
            slices=encoding.slices,
        )

    def _add(self, layers: Layers, at_ns: int, pts_us: int | None, encode_us: int) -> Pushed:
        self._began_ns = self._began_ns or at_ns
        since = (at_ns - self._began_ns) // 1000 if pts_us is None else pts_us
        pushed = Pushed(layers, at_ns, since, min(encode_us, 2**32 - 1))
        if layers.key is None:
            self._newest_key = pushed
        self._outbox.add(pushed)
        self._changed.set()
        return pushed

    async def _room(self) -> None:
        self._check()
        await self._until(lambda: len(self._outbox) < self._most_waiting)

    async def _until(self, predicate: Callable[[], bool]) -> None:
        """Wait until `predicate` holds, which is looked at after every change.

        Raises:
            ClientError: it never will, because the feed has ended.
        """
        while not predicate():
            self._check()
            self._changed.clear()
            await self._changed.wait()

    def _check(self) -> None:
        """Raise what ended the feed, if it has ended."""
        if self._task is None or self._task.cancelled():
            raise FeedClosedError("the feed is not open, and takes no frames")
        if self._task.done():
            self._task.result()

    async def _run(self) -> None:
        failures = 0
        retries = self._settings.retries
        try:
            while True:
                self._connected = False
                try:
                    wait = await self._connection()
                    failures = 0
                except ClientError as error:
                    if self._connected:
                        failures = 0
                    last = not self._ever_connected and failures + 1 >= retries.attempts
                    if not may_pass(error) or last:
                        raise
                    wait = asked_wait(error, retries.patience)
                    _LOG.info("feed of %s to %s: %s", self._camera, self._settings.grpc_address, str(error))
                # Jitter also after a drain, or all feeds of a server would come back in one moment.
                wait += wait_after(failures, retries)
                failures += 1
                await asyncio.sleep(wait)
        finally:
            self._changed.set()

    async def _connection(self) -> float:
        """One stream from Hello to its end by a Drain; seconds after which to connect again."""
        assert self._model is not None
        token = self._settings.camera_token
        async with open_channel(self._settings) as channel:
            call: PushCall = ingest_pb2_grpc.IngestServiceStub(channel).Push(metadata=metadata(token))
            try:
                await self._greet(call, self._model)
                await first_of(self._send(call), self._receive(call), self._watch())
            except grpc.aio.AioRpcError as error:
                raise call_error(error, self._settings) from error
            except asyncio.InvalidStateError as error:
                raise UnreachableError("the server closed the stream") from error
            finally:
                call.cancel()
                self._outbox.hang_up()
        draining = self._outbox.draining
        if draining is None:
            raise UnreachableError("the server closed the stream")
        return float(draining.reconnect_after.ToNanoseconds() / 1e9)

    async def _greet(self, call: PushCall, model: bytes) -> None:
        hello = ingest_pb2.Hello(
            camera_id=self._camera,
            session=self._outbox.session,
            model_id=model,
            edge_version=f"client {VERSION}",
        )
        timeouts = self._settings.timeouts
        try:
            async with asyncio.timeout(timeouts.connect + timeouts.acknowledge):
                await call.write(ingest_pb2.PushRequest(hello=hello))
                welcome = await self._read(call)
        except TimeoutError as error:
            raise TimedOutError(f"{self._settings.grpc_address} does not answer in time") from error
        if welcome is None or welcome.WhichOneof("kind") != "welcome":
            raise IncompatibleServerError("the server's first answer is no Welcome")
        self._outbox.welcome(welcome.welcome)
        self._connected = self._ever_connected = True
        self._changed.set()

    async def _send(self, call: PushCall) -> None:
        outbox = self._outbox
        while True:
            await self._until(lambda: outbox.draining is not None or outbox.may_send)
            if outbox.draining is not None:
                # What the server took before it is still answered for.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.timeouts.drain):
                        await self._until(lambda: outbox.under_way == 0)
                await call.done_writing()
                return
            pushed = outbox.next()
            if pushed is not None and self._store is not None:
                await self._store.stow(pushed)
            # Meanwhile the server may have begun to drain, or refused the key frame that this one needs.
            if pushed is not None and outbox.may_send and outbox.next() is pushed:
                await call.write(ingest_pb2.PushRequest(frame=outbox.message(pushed)))
            self._changed.set()

    async def _receive(self, call: PushCall) -> None:
        while (response := await self._read(call)) is not None:
            self._heard_at = time.monotonic()
            self._outbox.answer(response)
            self._changed.set()

    async def _watch(self) -> None:
        """End a connection whose server has frames to answer for and says nothing."""
        patience = self._settings.timeouts.acknowledge
        self._heard_at = time.monotonic()
        while True:
            if not self._outbox.under_way:
                self._heard_at = time.monotonic()
            silent = time.monotonic() - self._heard_at
            if silent >= patience:
                raise TimedOutError(f"no answer for {silent:.0f} s with frames under way")
            await asyncio.sleep(min(1.0, patience - silent))

    async def _read(self, call: PushCall) -> ingest_pb2.PushResponse | None:
        """The next answer; None at a clean end of the stream."""
        with cancelled_by_server(UnreachableError("the server cancelled the stream")):
            response = await call.read()
        if response is grpc.aio.EOF:
            return None
        assert isinstance(response, ingest_pb2.PushResponse)
        return response


class Feed:
    """Pushes frames, inside ``with``. Opened by `Client.pushing`; otherwise as `AsyncFeed`."""

    def __init__(self, make: Callable[[], AsyncFeed], loop: LoopThread) -> None:
        self._loop = loop
        self._feed = loop.run(_called(make))

    @property
    def key_wanted(self) -> bool:
        """See `AsyncFeed.key_wanted`."""
        return self._feed.key_wanted

    @property
    def waiting(self) -> int:
        """See `AsyncFeed.waiting`."""
        return self._feed.waiting

    def __enter__(self) -> Self:
        self._loop.run(self._feed.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.run(self._feed.__aexit__(kind, error, trace))

    def push(
        self, picture: Picture, *, captured_at: datetime | None = None, pts_us: int | None = None
    ) -> Pushed:
        """See `AsyncFeed.push`."""
        return self._loop.run(self._feed.push(picture, captured_at=captured_at, pts_us=pts_us))

    def push_layers(
        self, layers: Layers, *, captured_at: datetime | None = None, pts_us: int | None = None
    ) -> Pushed:
        """See `AsyncFeed.push_layers`."""
        return self._loop.run(self._feed.push_layers(layers, captured_at=captured_at, pts_us=pts_us))

    def flush(self) -> None:
        """See `AsyncFeed.flush`."""
        self._loop.run(self._feed.flush())

    def close(self) -> None:
        """See `AsyncFeed.close`."""
        self._loop.run(self._feed.close())


async def _called(make: Callable[[], AsyncFeed]) -> AsyncFeed:
    """On the loop that it will live on."""
    return make()


def _nanoseconds(moment: datetime | None) -> int:
    if moment is None:
        return time.time_ns()
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
