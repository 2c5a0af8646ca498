"""One event stream: results as they come and cameras as they change, as server-sent events (WHATWG HTML, 9.2)."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final

from fastapi.sse import format_sse_event
from google.protobuf.message import DecodeError

from secondsight.v1 import analytics_pb2
from server import metrics
from server.access.caller import Principal
from server.config import ServerConfig
from server.errors import StoreUnavailableError
from server.frame_bus import Published
from server.rest.live import Live
from server.resume_token import LONGEST, ResumeToken
from server.subscriptions import ChangedAccessError, Subscription, Subscriptions, Wanted

_CHUNK: Final = 2**16
_ALIVE: Final = b": alive\n\n"
_STORE_AWAY: Final = b": the store does not answer\n\n"

_Result = tuple[Published, analytics_pb2.RecognitionResult | None]
"""A result, and what the reader wants of it."""

_log = logging.getLogger(__name__)


class EventStream:
    """Events for one reader.

    Nothing is kept for a slow one but a position per camera, and with `rate` the newest result of each. Whoever reads
    slower than results come for long is told what was dropped.

    Args:
        rate: most results of a camera per second, the newest of them; None for all.
        positions: from where on.
        at_once: results to begin with, before those that come.
    """

    def __init__(
        self,
        live: Live,
        subscriptions: Subscriptions,
        principal: Principal,
        wanted: Wanted,
        rate: float | None,
        positions: dict[str, str],
        *,
        at_once: Iterable[Published] = (),
        config: ServerConfig,
    ) -> None:
        self._live = live
        self._subscriptions = subscriptions
        self._principal = principal
        self._wanted = wanted
        self._period = None if rate is None else 1 / rate
        self._positions = positions
        self._config = config
        self._token = ResumeToken(wanted.task, positions)
        self._waiting: dict[str, _Result] = {
            published.camera_id: (published, result)
            for published in at_once
            if (result := self._of(published)) is not None
        }
        """Of a stream with a rate: the newest result of each camera that is still to be sent."""
        self._due: dict[str, float] = {}
        """Likewise: when the next one may be sent."""
        self._unsent: list[_Result] = []
        """What could not be sent, because the store does not answer."""
        self._changes: int | None = None
        """Up to which the reader has been told of cameras; None when it has not yet been."""
        self._cameras: set[str] = set()
        """Those that it has been told of."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """The stream, in pieces of some size; ends with the server or with the reader's access."""
        most_behind = None if self._period else self._config.stream_behind
        retry = round(1000 * self._config.reconnect_after)
        yield self._told_where(format_sse_event(retry=retry))
        spoke_at = time.monotonic()
        with self._subscriptions.following(
            self._wanted, self._principal, self._positions, most_behind=most_behind
        ) as subscription:
            while not self._subscriptions.leaving:
                pieces = self._of_cameras()
                try:
                    pieces += await self._results(subscription)
                except StoreUnavailableError:
                    pieces.append(_STORE_AWAY)
                except ChangedAccessError:
                    return
                if not pieces and time.monotonic() - spoke_at >= self._config.stream_silent:
                    pieces.append(_ALIVE)
                for chunk in _joined(pieces):
                    yield chunk
                    spoke_at = time.monotonic()
                if self._period is not None:
                    await asyncio.sleep(min(self._config.stream_gather, self._period))

    def _of_cameras(self) -> list[bytes]:
        """Which cameras there are, at first and when one has gone, and those that have changed."""
        if self._changes == self._live.changes:
            return []
        cameras = self._live.cameras(self._principal, self._wanted.cameras)
        names = [told.document.camera for told in cameras]
        pieces = []
        if self._changes is None or not self._cameras.issubset(names):
            pieces.append(_event("cameras", json.dumps({"cameras": names})))
        since = self._changes or 0
        pieces += [_event("camera", told.text) for told in cameras if told.change > since]
        self._changes, self._cameras = self._live.changes, set(names)
        return pieces

    async def _results(self, subscription: Subscription) -> list[bytes]:
        pieces = []
        if not self._unsent:
            now = time.monotonic()
            soonest = min((self._due.get(camera_id, now) for camera_id in self._waiting), default=None)
            turn = await subscription.turn(None if soonest is None else max(0.0, soonest - now))
            for camera_id, count in turn.dropped.items():
                metrics.EVENTS_DROPPED.inc(count)
                pieces.append(_event("dropped", json.dumps({"camera": camera_id, "results": count})))
            if self._period is None:
                for camera_id in sorted(turn.missed):
                    pieces.append(_event("dropped", json.dumps({"camera": camera_id, "results": None})))
            wanted = [(published, self._of(published)) for published in turn.results]
            self._unsent = wanted if self._period is None else self._newest(wanted, self._period)
        pieces += await self._told(self._unsent)
        self._unsent = []
        return pieces

    def _newest(self, results: list[_Result], period: float) -> list[_Result]:
        """Those that are due of what waits, once these results have taken the places of older ones."""
        for published, result in results:
            if result is not None:
                self._waiting[published.camera_id] = published, result
            elif published.camera_id not in self._waiting:
                self._token.move(published.camera_id, published.entry_id)
        now = time.monotonic()
        due = [
            self._waiting.pop(camera_id)
            for camera_id in list(self._waiting)
            if self._due.get(camera_id, now) <= now
        ]
        self._due |= {published.camera_id: now + period for published, _ in due}
        return due

    async def _told(self, results: list[_Result]) -> list[bytes]:
        """Events of those results that are wanted; the token goes on past the others, too."""
        wanted = [(published, result) for published, result in results if result is not None]
        frames = await self._live.frames([published for published, _ in wanted], self._wanted.task)
        texts = {
            (published.camera_id, published.entry_id): frame.text_with(result)
            for (published, result), frame in zip(wanted, frames, strict=True)
        }
        pieces = []
        for published, _ in results:
            self._token.move(published.camera_id, published.entry_id)
            text = texts.get((published.camera_id, published.entry_id))
            if text is not None:
                pieces.append(self._told_where(_event("result", text)))
        return pieces

    def _told_where(self, event: bytes) -> bytes:
        token = str(self._token)
        if len(token) > LONGEST:
            return event
        return b"id: " + token.encode() + b"\n" + event

    def _of(self, published: Published) -> analytics_pb2.RecognitionResult | None:
        try:
            return self._wanted.of(published.message)
        except DecodeError as error:
            _log.warning("result %s of camera %s: %s", published.entry_id, published.camera_id, error)
            return None


def _event(name: str, text: str) -> bytes:
    return format_sse_event(event=name, data_str=text)


def _joined(pieces: list[bytes]) -> list[bytes]:
    """Events in chunks, so that few go out one by one and none of them are large."""
    chunks: list[bytes] = []
    gathered: list[bytes] = []
    size = 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= _CHUNK:
            chunks.append(b"".join(gathered))
            gathered, size = [], 0
    if gathered:
        chunks.append(b"".join(gathered))
    return chunks
