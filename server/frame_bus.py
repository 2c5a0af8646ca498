"""Frames on their way through the store: appended by ingest, claimed by workers, published as results.

One stream of frames and one of results per camera, both under ids ``session-sequence``, which the store itself keeps
rising. That makes every step safe to repeat: a second attempt finds the id taken. Old frames go group by group
(`groups`), old results one by one: no result needs another.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from secondsight import store_keys
from server import metrics
from server.config import ServerConfig
from server.errors import StoreFullError, StoreUnavailableError
from server.groups import APPEND, LET_GO, STORED, KeyFrame, key_frame, refusal

GROUP: Final = "recognise"

_NOT_RISING: Final = "equal or smaller"
_GROUP_EXISTS: Final = "BUSYGROUP"
_NO_GROUP: Final = "NOGROUP"
_NO_SUCH_KEY: Final = "no such key"
_FIRST_ID: Final = "0-0"

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


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


_REFUSALS: Final = {
    "no key": Appending.WITHOUT_KEY,
    "other key": Appending.WITHOUT_KEY,
    "group is full": Appending.GROUP_FULL,
}


@dataclass(frozen=True)
class Appended:
    """Outcome of an append, and the frames of the camera that now await recognition.

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


@dataclass(frozen=True)
class Claimed:
    """A stored frame that this worker has to recognise. `frame` is None when the store no longer has it."""

    camera_id: str
    entry_id: str
    frame: bytes | None


@dataclass(frozen=True)
class Published:
    """A result as it lies in the store."""

    camera_id: str
    entry_id: str
    result: bytes


class FrameBus:
    """Frames and results of all cameras, over Redis Streams.

    A store that is full is relieved of the older half of what is recognised, as often as it takes. The last group of a
    camera stays whole, even then.

    `blocking` is used for reads that wait, and must have a socket timeout above `config.block`.
    """

    def __init__(self, redis: Redis, blocking: Redis, config: ServerConfig) -> None:
        self._redis = redis
        self._blocking = blocking
        self._config = config
        self._store_away = False
        self._making_room = asyncio.Lock()
        self._room_made_at = 0.0

    async def cameras(self) -> list[str]:
        """Cameras that have ever stored a frame, sorted.

        Raises:
            StoreUnavailableError
        """
        return await self._patiently(self._cameras)

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
            if issued <= last_session:
                # The counter was lost with an older state of the store; the camera's ids have to go on rising.
                issued = int(await self._redis.incrby(store_keys.SESSIONS, last_session - issued + 1))
            await self._redis.set(store_keys.session(camera_id), issued, ex=self._config.unused_session)
            return OpenSession(issued, 0)

        return await self._patiently(attempt)

    async def append(
        self, camera_id: str, session: int, sequence: int, frame: bytes, key: KeyFrame
    ) -> Appended:
        """Store a frame under its name, once.

        `key` is the key frame that it is predicted from, or itself. A predicted frame is stored only when its key frame
        is the last one stored of this camera, so that groups do not overlap. The oldest groups are let go of while
        `config.frames_kept` frames stay. The caller keeps the backlog below `config.backlog_frames`, so that all of
        them are recognised.

        Raises:
            StoreUnavailableError: it is not known to be stored.
        """
        config = self._config
        frames, keys = store_keys.frames(camera_id), store_keys.keys(camera_id)
        entry_id = store_keys.entry_id(session, sequence)

        async def attempt() -> Appended:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.eval(
                APPEND,
                2,
                frames,
                keys,
                entry_id,
                frame,
                key.entry_id,
                key.name,
                config.frames_kept,
                config.group_frames,
            )
            pipeline.hset(store_keys.CAMERAS, camera_id, time.time_ns())
            pipeline.persist(store_keys.session(camera_id))
            pipeline.xinfo_groups(frames)
            added, registered, persisted, groups = await pipeline.execute(raise_on_error=False)
            for reply in (registered, persisted):
                if isinstance(reply, Exception):
                    raise reply
            outcome, last_key = await self._became(added, frames, session, sequence)
            backlog = None if isinstance(groups, Exception) else _backlog(groups)
            if backlog is None:
                backlog = await self._backlog(camera_id)
            return Appended(outcome, backlog, last_key)

        return await self._patiently(attempt)

    async def last_key(self, camera_id: str) -> KeyFrame | None:
        """The key frame that frames of the camera may be predicted from.

        Raises:
            StoreUnavailableError
        """

        async def attempt() -> KeyFrame | None:
            entries: Any = await self._redis.xrevrange(store_keys.keys(camera_id), count=1)
            return key_frame(*entries[0]) if entries else None

        return await self._patiently(attempt)

    async def backlog(self, camera_id: str) -> int:
        """Frames of the camera that are stored and not yet recognised.

        Raises:
            StoreUnavailableError
        """
        return await self._patiently(lambda: self._backlog(camera_id))

    async def claim(self, worker: str) -> list[Claimed]:
        """At most one frame of each camera, the oldest one not recognised; waits up to `config.block` for one.

        What the worker has claimed and not finished comes first, so that the results of a camera stay in order across
        a crash, a lost reply and a restart.

        Raises:
            StoreUnavailableError
        """
        return await self._patiently(lambda: self._claim(worker))

    async def publish(self, camera_id: str, entry_id: str, result: bytes) -> bool:
        """Publish the result of a claimed frame and take the frame off the backlog, both or neither.

        Returns:
            False when the frame had a result already, which stands.

        Raises:
            StoreUnavailableError
        """

        async def attempt() -> bool:
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.xadd(
                store_keys.results(camera_id),
                {store_keys.RESULT_FIELD: result},
                id=entry_id,
                maxlen=self._config.results_kept,
            )
            pipeline.xack(store_keys.frames(camera_id), GROUP, entry_id)
            added, _ = await pipeline.execute(raise_on_error=False)
            if not isinstance(added, Exception):
                return True
            if _NOT_RISING not in str(added):
                raise added
            if not await self._redis.xrange(store_keys.results(camera_id), entry_id, entry_id):
                # Only a worker of another name on the same camera brings this about.
                _log.error(
                    "the result of frame %s of %s came after a later one and is lost", entry_id, camera_id
                )
            return False

        return await self._patiently(attempt)

    async def forget(self, claimed: Claimed) -> None:
        """Take a claimed frame off the backlog without a result, because the store no longer has it.

        Raises:
            StoreUnavailableError
        """
        key = store_keys.frames(claimed.camera_id)
        await self._patiently(lambda: self._redis.xack(key, GROUP, claimed.entry_id))

    async def last_results(self, cameras: Iterable[str]) -> dict[str, str]:
        """Id of the last result of each camera; ``0-0`` where there is none.

        Raises:
            StoreUnavailableError
        """

        async def attempt() -> dict[str, str]:
            return {
                camera_id: store_keys.entry_id(*await self._last_id(store_keys.results(camera_id)))
                for camera_id in cameras
            }

        return await self._patiently(attempt)

    async def results_after(self, positions: dict[str, str]) -> list[Published]:
        """Some results after these ids, by camera; waits up to `config.block` for one.

        Raises:
            StoreUnavailableError
        """
        if not positions:
            await asyncio.sleep(self._config.block)
            return []
        keys = {store_keys.results(camera_id): camera_id for camera_id in positions}
        asked: dict[Any, Any] = {
            store_keys.results(camera_id): after for camera_id, after in positions.items()
        }
        reply = await self._patiently(
            lambda: self._blocking.xread(
                asked, count=self._config.results_read_at_once, block=int(self._config.block * 1000)
            )
        )
        return [
            Published(keys[key.decode()], entry_id.decode(), fields[store_keys.RESULT_FIELD])
            for key, entries in _streams(reply)
            for entry_id, fields in entries
        ]

    async def _cameras(self) -> list[str]:
        names: Any = await self._redis.hkeys(store_keys.CAMERAS)
        return sorted(name.decode() for name in names)

    async def _claim(self, worker: str) -> list[Claimed]:
        cameras = await self._cameras()
        if not cameras:
            await asyncio.sleep(self._config.block)
            return []
        keys = {store_keys.frames(camera_id): camera_id for camera_id in cameras}
        try:
            unfinished = await self._redis.xreadgroup(GROUP, worker, dict.fromkeys(keys, "0"), count=1)
            claimed = _claimed(keys, unfinished)
            if claimed:
                return claimed
            fresh = await self._blocking.xreadgroup(
                GROUP, worker, dict.fromkeys(keys, ">"), count=1, block=int(self._config.block * 1000)
            )
        except ResponseError as error:
            if _NO_GROUP not in str(error):
                raise
            for camera_id in cameras:
                await self._ensure_group(camera_id)
            return []
        return _claimed(keys, fresh)

    async def _became(
        self, added: Any, frames: str, session: int, sequence: int
    ) -> tuple[Appending, KeyFrame | None]:
        """What became of a frame, by the reply to APPEND, and the camera's last key frame if that was refused."""
        if not isinstance(added, Exception):
            if added == STORED:
                return Appending.STORED, None
            if (session, sequence) > await self._last_id(frames):
                why, last_key = refusal(added)
                return _REFUSALS[why], last_key
        elif _NOT_RISING not in str(added):
            raise added
        return await self._why_not_rising(frames, session, store_keys.entry_id(session, sequence)), None

    async def _why_not_rising(self, key: str, session: int, entry_id: str) -> Appending:
        if await self._redis.xrange(key, entry_id, entry_id):
            return Appending.REPEATED
        last_session, _ = await self._last_id(key)
        return Appending.STALE_SESSION if last_session > session else Appending.NOT_RISING

    async def _backlog(self, camera_id: str) -> int:
        backlog = await self._counted_backlog(camera_id)
        if backlog is None:
            await self._ensure_group(camera_id)
            backlog = await self._counted_backlog(camera_id)
        if backlog is None:
            # The store cannot count it. It can again once a worker has come to the end of the stream; until then
            # nothing more is taken in.
            return self._config.backlog_frames
        return backlog

    async def _counted_backlog(self, camera_id: str) -> int | None:
        try:
            return _backlog(await self._redis.xinfo_groups(store_keys.frames(camera_id)))
        except ResponseError as error:
            if _NO_SUCH_KEY not in str(error):
                raise
            return 0

    async def _ensure_group(self, camera_id: str) -> None:
        # A group that was lost goes on after the last result: what came before it was recognised.
        last_result = store_keys.entry_id(*await self._last_id(store_keys.results(camera_id)))
        try:
            await self._redis.xgroup_create(
                store_keys.frames(camera_id), GROUP, id=last_result, mkstream=True
            )
        except ResponseError as error:
            if _GROUP_EXISTS not in str(error):
                raise

    async def _last_id(self, key: str) -> tuple[int, int]:
        # Not the last entry but the last id: it outlives a trim.
        try:
            stream = await self._redis.xinfo_stream(key)
        except ResponseError as error:
            if _NO_SUCH_KEY not in str(error):
                raise
            return store_keys.parse_entry_id(_FIRST_ID)
        return store_keys.parse_entry_id(stream["last-generated-id"].decode())

    async def _make_room(self, full_at: float) -> None:
        async with self._making_room:
            if self._room_made_at > full_at:
                return
            let_go = 0
            for camera_id in await self._cameras():
                backlog = await self._counted_backlog(camera_id)
                if backlog is not None:  # else nobody knows how many of them are recognised
                    let_go += await self._let_go_of_groups(camera_id, backlog)
                let_go += await self._let_go_of_results(camera_id)
            self._room_made_at = time.monotonic()
            if let_go:
                _log.warning("the store is full and let go of %d older frames and results", let_go)

    async def _let_go_of_groups(self, camera_id: str, backlog: int) -> int:
        """Halve the frames; where a group is longer than that, keep as few groups as the backlog allows."""
        frames, keys = store_keys.frames(camera_id), store_keys.keys(camera_id)
        # The backlog may have grown since it was counted, though not above its limit.
        least = max(backlog, self._config.backlog_frames)
        let_go = 0
        for kept in (max(least, await self._redis.xlen(frames) // 2), least):
            if not let_go:
                let_go = int(await self._redis.eval(LET_GO, 2, frames, keys, kept))
        return let_go

    async def _let_go_of_results(self, camera_id: str) -> int:
        results = store_keys.results(camera_id)
        kept = max(self._config.backlog_frames, await self._redis.xlen(results) // 2)
        return int(await self._redis.xtrim(results, maxlen=kept, approximate=False))

    async def _patiently(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        give_up = time.monotonic() + self._config.store_patience
        full_at: float | None = None
        while True:
            try:
                if full_at is not None:
                    await self._make_room(full_at)
                done = await attempt()
            except RedisError as error:
                metrics.STORE_RETRIES.inc()
                full_at = time.monotonic() if isinstance(error, OutOfMemoryError) else None
                if not self._store_away:
                    _log.warning("the store does not do what it is asked, asking again: %s", error)
                    self._store_away = True
                if time.monotonic() >= give_up:
                    raise (StoreUnavailableError() if full_at is None else StoreFullError()) from error
            else:
                if self._store_away:
                    _log.warning("the store does what it is asked again")
                    self._store_away = False
                return done
            await asyncio.sleep(self._config.store_pause)


def _backlog(groups: list[dict[str, Any]]) -> int | None:
    for group in groups:
        if group["name"] == GROUP.encode():
            return None if group["lag"] is None else int(group["lag"]) + int(group["pending"])
    return None


def _claimed(keys: dict[str, str], reply: Any) -> list[Claimed]:
    return [
        Claimed(keys[key.decode()], entry_id.decode(), (fields or {}).get(store_keys.FRAME_FIELD))
        for key, entries in _streams(reply)
        for entry_id, fields in entries
    ]


def _streams(reply: Any) -> Iterable[tuple[bytes, Any]]:
    """Stream by stream, from a reply to XREAD or XREADGROUP in RESP2 (pairs) or RESP3 (a map of lists of lists)."""
    if isinstance(reply, dict):
        return ((key, [entry for batch in batches for entry in batch]) for key, batches in reply.items())
    return reply or ()
