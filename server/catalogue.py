"""What the store knows of cameras and frames, for those who ask."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from secondsight import store_keys
from secondsight.v1 import analytics_pb2, frame_pb2
from server import metrics
from server.camera_state import tell_state
from server.enhancement_stores import EnhancementStores
from server.enhancement_wanted import Asked
from server.errors import (
    CameraStoreSilentError,
    EnhancementError,
    EnhancementEvictedError,
    EnhancementExpiredError,
    EnhancementNotStoredError,
    KeyFrameGoneError,
    UndecodableLayerError,
    UnknownCameraError,
    UnknownFrameError,
)
from server.frame_search import FrameSearch
from server.kept_frames import KeptFrames
from server.lag import Lags
from server.store.asking import asks_store
from server.told_recogniser import ToldRecogniser

_P = ParamSpec("_P")
_T = TypeVar("_T")


def key_frame_of(frame: frame_pb2.Frame) -> str | None:
    """Name of the key frame that a frame is predicted from; None when it is one itself."""
    if not frame.reference_sequence:
        return None
    return store_keys.entry_id(frame.reference_session, frame.reference_sequence)


class EnhancementState(StrEnum):
    """Whether a human view can be had."""

    KEPT = "kept"
    EXPIRED = "expired"
    """Its time to live is over."""
    EVICTED = "evicted"
    """It went before its time, because the store was full."""
    AT_EDGE = "at_edge"
    """The edge has it, and is asked for it when somebody wants to see the frame."""
    UNREACHABLE = "unreachable"
    """It may be kept, in a store of the camera's that does not answer now."""
    NOT_STORED = "not_stored"
    """The edge stored none."""
    KEY_GONE = "key_gone"
    """It is kept, and that of the key frame, without which it says nothing, is not."""


_WHY_GONE: Final[dict[EnhancementState, type[EnhancementError]]] = {
    EnhancementState.EXPIRED: EnhancementExpiredError,
    EnhancementState.EVICTED: EnhancementEvictedError,
    EnhancementState.NOT_STORED: EnhancementNotStoredError,
}


@dataclass(frozen=True)
class StoredFrame:
    """A frame with its name, its result once there is one, and what has become of its enhancement layer."""

    name: str
    frame: frame_pb2.Frame
    machine_bytes: int
    """Of the machine layer, which `frame` lacks when it is one of a page."""
    result: analytics_pb2.RecognitionResult | None
    enhancement: EnhancementState
    enhancement_expires_at: Timestamp | None
    """When its layer's life is over; None when there is none, or when the edge alone knows."""

    @property
    def key_frame(self) -> str | None:
        """Name of the key frame that it is predicted from; None when it is one itself."""
        return key_frame_of(self.frame)


@dataclass(frozen=True)
class KeyLayers:
    """Layers of a key frame, as far as a frame predicted from it is to be decoded."""

    machine: bytes
    enhancement: bytes | None = None


@dataclass(frozen=True)
class HumanLayers:
    """What a human view takes beside the machine layer; `key` for a predicted frame."""

    enhancement: bytes
    key: KeyLayers | None


@dataclass(frozen=True)
class Reach:
    """How far back a camera's frames go.

    Attributes:
        oldest: when the first of its stream was captured; None without any.
        enhancement_life: seconds from the newest frame's capture to the end of its enhancement layer; None when it has
            none, or when the edge alone knows.
    """

    oldest: Timestamp | None
    enhancement_life: float | None


@dataclass(frozen=True)
class FramePage:
    """Frames, newest first, and the name after which the next page begins."""

    frames: list[StoredFrame]
    next_before: str | None


def _reads_store(ask: Callable[_P, Awaitable[_T]]) -> Callable[_P, Awaitable[_T]]:
    @asks_store
    @wraps(ask)
    async def asking(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await ask(*args, **kwargs)
        except DecodeError as error:
            raise UndecodableLayerError(error) from error

    return asking


class Catalogue:
    """Reads what ingest and workers have stored.

    Every method may raise StoreUnavailableError, or UndecodableLayerError for an entry that is no message.
    A page is read `read_at_once` entries at a time: with their layers, all of them might not fit in memory.
    """

    def __init__(self, redis: Redis, stores: EnhancementStores, *, read_at_once: int) -> None:
        self._redis = redis
        self._stores = stores
        self._kept_frames = KeptFrames(redis)
        self._lags = Lags(redis)
        self._search = FrameSearch(redis, self._kept_frames)
        self._read_at_once = read_at_once

    @_reads_store
    async def cameras(self) -> list[analytics_pb2.Camera]:
        """Cameras that have ever stored a frame, sorted by name."""
        registered: Any = await self._redis.hgetall(store_keys.CAMERAS)
        return [
            await self._camera(name.decode(), int(stored_at))
            for name, stored_at in sorted(registered.items())
        ]

    async def _camera(self, camera_id: str, stored_at_ns: int) -> analytics_pb2.Camera:
        told: Any = await self._redis.mget(
            store_keys.session(camera_id), store_keys.edge(camera_id), store_keys.uplink(camera_id)
        )
        session, report, uplink = told
        camera = analytics_pb2.Camera(
            camera_id=camera_id, session=int(session or 0), awaiting=await self._lags.most(camera_id)
        )
        camera.last_frame_at.FromNanoseconds(stored_at_ns)
        if report is not None:
            camera.edge.ParseFromString(report)
        tell_state(camera, uplink_seen=uplink is not None, watched=metrics.FLOWS.find(camera_id))
        return camera

    @_reads_store
    async def recognisers(self) -> list[ToldRecogniser]:
        """What each task recognises with, by the names of tasks."""
        told: Any = await self._redis.hgetall(store_keys.RECOGNISERS)
        return [ToldRecogniser.from_line(line) for _, line in sorted(told.items())]

    @_reads_store
    async def frames(
        self,
        camera_id: str,
        *,
        before: str | None,
        limit: int,
        from_ns: int | None = None,
        to_ns: int | None = None,
        task: str = store_keys.DEFAULT_TASK,
    ) -> FramePage:
        """The newest `limit` frames of a camera, or the newest before frame `before`, without their machine layers.

        Args:
            from_ns, to_ns: only those that were captured from then on, and before then; nanoseconds since the epoch.
            task: whose results come with them.

        Raises:
            UnknownCameraError
        """
        await self._check_camera(camera_id)
        if before is None and to_ns is not None:
            after = await self._search.first_from(camera_id, to_ns)
            before = None if after is None else after.name
        newest = "+" if before is None else f"({before}"
        found: list[StoredFrame] = []
        while len(found) <= limit:
            count = min(self._read_at_once, limit + 1 - len(found))
            read = await self._newest(camera_id, newest, count, task)
            wanted = [stored for stored in read if _within(stored, from_ns, to_ns)]
            found += wanted
            if len(read) < count or _is_before(read[-1], from_ns):
                break
            newest = f"({read[-1].name}"
        page = found[:limit]
        return FramePage(page, page[-1].name if len(found) > limit else None)

    @_reads_store
    async def nearest(
        self, camera_id: str, moment_ns: int, task: str = store_keys.DEFAULT_TASK
    ) -> StoredFrame:
        """The frame that was captured nearest to a moment, nanoseconds since the epoch.

        Raises:
            UnknownCameraError
            UnknownFrameError: the camera has none.
        """
        await self._check_camera(camera_id)
        name = await self._search.nearest(camera_id, moment_ns)
        if name is None:
            raise UnknownFrameError(camera_id, "at any time")
        return await self.frame(camera_id, name, task)

    @_reads_store
    async def kept(self, camera_id: str, *, before: str | None, limit: int) -> FramePage:
        """Frames that outlive their stream, likewise.

        Raises:
            UnknownCameraError
        """
        await self._check_camera(camera_id)
        last = None if before is None else store_keys.parse_entry_id(before)
        names = [name for name in await self._kept_frames.names(camera_id) if last is None or name < last]
        found: list[StoredFrame] = []
        for name in names[:limit]:
            with suppress(UnknownFrameError):  # the store was full
                stored = await self.frame(camera_id, store_keys.entry_id(*name))
                found.append(replace(stored, frame=_without_layer(stored.frame)))
        return FramePage(found, store_keys.entry_id(*names[limit - 1]) if len(names) > limit else None)

    @_reads_store
    async def frame(self, camera_id: str, name: str, task: str = store_keys.DEFAULT_TASK) -> StoredFrame:
        """One frame, with the result of `task`.

        Raises:
            UnknownCameraError
            UnknownFrameError
        """
        await self._check_camera(camera_id)
        try:
            name = store_keys.entry_id(*store_keys.parse_entry_id(name))
        except store_keys.InvalidEntryIdError as error:
            raise UnknownFrameError(camera_id, name) from error
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.xrange(store_keys.frames(camera_id), name, name)
        pipeline.xrange(store_keys.results(camera_id, task), name, name)
        entries, results = await pipeline.execute()
        result = results[0][1][store_keys.RESULT_FIELD] if results else None
        if entries:
            found = entries[0][1][store_keys.FRAME_FIELD]
        else:
            kept = await self._kept_frames.find(camera_id, *store_keys.parse_entry_id(name))
            if kept is None:
                raise UnknownFrameError(camera_id, name)
            found = kept.frame
            if result is None and task == store_keys.DEFAULT_TASK:
                result = kept.result
        (stored,) = await self._stored([(name.encode(), found, result)])
        return stored

    @_reads_store
    async def of_results(self, results: Sequence[analytics_pb2.RecognitionResult]) -> list[StoredFrame]:
        """The frames of results, of any cameras, as far as results tell of them: without their machine layers."""
        frames = [_frame_of(result) for result in results]
        words = await self._words(frames)
        states: dict[int, EnhancementState] = {}
        for camera_id in dict.fromkeys(frame.id.camera_id for frame in frames):
            of_camera = [at for at, frame in enumerate(frames) if frame.id.camera_id == camera_id]
            found = await self._states([frames[at] for at in of_camera], [words[at] for at in of_camera])
            states |= dict(zip(of_camera, found, strict=True))
        return [
            StoredFrame(
                name=_name(frame),
                frame=frame,
                machine_bytes=result.machine_bytes,
                result=result,
                enhancement=states[at],
                enhancement_expires_at=_expires_at(frame.enhancement, word),
            )
            for at, (frame, word, result) in enumerate(zip(frames, words, results, strict=True))
        ]

    @_reads_store
    async def reach(self, camera_id: str) -> Reach:
        """Since when a camera's frames are kept, and how long enhancement layers live."""
        oldest, newest = await self._search.first(camera_id), await self._search.last(camera_id)
        if oldest is None or newest is None:
            return Reach(None, None)
        receipt = newest.frame.enhancement
        life_ns = receipt.expires_at.ToNanoseconds() - newest.frame.captured_at.ToNanoseconds()
        return Reach(
            oldest.frame.captured_at, round(life_ns / 1e9, 1) if receipt.HasField("expires_at") else None
        )

    @_reads_store
    async def enhancement_state(
        self, frame: frame_pb2.Frame, needed_by: frame_pb2.Frame | None = None
    ) -> EnhancementState:
        """What has become of a layer that no store has; of a key frame's, `needed_by` one that is predicted from it."""
        receipt = frame.enhancement
        if needed_by is not None and receipt.bytes:
            # Whoever stores the layer of a predicted frame has that of the key frame live on as long.
            receipt = max(
                receipt, needed_by.enhancement, key=lambda either: either.expires_at.ToNanoseconds()
            )
        (word,) = await self._words([frame])
        return _state(receipt, word, kept=False)

    @_reads_store
    async def key_frame(self, frame: frame_pb2.Frame) -> frame_pb2.Frame:
        """The key frame that a predicted frame is predicted from.

        Raises:
            KeyFrameGoneError
        """
        name = key_frame_of(frame)
        assert name is not None
        entries: Any = await self._redis.xrange(store_keys.frames(frame.id.camera_id), name, name)
        if entries:
            return frame_pb2.Frame.FromString(entries[0][1][store_keys.FRAME_FIELD])
        kept = await self._kept_frames.find(
            frame.id.camera_id, frame.reference_session, frame.reference_sequence
        )
        if kept is None:
            raise KeyFrameGoneError(frame.id.camera_id, _name(frame), name)
        return frame_pb2.Frame.FromString(kept.frame)

    async def key_layers(self, frame: frame_pb2.Frame) -> KeyLayers:
        """What the machine view of a predicted frame takes beside the frame itself.

        Raises:
            KeyFrameGoneError
        """
        return KeyLayers((await self.key_frame(frame)).machine_layer)

    async def _check_camera(self, camera_id: str) -> None:
        if not await self._redis.hexists(store_keys.CAMERAS, camera_id):
            raise UnknownCameraError(camera_id)

    async def _newest(self, camera_id: str, newest: str, count: int, task: str) -> list[StoredFrame]:
        entries: Any = await self._redis.xrevrange(store_keys.frames(camera_id), newest, "-", count=count)
        if not entries:
            return []
        recognised: Any = await self._redis.xrange(
            store_keys.results(camera_id, task), entries[-1][0], entries[0][0]
        )
        results = {entry_id: fields[store_keys.RESULT_FIELD] for entry_id, fields in recognised}
        frames = await self._stored(
            [
                (entry_id, fields[store_keys.FRAME_FIELD], results.get(entry_id))
                for entry_id, fields in entries
            ]
        )
        return [replace(stored, frame=_without_layer(stored.frame)) for stored in frames]

    async def _stored(self, rows: list[tuple[bytes, bytes, bytes | None]]) -> list[StoredFrame]:
        """Parse rows of (entry id, frame, result)."""
        frames = [frame_pb2.Frame.FromString(frame) for _, frame, _ in rows]
        words = await self._words(frames)
        states = await self._states(frames, words)
        return [
            StoredFrame(
                name=entry_id.decode(),
                frame=frame,
                machine_bytes=len(frame.machine_layer),
                result=None if result is None else analytics_pb2.RecognitionResult.FromString(result),
                enhancement=state,
                enhancement_expires_at=_expires_at(frame.enhancement, word),
            )
            for (entry_id, _, result), frame, word, state in zip(rows, frames, words, states, strict=True)
        ]

    async def _words(self, frames: list[frame_pb2.Frame]) -> list[_Word]:
        pipeline = self._redis.pipeline(transaction=False)
        for frame in frames:
            _look_up(pipeline, frame)
        parts = await pipeline.execute()
        return [_Word(*word) for word in zip(parts[::2], parts[1::2], strict=True)]

    async def _states(self, frames: list[frame_pb2.Frame], words: list[_Word]) -> list[EnhancementState]:
        """Of frames of one camera."""
        if not frames:
            return []
        layers = [key for frame in frames for key in (_enhancement_key(frame), _key_enhancement_key(frame))]
        try:
            kept = await self._stores.exist(frames[0].id.camera_id, layers)
        except CameraStoreSilentError:
            return [
                EnhancementState.UNREACHABLE if frame.enhancement.bytes else EnhancementState.NOT_STORED
                for frame in frames
            ]
        return [
            _state_with_key(frame.enhancement, word, own=own, of_key=of_key)
            for frame, word, own, of_key in zip(frames, words, kept[::2], kept[1::2], strict=True)
        ]


def _within(stored: StoredFrame, from_ns: int | None, to_ns: int | None) -> bool:
    captured_ns = stored.frame.captured_at.ToNanoseconds()
    return (from_ns is None or captured_ns >= from_ns) and (to_ns is None or captured_ns < to_ns)


def _is_before(stored: StoredFrame, from_ns: int | None) -> bool:
    return from_ns is not None and stored.frame.captured_at.ToNanoseconds() < from_ns


def _frame_of(result: analytics_pb2.RecognitionResult) -> frame_pb2.Frame:
    return frame_pb2.Frame(
        id=result.frame,
        captured_at=result.captured_at,
        pts_us=result.pts_us,
        enhancement=result.enhancement,
        reference_session=result.key_frame.session,
        reference_sequence=result.key_frame.sequence,
        traceparent=result.traceparent,
    )


def _without_layer(frame: frame_pb2.Frame) -> frame_pb2.Frame:
    frame.ClearField("machine_layer")
    # A message gives back the memory of a field only as a whole, so what is left goes into another.
    slight = frame_pb2.Frame()
    slight.CopyFrom(frame)
    return slight


def check_enhancement(stored: StoredFrame) -> None:
    """Raise EnhancementError unless a frame has an enhancement layer, as far as anybody knows."""
    if stored.enhancement in _WHY_GONE:
        raise enhancement_gone(stored.enhancement, stored.frame)


def enhancement_gone(
    state: EnhancementState, frame: frame_pb2.Frame, needed_by: frame_pb2.Frame | None = None
) -> EnhancementError:
    """Why there is no layer of a frame; of a key frame, `needed_by` one that is predicted from it."""
    return _WHY_GONE[state](frame.id.camera_id, _name(frame), None if needed_by is None else _name(needed_by))


@dataclass(frozen=True)
class _Word:
    """What is known of a layer beside its receipt.

    Attributes:
        kept_until_ms: milliseconds since the epoch, where somebody had it kept for longer.
        asked: how far a request to the edge is.
    """

    kept_until_ms: float | None
    asked: bytes | None


def _look_up(pipeline: Pipeline, frame: frame_pb2.Frame) -> None:
    """Ask for the two parts of `_Word`."""
    camera_id = frame.id.camera_id
    pipeline.zscore(store_keys.retained(camera_id), _name(frame))
    pipeline.get(store_keys.asked(camera_id, frame.id.session, frame.id.sequence))


def _expires_at(receipt: frame_pb2.EnhancementReceipt, word: _Word) -> Timestamp | None:
    if word.kept_until_ms is not None and receipt.place == frame_pb2.ENHANCEMENT_PLACE_EDGE:
        return None
    if word.kept_until_ms is None and not receipt.HasField("expires_at"):
        return None
    expires_at = Timestamp()
    expires_at.FromMilliseconds(max(receipt.expires_at.ToMilliseconds(), round(word.kept_until_ms or 0)))
    return expires_at


def _state_with_key(
    receipt: frame_pb2.EnhancementReceipt, word: _Word, *, own: bool, of_key: bool
) -> EnhancementState:
    state = _state(receipt, word, kept=own)
    key_may_be_asked_for = receipt.place == frame_pb2.ENHANCEMENT_PLACE_EDGE
    if state is EnhancementState.KEPT and not of_key and not key_may_be_asked_for:
        return EnhancementState.KEY_GONE
    return state


def _state(receipt: frame_pb2.EnhancementReceipt, word: _Word, *, kept: bool) -> EnhancementState:
    if kept:
        return EnhancementState.KEPT
    if receipt.bytes == 0:
        return EnhancementState.NOT_STORED
    # A receipt without the time counts as over: nothing says that it was not.
    until_ms = max(receipt.expires_at.ToMilliseconds(), word.kept_until_ms or 0)
    is_over = until_ms <= time.time() * 1000
    gone_there = word.asked == Asked.GONE.value
    if receipt.place == frame_pb2.ENHANCEMENT_PLACE_EDGE and not is_over and not gone_there:
        return EnhancementState.AT_EDGE
    return EnhancementState.EXPIRED if is_over else EnhancementState.EVICTED


def _name(frame: frame_pb2.Frame) -> str:
    return store_keys.entry_id(frame.id.session, frame.id.sequence)


def _enhancement_key(frame: frame_pb2.Frame) -> str:
    return store_keys.enhancement(frame.id.camera_id, frame.id.session, frame.id.sequence)


def _key_enhancement_key(frame: frame_pb2.Frame) -> str:
    """Of the key frame that it is predicted from, or its own."""
    if not frame.reference_sequence:
        return _enhancement_key(frame)
    return store_keys.enhancement(frame.id.camera_id, frame.reference_session, frame.reference_sequence)
