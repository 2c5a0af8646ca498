"""How the workers of a task share out the cameras among themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """What one worker has to change."""

    take: list[str]
    give_back: list[str]


def share_of(worker: str, workers: Collection[str], holders: Mapping[str, str | None], most: int) -> Share:
    """The cameras that `worker` should take, of those that nobody has, and give back, of its own.

    Every worker decides by itself on what the store tells all of them: `workers` that are there, and who has which
    camera. Nobody takes more than an equal share, rounded up, and whoever has two more than another gives one back. So
    they come to rest with the shares no more than one apart, and whatever nobody has is within somebody's share.

    `most` is what one worker can bear: above it cameras stay without a worker rather than with a bad one.
    """
    everybody = {worker, *workers}
    having = Counter(dict.fromkeys(everybody, 0))
    having.update(holder for holder in holders.values() if holder in everybody)
    own = sorted(camera for camera, holder in holders.items() if holder == worker)
    equal = min(most, -(-len(holders) // len(everybody)))
    if len(own) > equal:
        return Share([], own[equal:])
    if len(own) == equal and len(own) > min(having.values()) + 1:
        return Share([], own[-1:])
    free = sorted(camera for camera, holder in holders.items() if holder is None)
    return Share(free[: equal - len(own)], [])
