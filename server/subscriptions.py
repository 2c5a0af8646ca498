"""Who follows which results, from where on: the rules that gRPC subscriptions and event streams share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from secondsight import store_keys
from secondsight.v1 import analytics_pb2
from server.access.access import Access
from server.access.caller import Principal
from server.errors import ForbiddenError, InvalidSubscriptionError, StoreUnavailableError
from server.frame_bus import FrameBus, Published
from server.result_feed import Follower, ResultFeed

FIRST = "0-0"
"""The position before a camera's first result."""


class ChangedAccessError(Exception):
    """The subscriber's key or session is over, or what it may do was changed."""


class Wanted:
    """What a subscriber wants to see. Without cameras: all, also those that appear later.

    Raises:
        InvalidSubscriptionError: that is nothing that can be seen.
    """

    def __init__(
        self,
        cameras: Iterable[str] = (),
        labels: Iterable[str] = (),
        minimum_score: float = 0.0,
        task: str = "",
    ) -> None:
        try:
            self.cameras = [store_keys.checked_camera_id(camera_id) for camera_id in dict.fromkeys(cameras)]
            self.task = store_keys.checked_camera_id(task or store_keys.DEFAULT_TASK)
        except store_keys.InvalidCameraIdError as error:
            raise InvalidSubscriptionError(str(error)) from error
        if not 0 <= minimum_score <= 1:
            raise InvalidSubscriptionError(f"minimum_score is {minimum_score}; use 0 to 1")
        self._labels = frozenset(labels)
        self._minimum_score = minimum_score

    def check_covered(self, principal: Principal) -> None:
        """Raise ForbiddenError unless the subscriber sees all cameras that it names."""
        for camera_id in self.cameras:
            if not principal.sees(camera_id):
                raise ForbiddenError(f"your access does not cover camera {camera_id!r}")

    def of(self, result: analytics_pb2.RecognitionResult) -> analytics_pb2.RecognitionResult | None:
        """The result with the wanted detections; None when it is not wanted. The one given stays as it is."""
        if not self._labels and self._minimum_score == 0:
            return result
        matches = [
            detection
            for detection in result.detections
            if detection.score >= self._minimum_score
            and (not self._labels or detection.label in self._labels)
        ]
        if not matches:
            return None
        wanted = analytics_pb2.RecognitionResult()
        wanted.CopyFrom(result)
        del wanted.detections[:]
        wanted.detections.extend(matches)
        return wanted


@dataclass(frozen=True)
class Turn:
    """Results of one turn, of each camera in their order.

    Attributes:
        dropped: how many were passed over before them, by camera.
        missed: cameras of which the store no longer had what came right before them.
    """

    results: list[Published]
    dropped: dict[str, int]
    missed: set[str]


class Subscription:
    """One subscriber's way through the results. `positions` are those of the last results that `turn` gave."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        follower: Follower,
        wanted: Wanted,
        principal: Principal,
        positions: Mapping[str, str],
        most_behind: int | None,
    ) -> None:
        self.wanted = wanted
        self.positions = dict(positions)
        self._bus, self._feed, self._access = subscriptions.bus, subscriptions.feed, subscriptions.access
        self._follower = follower
        self._principal = principal
        self._most_behind = most_behind
        self._counts: dict[str, int] = {}
        """With which result, as the feed counts them, `positions` are; not of those that the feed has not reached."""

    async def turn(self, within: float | None = None) -> Turn:
        """The next results; none when none came within so many seconds, or for as long as a read of the store waits.

        Raises:
            ChangedAccessError
            StoreUnavailableError: the next turn asks again for the same.
        """
        if self._access.renewed(self._principal) != self._principal:
            raise ChangedAccessError
        if not self.wanted.cameras:
            # A camera that was not there at the start: all that it sent came after it.
            for camera_id in await self._feed.cameras():
                if self._principal.sees(camera_id):
                    self.positions.setdefault(camera_id, FIRST)
        self._follower.follow(self.positions)
        woken = await self._follower.woken(within)
        dropped = self._pass_over(woken)
        results: list[Published] = []
        in_store: dict[str, str] = {}
        for camera_id in woken:
            recent = self._feed.after(self.wanted.task, camera_id, self.positions[camera_id])
            if recent is None:
                in_store[camera_id] = self.positions[camera_id]
                continue
            results += recent.results
            self._counts[camera_id] = recent.count
        try:
            found = await self._bus.results_from(in_store, self.wanted.task)
        except StoreUnavailableError:
            for camera_id in woken:
                self._follower.wake(camera_id)
            raise
        # The result at a position is there, unless it went with those after it.
        begun = {published.camera_id for published in found if _is_at(published, in_store)}
        stored = [published for published in found if not _is_at(published, in_store)]
        missed = {
            published.camera_id
            for published in stored
            if published.camera_id not in begun and in_store[published.camera_id] != FIRST
        }
        for published in stored:
            # There may be more of them than are read at once.
            self._follower.wake(published.camera_id)
            if published.camera_id in self._counts:
                self._counts[published.camera_id] += 1
        for published in (*results, *stored):
            self.positions[published.camera_id] = published.entry_id
        return Turn([*results, *stored], dropped, missed)

    def _pass_over(self, cameras: Iterable[str]) -> dict[str, int]:
        """Go on with the recent results of those cameras whose results came much faster than they were read."""
        passed: dict[str, int] = {}
        if self._most_behind is None:
            return passed
        for camera_id in cameras:
            count = self._counts.get(camera_id)
            recent = self._feed.beginning(self.wanted.task, camera_id)
            if count is None or recent is None or recent.count - count <= self._most_behind:
                continue
            before = recent.count - len(recent.results)
            passed[camera_id] = before - count
            self._counts[camera_id] = before
            self.positions[camera_id] = recent.floor
        return passed


def _is_at(published: Published, positions: Mapping[str, str]) -> bool:
    return published.entry_id == positions[published.camera_id]


class Subscriptions:
    """Everybody who follows results. Each reads at its own pace; none is waited for."""

    def __init__(self, bus: FrameBus, feed: ResultFeed, access: Access) -> None:
        self.bus = bus
        self.feed = feed
        self.access = access
        self._leaving = asyncio.Event()

    @property
    def leaving(self) -> bool:
        """Whether all subscriptions are to end."""
        return self._leaving.is_set()

    def leave(self) -> None:
        """End all subscriptions."""
        self._leaving.set()

    async def cameras(self, wanted: Wanted, principal: Principal) -> list[str]:
        """Those that the subscriber follows from the start.

        Raises:
            ForbiddenError: it names one that it may not see.
            StoreUnavailableError
        """
        wanted.check_covered(principal)
        return wanted.cameras or list(filter(principal.sees, await self.bus.cameras()))

    async def positions(
        self,
        cameras: Iterable[str],
        task: str,
        resume_after: Mapping[str, str],
        *,
        otherwise_first: bool,
    ) -> dict[str, str]:
        """Where the cameras begin: after what is there now, or with the first, unless `resume_after` names them.

        Raises:
            InvalidSubscriptionError: a position is none.
            StoreUnavailableError
        """
        last = await self.bus.last_results(cameras, task)
        positions = dict.fromkeys(last, FIRST) if otherwise_first else dict(last)
        for camera_id, position in resume_after.items():
            try:
                asked = store_keys.parse_entry_id(position)
            except store_keys.InvalidEntryIdError as error:
                raise InvalidSubscriptionError(f"resume_after of camera {camera_id!r}: {error}") from error
            if camera_id in last:
                # A position beyond the last result is of an older store; nothing would ever come after it.
                positions[camera_id] = store_keys.entry_id(
                    *min(asked, store_keys.parse_entry_id(last[camera_id]))
                )
        return positions

    @contextmanager
    def following(
        self,
        wanted: Wanted,
        principal: Principal,
        positions: Mapping[str, str],
        *,
        most_behind: int | None = None,
    ) -> Iterator[Subscription]:
        """Follow results from these positions on; with `most_behind`, pass over what a slow reader has missed."""
        with self.feed.following(wanted.task) as follower:
            yield Subscription(self, follower, wanted, principal, positions, most_behind)
