"""A schedule of faults from a seed, carried out on an installation, and what came of it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.chaos.faults import FAULTS
from tests.chaos.installation import Installation

_TOGETHER: Final = 0.15
"""Chance that a fault comes while the one before is still there."""
_RECOVERY_S: Final = 120.0


class NotRecoveredError(AssertionError):
    """A camera whose frames were not recognised again after a fault was over."""


@dataclass(frozen=True)
class Step:
    """Faults that happen at the same time, after a pause in seconds. `seed` decides on what a fault leaves open."""

    pause: float
    kinds: tuple[str, ...]
    seed: int


def schedule(seed: int, kinds: Sequence[str]) -> Iterator[Step]:
    """Every kind once, in an order of chance, then again in another, without end."""
    chance = Random(seed)
    while True:
        deck = list(kinds)
        chance.shuffle(deck)
        while deck:
            together = 2 if len(deck) > 1 and chance.random() < _TOGETHER else 1
            drawn = tuple(deck.pop() for _ in range(together))
            yield Step(chance.uniform(0.5, 2.5), drawn, chance.getrandbits(32))


@dataclass
class Log:
    """What was done, and how long it took until every camera's frames were recognised again, in seconds."""

    injected: Counter[str] = field(default_factory=Counter)
    recovery_s: dict[str, list[float]] = field(default_factory=dict)

    def recovered(self, kinds: tuple[str, ...], seconds: float) -> None:
        """Two at a time are told apart from one."""
        name = kinds[0] if len(kinds) == 1 else "two faults at once"
        self.recovery_s.setdefault(name, []).append(seconds)

    def rows(self) -> list[tuple[str, int, float | None, float | None]]:
        """Kind, how often, median and worst recovery."""
        rows: list[tuple[str, int, float | None, float | None]] = []
        for kind in sorted(self.injected.keys() | self.recovery_s.keys()):
            took = self.recovery_s.get(kind)
            times = self.injected[kind] or len(took or ())
            rows.append((kind, times, statistics.median(took) if took else None, max(took) if took else None))
        return rows


async def campaign(
    site: Installation,
    seed: int,
    seconds: float,
    log: Log,
    say: Callable[[str], None],
    kinds: Sequence[str] | None = None,
    whole_decks: bool = False,
) -> None:
    """Inject faults for so long; every kind that is possible once, if there is time.

    Args:
        kinds: all that there are, by default.
        whole_decks: finish the first round of all kinds, however long that takes.

    Raises:
        NotRecoveredError: see there.
    """
    possible = [kind for kind in FAULTS if (kinds is None or kind in kinds) and FAULTS[kind].possible(site)]
    end = time.monotonic() + seconds
    await _all_recognised(site, "the start")
    for step in schedule(seed, possible):
        if time.monotonic() >= end and not (whole_decks and len(log.injected) < len(possible)):
            return
        await asyncio.sleep(step.pause)
        say(f"{time.monotonic() - site.began:7.1f} s  {' and '.join(step.kinds)}")
        chances = [Random(step.seed + index) for index in range(len(step.kinds))]
        await asyncio.gather(
            *(FAULTS[kind].inject(site, chance) for kind, chance in zip(step.kinds, chances, strict=True))
        )
        log.injected.update(step.kinds)
        over = time.monotonic()
        await _all_recognised(site, " and ".join(step.kinds))
        log.recovered(step.kinds, time.monotonic() - over)


async def _all_recognised(site: Installation, after: str) -> None:
    """Wait until a frame of every camera is recognised that was not even sent before."""
    sent = {camera: set(site.witness.cameras[camera].sent) for camera in site.edges}
    missing = set(site.edges)
    try:
        async with asyncio.timeout(_RECOVERY_S):
            while missing:
                for camera in list(missing):
                    results = site.observer.cameras[camera].results
                    if results and results[-1][0] not in sent[camera]:
                        missing.discard(camera)
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise NotRecoveredError(
            f"{_RECOVERY_S:g} s after {after} nothing new is recognised of {', '.join(sorted(missing))}"
        ) from error
