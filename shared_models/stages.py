"""Where the codec's time goes."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Stages:
    """Adds up the seconds that each stage takes, by name, over all threads.

    A stage within another one counts for itself alone. On a GPU these are the times of giving the work out.
    """

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()
        self._within = threading.local()

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of every stage so far, in the order in which they first ended."""
        with self._lock:
            return dict(self._seconds)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens within as `name`."""
        outer: list[float] | None = getattr(self._within, "children", None)
        children: list[float] = []
        self._within.children = children
        begun = perf_counter()
        try:
            yield
        finally:
            taken = perf_counter() - begun
            self._within.children = outer
            if outer is not None:
                outer.append(taken)
            with self._lock:
                self._seconds[name] += taken - sum(children)
