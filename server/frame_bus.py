"""Frames on their way through the store: appended by ingest, claimed by workers, published as results.

One stream of frames per camera, and one of results for each recognition task, all under ids ``session-sequence``, which
the store itself keeps rising. That makes every step safe to repeat: a second attempt finds the id taken. Old frames go
group by group (`groups`), old results one by one: no result needs another. Every command keeps to the keys of one
camera, or to a single one, so that a cluster does what a single store does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from functools import cached_property
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import OutOfMemoryError, ResponseError

from secondsight import store_keys
from secondsight.v1 import analytics_pb2
from server import metrics
from server.config import ServerConfig
from server.errors import NotReplicatedError
from server.groups import APPEND, STORED, KeyFrame, key_frame, refusal
from server.lag import NO_SUCH_KEY, Lags
from server.leases import Leases
from server.room import Room
from server.store.client import STORE_ERRORS
from server.store.patience import Patience
from server.task_scripts import CLAIM, HOLDER, PUBLISH
from server.timeline.entry import Entry

_NOT_RISING: Final = "equal or smaller"
_GROUP_EXISTS: Final = "BUSYGROUP"
_NO_GROUP: Final = "NOGROUP"
_FIRST_ID: Final = "0-0"
_SESSIONS_BEHIND: Final = 1000
_REPORT_LIFE: Final = 60
"""By which the store's count of sessions may be behind an edge's, after it has failed over to an older state."""


class Appending(Enum):
    """What became of a frame that was to be appended."""

    STORED = auto()
    REPEATED = auto()
    """It was stored before."""
    NOT_RISING = auto()
    """A later frame of its session is stored, it itself is not."""
    STALE_SESSION = auto()
    """A later session of the camera has stored frames."""
    WITHOUT_KEY = auto()
    """The key frame that it is predicted from is not the camera's last stored one."""
    GROUP_FULL = auto()
    """So many frames are predicted from its key frame already."""
    NO_ROOM = auto()
    """The store is full, and only when a new group begins can it let go of this one."""


_REFUSALS: Final = {
    "no key": Appending.WITHOUT_KEY,
    "other key": Appending.WITHOUT_KEY,
    "group is full": Appending.GROUP_FULL,
}


@dataclass(frozen=True)
class Appended:
    """Outcome of an append, and the frames of the camera that now await recognition by the default task.

    `last_key` is the camera's last key frame, where the outcome is that the frame was predicted from another.
    """

    outcome: Appending
    backlog: int
    last_key: KeyFrame | None


@dataclass(frozen=True)
class OpenSession:
    """A session that may write, and its last stored sequence; 0 when nothing is stored."""

    number: int
    last_stored_sequence: int


@dataclass
class Holding:
    """A camera that a worker has, and whether it may wait for new frames.

    It may not when frames might be pending: after taking the camera over, and whenever an answer was lost.
    """

    camera_id: str
    may_wait: bool = False


@dataclass(frozen=True)
class Claimed:
    """A stored frame that this worker has to recognise. `frame` is None when the store no longer has it."""

    camera_id: str
    entry_id: str
    frame: bytes | None
    tries: int = 1
    """How often it was handed out, this time included."""


class LeaseLostError(Exception):
    """Another worker has the camera, or nobody."""


class Publishing(StrEnum):
    """What became of a result that was to be published."""

    PUBLISHED = "published"
    REPEATED = "repeated"
    """The frame had a result already, which stands."""
    TOO_LATE = "too late"
    """A later frame had a result, so this frame never will. Only a store that lost its state brings this about."""
    NOT_ITS_TURN = "not its turn"
    """An earlier frame has no result yet. Claim that one."""
    LOST = "lost"
    """The worker no longer has the camera."""


@dataclass(frozen=True)
class Published:
    """A result as it lies in the store."""

    camera_id: str
    entry_id: str
    result: bytes

    @cached_property
    def message(self) -> analytics_pb2.RecognitionResult:
        """The result, shared by all who read it: nobody changes it.

        Raises:
            DecodeError: it is no message.
        """
        return analytics_pb2.RecognitionResult.FromString(self.result)


class FrameBus:
    """Frames and results of all cameras, over Redis Streams.

    `blocking` is used for reads that wait, and must have a socket timeout above `config.block`.
    """

    def __init__(self, redis: Redis, blocking: Redis, config: ServerConfig) -> None:
        self._redis = redis
        self._blocking = blocking
        self._config = config
        self._lags = Lags(redis)
        self._room = Room(redis, self._lags, config)
        self._patience = Patience(
            redis, patience=config.store_patience, pause=config.store_pause, make_room=self._room.make
        )

    def leases(self, worker: str, task: str) -> Leases:
        """Leases of the cameras, for a worker."""
        return Leases(self._redis, self._patience, task=task, worker=worker, lasting=self._config.lease)

    async def tell_recogniser(self, task: str, told: bytes) -> None:
        """Keep what a task recognises with.

        Raises:
            StoreUnavailableError
        """
        await self._patience.ask("recogniser", lambda: self._redis.hset(store_keys.RECOGNISERS, task, told))

    async def cameras(self) -> list[str]:
        """Cameras that have ever stored a frame, sorted.

        Raises:
            StoreUnavailableError
        """
        return await self._patience.ask("cameras", self._lags.cameras)

    async def open_session(self, camera_id: str, asked: int) -> OpenSession:
        """Session `asked` if it is the camera's current one, else a new one that fences all earlier ones.

        The number of a session that stores nothing is kept for `config.unused_session`.

        Raises:
            StoreUnavailableError
        """

        async def attempt() -> OpenSession:
            last_session, last_sequence = await self._last_id(store_keys.frames(camera_id))
            current = int(await self._redis.get(store_keys.session(camera_id)) or last_session)
            if asked and asked == current:
                return OpenSession(asked, last_sequence if last_session == asked else 0)
            issued = int(await self._redis.incr(store_keys.SESSIONS))
            # When the counter was lost with an older state of the store, the camera's ids have to go on rising, and
            # no edge may take a new session for the one that it knows.
            known = max(last_session, asked if asked - issued < _SESSIONS_BEHIND else 0)
            if issued <= known:
                issued = int(await self._redis.incrby(store_keys.SESSIONS, known - issued + 1))
            await self._redis.set(store_keys.session(camera_id), issued, ex=self._config.unused_session)
            return OpenSession(issued, 0)

        return await self._patience.ask("open session", attempt)

    async def append(
        self, camera_id: str, session: int, sequence: int, frame: bytes, key: KeyFrame
    ) -> Appended:
        """Store a frame under its name, once.

        `key` is the key frame that it is predicted from, or itself. A predicted frame is stored only when its key frame
        is the last one stored of this camera, so that groups do not overlap. The oldest groups are let go of while
        `config.frames_kept` frames stay, and all that await a task, up to `config.frames_most`. The caller keeps the
        backlog of the default task below `config.backlog_frames`, so that it recognises all of them.

        Raises:
            StoreUnavailableError: it is not known to be stored, or not in as many replicas as it has to be.
        """
        entry_id = store_keys.entry_id(session, sequence)
        is_key = key.place == (session, sequence)

        async def attempt() -> Appended:
            try:
                added = await self._append(camera_id, entry_id, frame, key)
            except OutOfMemoryError:
                if is_key and self._room.exhausted:
                    await self._room.make_for_key(camera_id)
                if is_key or not self._room.exhausted:
                    raise
                return Appended(Appending.NO_ROOM, await self._backlog(camera_id), None)
            except ResponseError as error:
                if _NOT_RISING not in str(error):
                    raise
                added = None
            self._room.exhausted = False
            if added is not None and added[0] == STORED:
                _, backlog, passed_over = added
                if passed_over:
                    metrics.FRAMES_PASSED_OVER.labels(camera_id).inc(passed_over)
                if backlog < 0:
                    backlog = await self._backlog(camera_id)
                return Appended(Appending.STORED, backlog, None)
            backlog = await self._backlog(camera_id)
            frames = store_keys.frames(camera_id)
            if added is not None and (session, sequence) > await self._last_id(frames):
                why, last_key = refusal(added)
                return Appended(_REFUSALS[why], backlog, last_key)
            return Appended(await self._why_not_rising(frames, session, entry_id), backlog, None)

        return await self._patience.ask("append", attempt)

    async def keep_report(self, camera_id: str, report: bytes) -> None:
        """Keep what an edge tells of itself for a minute. Nothing depends on it: a store that fails is passed over."""
        with suppress(*STORE_ERRORS):
            await self._redis.set(store_keys.edge(camera_id), report, ex=_REPORT_LIFE)

    async def last_key(self, camera_id: str) -> KeyFrame | None:
        """The key frame that frames of the camera may be predicted from.

        Raises:
            StoreUnavailableError
        """

        async def attempt() -> KeyFrame | None:
            entries: Any = await self._redis.xrevrange(store_keys.keys(camera_id), count=1)
            return key_frame(*entries[0]) if entries else None

        return await self._patience.ask("last key", attempt)

    async def backlog(self, camera_id: str) -> int:
        """Frames of the camera that are stored and not yet recognised by the default task.

        Raises:
            StoreUnavailableError
        """
        return await self._patience.ask("lag", lambda: self._backlog(camera_id))

    async def lag(self, camera_id: str, task: str) -> int | None:
        """Frames of the camera that are stored and await a task; None when the store cannot count them.

        Raises:
            StoreUnavailableError
        """
        return await self._patience.ask("lag", lambda: self._lags.counted(camera_id, task))

    async def claim(self, holding: Holding, leases: Leases) -> Claimed | None:
        """The camera's oldest frame without a result; waits up to `config.block` for one.

        What was handed out and has no result comes first, so that the results of a camera stay in order across a crash,
        a lost reply and another worker.

        Raises:
            LeaseLostError
            StoreUnavailableError
        """
        frames, task = store_keys.frames(holding.camera_id), leases.task

        async def attempt() -> Claimed | None:
            try:
                if holding.may_wait:
                    # Handed out without a look at the lease. If it was lost meanwhile, another worker finds the frame
                    # pending, and no later frame is published before it.
                    holding.may_wait = False
                    reply = await self._blocking.xreadgroup(
                        task, HOLDER, {frames: ">"}, count=1, block=int(self._config.block * 1000)
                    )
                    for _, entries in _streams(reply):
                        for entry_id, fields in entries:
                            holding.may_wait = True
                            return Claimed(
                                holding.camera_id, entry_id.decode(), fields[store_keys.FRAME_FIELD]
                            )
                    holding.may_wait = True
                    return None
                lease = store_keys.worker(holding.camera_id, task)
                what, *found = await self._redis.eval(
                    CLAIM, 2, lease, frames, leases.worker, leases.lasting_ms, task, HOLDER
                )
            except ResponseError as error:
                if _NO_GROUP not in str(error):
                    raise
                await self._ensure_group(holding.camera_id, task)
                return None
            if what == b"lost":
                raise LeaseLostError(holding.camera_id)
            if what == b"none":
                holding.may_wait = True
                return None
            entry_id, tries, *frame = found
            return Claimed(holding.camera_id, entry_id.decode(), frame[0] if frame else None, tries)

        return await self._patience.ask("claim", attempt)

    async def publish(
        self,
        claimed: Claimed,
        leases: Leases,
        result: bytes,
        given_up: str = "",
        entry: Entry | None = None,
    ) -> Publishing:
        """Publish the result of a claimed frame, take the frame off the backlog and add to the history, all or nothing.

        Args:
            given_up: the frame is kept as a dead letter, for this reason.
            entry: what the result adds to the camera's history.

        Raises:
            StoreUnavailableError
        """
        camera_id, task, config = claimed.camera_id, leases.task, self._config
        keys = [
            store_keys.worker(camera_id, task),
            store_keys.frames(camera_id),
            store_keys.results(camera_id, task),
            store_keys.dead(camera_id, task),
        ]
        if entry is not None:
            keys += [
                store_keys.minutes(camera_id, task, entry.hour),
                store_keys.hours(camera_id, task, entry.day),
                store_keys.labels(camera_id, task),
                store_keys.things(camera_id, task),
                store_keys.things_in_order(camera_id, task, alerts=False),
                store_keys.things_in_order(camera_id, task, alerts=True),
                store_keys.things_open(camera_id, task),
            ]

        async def attempt() -> Publishing:
            try:
                became: bytes = await self._redis.eval(
                    PUBLISH,
                    len(keys),
                    *keys,
                    leases.worker,
                    leases.lasting_ms,
                    task,
                    claimed.entry_id,
                    result,
                    config.results_kept,
                    given_up,
                    config.dead_kept,
                    "" if entry is None else entry.packed(),
                    config.history_days,
                    config.things_kept,
                )
            except ResponseError as error:
                if _NO_GROUP in str(error):
                    await self._ensure_group(camera_id, task)
                raise
            return Publishing(became.decode())

        return await self._patience.ask("publish", attempt)

    async def last_results(
        self, cameras: Iterable[str], task: str = store_keys.DEFAULT_TASK
    ) -> dict[str, str]:
        """Id of a task's last result of each camera; ``0-0`` where there is none.

        Raises:
            StoreUnavailableError
        """

        named = list(cameras)

        async def attempt() -> dict[str, str]:
            pipeline = self._redis.pipeline(transaction=False)
            for camera_id in named:
                pipeline.xinfo_stream(store_keys.results(camera_id, task))
            told = await pipeline.execute(raise_on_error=False)
            return {camera_id: _last_of(stream) for camera_id, stream in zip(named, told, strict=True)}

        return await self._patience.ask("last results", attempt) if named else {}

    async def newest_results(
        self, positions: dict[str, str], task: str = store_keys.DEFAULT_TASK
    ) -> list[Published]:
        """The newest result of each camera, where there is one after these ids.

        Raises:
            StoreUnavailableError
        """

        def ask(pipeline: Pipeline, results: str, after: str) -> None:
            pipeline.xrevrange(results, "+", f"({after}", count=1)

        return await self._results(positions, task, ask)

    async def results_from(
        self, positions: dict[str, str], task: str = store_keys.DEFAULT_TASK
    ) -> list[Published]:
        """Some results of a task from these ids on, by camera, without waiting: those that have the ids come first.

        Raises:
            StoreUnavailableError
        """

        def ask(pipeline: Pipeline, results: str, position: str) -> None:
            pipeline.xrange(results, position, count=self._config.results_read_at_once + 1)

        return await self._results(positions, task, ask)

    async def _results(
        self, positions: dict[str, str], task: str, ask: Callable[[Pipeline, str, str], None]
    ) -> list[Published]:
        """What `ask` asks of each camera's results, by their key and the camera's position."""

        async def attempt() -> list[Published]:
            pipeline = self._redis.pipeline(transaction=False)
            for camera_id, position in positions.items():
                ask(pipeline, store_keys.results(camera_id, task), position)
            return _published(positions, await pipeline.execute())

        return await self._patience.ask("results", attempt) if positions else []

    async def wait_for_results(self, camera_id: str, task: str, after: str) -> list[Published]:
        """Some later results of a task and camera; waits up to `config.block` for one.

        Raises:
            StoreUnavailableError
        """
        asked: dict[Any, Any] = {store_keys.results(camera_id, task): after}
        reply = await self._patience.ask(
            "wait",
            lambda: self._blocking.xread(
                asked, count=self._config.results_read_at_once, block=int(self._config.block * 1000)
            ),
        )
        return _published([camera_id], [[entry for _, batch in _streams(reply) for entry in batch]])

    async def _append(self, camera_id: str, entry_id: str, frame: bytes, key: KeyFrame) -> list[Any]:
        """The reply to APPEND, once the camera is registered and as many replicas as are asked for have the frame."""
        config = self._config
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.eval(
            APPEND,
            3,
            store_keys.frames(camera_id),
            store_keys.keys(camera_id),
            store_keys.session(camera_id),
            entry_id,
            frame,
            key.entry_id,
            key.name,
            config.frames_kept,
            config.group_frames,
            config.frames_most,
            store_keys.DEFAULT_TASK,
        )
        # A write in any case, so that WAIT, on the same connection, waits for what was written before it: also for a
        # frame that an earlier attempt has stored.
        pipeline.hset(store_keys.CAMERAS, camera_id, time.time_ns())
        if config.replicas:
            pipeline.execute_command("WAIT", config.replicas, int(config.replicas_within * 1000))
        added, registered, *waited = await pipeline.execute(raise_on_error=False)
        for reply in (registered, *waited):
            if isinstance(reply, Exception):
                raise reply
        if waited and waited[0] < config.replicas:
            raise NotReplicatedError(waited[0], config.replicas)
        if isinstance(added, Exception):
            raise added
        return list(added)

    async def _why_not_rising(self, key: str, session: int, entry_id: str) -> Appending:
        if await self._redis.xrange(key, entry_id, entry_id):
            return Appending.REPEATED
        last_session, _ = await self._last_id(key)
        return Appending.STALE_SESSION if last_session > session else Appending.NOT_RISING

    async def _backlog(self, camera_id: str) -> int:
        backlog = await self._lags.counted(camera_id)
        if backlog is None:
            await self._ensure_group(camera_id, store_keys.DEFAULT_TASK)
            backlog = await self._lags.counted(camera_id)
        if backlog is None:
            # The store cannot count it. It can again once a worker has come to the end of the stream; until then
            # nothing more is taken in.
            return self._config.backlog_frames
        return backlog

    async def _ensure_group(self, camera_id: str, task: str) -> None:
        # A group that was lost goes on after the last result: what came before it was recognised.
        last_result = store_keys.entry_id(*await self._last_id(store_keys.results(camera_id, task)))
        try:
            await self._redis.xgroup_create(store_keys.frames(camera_id), task, id=last_result, mkstream=True)
        except ResponseError as error:
            if _GROUP_EXISTS not in str(error):
                raise

    async def _last_id(self, key: str) -> tuple[int, int]:
        try:
            stream: Any = await self._redis.xinfo_stream(key)
        except ResponseError as error:
            stream = error
        return store_keys.parse_entry_id(_last_of(stream))


def _last_of(stream: Any) -> str:
    """Id of the last entry that a stream ever had, from a reply to XINFO STREAM; it outlives a trim."""
    if isinstance(stream, Exception):
        if NO_SUCH_KEY not in str(stream):
            raise stream
        return _FIRST_ID
    return store_keys.entry_id(*store_keys.parse_entry_id(stream["last-generated-id"].decode()))


def _published(cameras: Iterable[str], replies: Iterable[Any]) -> list[Published]:
    """Camera by camera, from replies to XRANGE."""
    return [
        Published(camera_id, entry_id.decode(), fields[store_keys.RESULT_FIELD])
        for camera_id, entries in zip(cameras, replies, strict=True)
        for entry_id, fields in entries
    ]


def _streams(reply: Any) -> Iterable[tuple[bytes, Any]]:
    """Stream by stream, from a reply to XREAD or XREADGROUP in RESP2 (pairs) or RESP3 (a map of lists of lists)."""
    if isinstance(reply, dict):
        return ((key, [entry for batch in batches for entry in batch]) for key, batches in reply.items())
    return reply or ()
