"""What was made at some cost and may be wanted again, bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Name = TypeVar("_Name", bound=Hashable)
_Thing = TypeVar("_Thing")


class KeptInMemory(Generic[_Name, _Thing]):
    """At most `most_bytes` of things; the least recently used go first. For one thread."""

    def __init__(self, most_bytes: int, bytes_of: Callable[[_Thing], int]) -> None:
        self._most_bytes = most_bytes
        self._bytes_of = bytes_of
        self._bytes = 0
        self._kept: OrderedDict[_Name, _Thing] = OrderedDict()

    def find(self, name: _Name) -> _Thing | None:
        """The thing of this name, if it is kept."""
        found = self._kept.get(name)
        if found is not None:
            self._kept.move_to_end(name)
        return found

    def keep(self, name: _Name, thing: _Thing) -> None:
        """Keep a thing, in place of what had its name before."""
        before = self._kept.pop(name, None)
        self._kept[name] = thing
        self._bytes += self._bytes_of(thing) - (0 if before is None else self._bytes_of(before))
        while self._bytes > self._most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= self._bytes_of(oldest)
