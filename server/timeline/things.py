"""Pages of what was seen at a camera: things and alerts."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from server.timeline.history import History
from server.timeline.records import Thing
from server.timeline.timeline import Showable, showable

Place = tuple[int, str]
"""When a thing was first seen, ms since the epoch, and its name."""


@dataclass(frozen=True)
class Wanted:
    """Which things: first seen from one time to another (ms since the epoch), of a label, in a zone, alerts alone."""

    from_ms: int
    to_ms: int
    label: str | None = None
    zone: str | None = None
    alerts_only: bool = False
    oldest_first: bool = False

    def __contains__(self, thing: Thing) -> bool:
        return (self.label is None or thing.label == self.label) and (
            self.zone is None or self.zone in thing.zones
        )


@dataclass(frozen=True)
class ThingPage:
    """Things in order, and the place behind which the next page begins."""

    things: list[Thing]
    showable: Showable
    next_behind: Place | None


async def page_of_things(
    history: History, wanted: Wanted, *, behind: Place | None, limit: int, read: int
) -> ThingPage:
    """The first `limit` of them, newest first unless told.

    Of `read` that are looked at some may be left out: a page may have fewer, or none.

    Raises:
        StoreUnavailableError
        UnknownCameraError
    """
    await history.check_camera()
    labels = await history.labels()
    kinds = (True,) if wanted.alerts_only else (True, False)
    listed = [
        await history.names_of_things(
            alerts=alerts,
            from_ms=wanted.from_ms,
            to_ms=wanted.to_ms,
            behind=behind,
            oldest_first=wanted.oldest_first,
            most=read + 1,
        )
        for alerts in kinds
    ]
    places = list(heapq.merge(*listed, reverse=not wanted.oldest_first))
    found: list[tuple[Place, Thing]] = []
    looked_at = 0
    while looked_at < min(len(places), read) and len(found) < limit:
        some = places[looked_at : looked_at + min(limit, read - looked_at)]
        by_name = {thing.name: thing for thing in await history.things([name for _, name in some], labels)}
        for place in some:
            looked_at += 1
            thing = by_name.get(place[1])
            if thing is not None and thing in wanted:
                found.append((place, thing))
                if len(found) == limit:
                    break
    more = looked_at < len(places)
    return ThingPage(
        [thing for _, thing in found], await showable(history), places[looked_at - 1] if more else None
    )
