"""Where frames wait until the server has them: in memory, unless there is a spool (`edge.spool`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from edge.frame import EncodedFrame
from edge.metrics import SpoolReport
from edge.naming import Naming


@dataclass(frozen=True, slots=True)
class Kept:
    """A frame that waits.

    Attributes:
        number: its place among all frames of the camera.
        key: number of the key frame that it is predicted from; its own in a key frame.
    """

    number: int
    key: int
    frame: EncodedFrame

    @property
    def predicted(self) -> bool:
        """Whether it needs another one."""
        return self.key != self.number


@dataclass(frozen=True, slots=True)
class Released:
    """Frames that need not wait any longer.

    Attributes:
        last: the highest number among them; 0 when there were none.
    """

    count: int
    last: int


@dataclass(frozen=True, slots=True)
class Evicted:
    """Frames that a home gave up by its own limits, and has counted as dropped.

    Attributes:
        numbers: all of them.
        keys: those among them that others may be predicted from.
    """

    numbers: frozenset[int] = frozenset()
    keys: frozenset[int] = frozenset()


NOTHING: Final = Evicted()


class Home(Protocol):
    """Keeps frames in the order of their numbers. One call at a time.

    None of this raises when the place is out of order: a home goes on as well as it can.
    """

    @property
    def naming(self) -> Naming:
        """How its frames are named."""

    @property
    def frames(self) -> int:
        """How many wait."""

    @property
    def in_memory(self) -> int:
        """Those among them that a restart would lose."""

    @property
    def readable(self) -> bool:
        """Whether `after` gives what there is."""

    async def open(self) -> None:
        """Find what an earlier process has left. Raises SpoolError when this edge may not use the place."""

    async def close(self) -> None:
        """Leave it to the next process."""

    async def put(self, kept: Kept, sent_through: int) -> Evicted:
        """Keep a frame newer than all others. Frames up to `sent_through` are not given up for it."""

    async def after(self, number: int, count: int) -> list[Kept]:
        """The first `count` frames after `number`."""

    async def oldest(self) -> int | None:
        """Number of the frame that has waited longest."""

    async def release(self, through: int) -> Released:
        """Let go of all frames up to number `through`."""

    async def drop(self, number: int) -> None:
        """Let go of one frame."""

    async def drop_group(self, key: int, after: int) -> int:
        """Let go of the frames after number `after` that are predicted from `key`; returns how many."""

    async def save_naming(self) -> None:
        """Make the naming outlive this process, before a frame is sent under a new name."""

    async def tend(self, sent_through: int) -> Evicted:
        """What has to be done once a second. Frames up to `sent_through` are not given up."""

    def has_room(self, frames: int) -> bool:
        """Whether so many more frames can be kept without giving up others."""

    def report(self) -> SpoolReport | None:
        """The state of the spool, if it is one."""


class Memory:
    """Keeps frames as long as the process lives, however many."""

    def __init__(self) -> None:
        self.naming = Naming()
        self._kept: dict[int, Kept] = {}

    @property
    def frames(self) -> int:
        return len(self._kept)

    @property
    def in_memory(self) -> int:
        return len(self._kept)

    @property
    def readable(self) -> bool:
        return True

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def put(self, kept: Kept, sent_through: int) -> Evicted:
        self._kept[kept.number] = kept
        return NOTHING

    async def after(self, number: int, count: int) -> list[Kept]:
        return [kept for kept in self._kept.values() if kept.number > number][:count]

    async def oldest(self) -> int | None:
        return next(iter(self._kept), None)

    async def release(self, through: int) -> Released:
        numbers = [number for number in self._kept if number <= through]
        self._forget(numbers)
        return Released(len(numbers), max(numbers, default=0))

    async def drop(self, number: int) -> None:
        self._kept.pop(number, None)

    async def drop_group(self, key: int, after: int) -> int:
        numbers = [
            kept.number
            for kept in self._kept.values()
            if kept.predicted and kept.key == key and kept.number > after
        ]
        self._forget(numbers)
        return len(numbers)

    async def save_naming(self) -> None:
        pass

    async def tend(self, sent_through: int) -> Evicted:
        return NOTHING

    def has_room(self, frames: int) -> bool:
        return True

    def report(self) -> SpoolReport | None:
        return None

    def _forget(self, numbers: list[int]) -> None:
        for number in numbers:
            del self._kept[number]
