"""Enhancement layers that wait in memory until it is known whether they are to be kept."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from edge.enhancement_store import Name
from edge.spending import Clock


@dataclass(slots=True)
class Held:
    """One layer.

    Attributes:
        key: name of the key frame that it is predicted from; None in a key frame.
        until: by the memory's clock, when it may go.
        wanted: it is to be stored, so that time does not let it go.
        stored: it is in the store as well.
    """

    layer: bytes
    key: Name | None
    until: float
    wanted: bool = False
    stored: bool = False


@dataclass(slots=True)
class _Group:
    key: Held
    predicted: OrderedDict[Name, Held] = field(default_factory=OrderedDict)


class EnhancementMemory:
    """Layers by group, oldest first. A key frame's stays as long as one that is predicted from it, and the newest key
    frame's always does: more may come that need it.

    Args:
        waiting_s: for which a layer is held.
        most_bytes: beyond this the oldest go before their time.
    """

    def __init__(self, waiting_s: float, most_bytes: int, clock: Clock = time.monotonic) -> None:
        self._waiting_s = waiting_s
        self._most_bytes = most_bytes
        self._clock = clock
        self._groups: OrderedDict[Name, _Group] = OrderedDict()
        self.bytes = 0
        self.let_go = 0
        """Layers that went and were never stored."""

    def hold(self, name: Name, layer: bytes, key: Name | None, instead_of: Name | None = None) -> bool:
        """Hold a layer under its present name, and no longer under the one that it had.

        Returns:
            False, and it is not held, when that of its key frame is not.
        """
        held = Held(layer, key, self._clock() + self._waiting_s)
        if key is None:
            # Frames that are predicted from it and were held before are to be found under its new name, too.
            group = None if instead_of is None else self._groups.pop(instead_of, None)
            if group is not None:
                self.bytes -= len(group.key.layer)
                group.key = held
            self._groups[name] = group or _Group(held)
        else:
            self.drop(instead_of)
            group = self._groups.get(key)
            if group is None:
                return False
            group.predicted[name] = held
        self.bytes += len(layer)
        self._tidy()
        return True

    def find(self, name: Name) -> Held | None:
        """The layer of that name."""
        group = self._groups.get(name)
        if group is not None:
            return group.key
        return next(
            (group.predicted[name] for group in self._groups.values() if name in group.predicted), None
        )

    def drop(self, name: Name | None) -> None:
        """Let go of a predicted frame's layer that is stored, or has another name by now."""
        for group in self._groups.values():
            held = None if name is None else group.predicted.pop(name, None)
            if held is not None:
                self.bytes -= len(held.layer)
                return

    def _tidy(self) -> None:
        now = self._clock()
        for name, held in list(self._predicted()):
            if self.bytes <= self._most_bytes:
                if held.wanted:
                    continue
                if held.until > now:
                    break
            self.let_go += 1
            self.drop(name)
        *older, _ = self._groups
        for key in older:
            group = self._groups[key]
            over = group.key.until <= now and not (group.key.wanted and not group.key.stored)
            if not group.predicted and (over or self.bytes > self._most_bytes):
                self.let_go += not group.key.stored
                self.bytes -= len(group.key.layer)
                del self._groups[key]

    def _predicted(self) -> Iterator[tuple[Name, Held]]:
        for group in self._groups.values():
            yield from group.predicted.items()
