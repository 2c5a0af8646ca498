"""How all cameras do: what their uplinks carried over the last hour, in steps that are kept in memory.

It is of the uplinks that this server has; of several servers each tells its own part. What the cameras themselves tell,
and how many frames await recognition, is in the store, and the same on all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import astuple, dataclass, field, fields

from server.config import ServerConfig
from server.flow import CameraFlow, Carried, Flows

_MINUTE_S = 60.0


@dataclass(frozen=True)
class Step:
    """What was carried within `seconds` before `at`, seconds since the epoch, and what awaited recognition then."""

    at: float
    seconds: float
    carried: dict[str, Carried] = field(default_factory=dict)
    awaiting: dict[str, int] = field(default_factory=dict)

    def of(self, cameras: Collection[str]) -> Carried:
        """The sum over some cameras."""
        return total(carried for camera, carried in self.carried.items() if camera in cameras)


class Overview:
    """Looks at all cameras' flows every `config.overview_step` seconds.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, flows: Flows, config: ServerConfig, clock: Callable[[], float] = time.time) -> None:
        self._flows = flows
        self._config = config
        self._clock = clock
        self._looked_at = clock()
        self._before: dict[str, Carried] = {}
        self._steps: deque[Step] = deque(maxlen=config.overview_steps)
        self._leaving = asyncio.Event()
        self.look()
        self._steps.clear()

    async def run(self) -> None:
        """Look until `leave`."""
        while not self._leaving.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), self._config.overview_step)
            self.look()

    def leave(self) -> None:
        """Return from `run` soon."""
        self._leaving.set()

    def look(self) -> None:
        """Look once."""
        now = self._clock()
        flows = self._flows.all()
        carried = {camera: Carried(*astuple(flow.carried)) for camera, flow in flows.items()}
        self._steps.append(
            Step(
                at=now,
                seconds=max(now - self._looked_at, 1e-3),
                carried={camera: _since(self._before.get(camera), now_) for camera, now_ in carried.items()},
                awaiting={
                    camera: flow.awaiting for camera, flow in flows.items() if flow.awaiting is not None
                },
            )
        )
        self._looked_at, self._before = now, carried

    def steps(self) -> list[Step]:
        """The last hour, oldest first."""
        return list(self._steps)

    def last_minute(self, camera: str) -> tuple[Carried, float]:
        """What a camera's uplink carried within the last minute, and how many seconds of it have been looked at."""
        since = self._clock() - _MINUTE_S
        steps = [step for step in self._steps if step.at - step.seconds / 2 >= since]
        return total(step.of((camera,)) for step in steps), sum(step.seconds for step in steps)

    def flow(self, camera: str) -> CameraFlow | None:
        """All that this server has measured of a camera; None when that is nothing."""
        return self._flows.find(camera)


def total(parts: Iterator[Carried]) -> Carried:
    """The sum."""
    result = Carried()
    for part in parts:
        for name in _NAMES:
            setattr(result, name, getattr(result, name) + getattr(part, name))
    return result


def _since(before: Carried | None, now: Carried) -> Carried:
    """What came between; all of it when the camera was not watched before, or is watched anew."""
    if before is None or before.frames > now.frames:
        return now
    return Carried(*(getattr(now, name) - getattr(before, name) for name in _NAMES))


_NAMES = tuple(each.name for each in fields(Carried))
