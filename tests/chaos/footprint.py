"""What processes take of the machine, and whether that grows: memory, threads, file descriptors (from /proc)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

QUANTITIES: Final = ("rss_kb", "threads", "descriptors")
SPAN_S: Final = 600.0
"""What growth is told over."""

_MOST_GROWTH: Final = {"rss_kb": 0.05, "threads": 0.05, "descriptors": 0.05}
"""Of the level, over SPAN_S."""
_SIGMAS: Final = 3.0


@dataclass(frozen=True)
class Footprint:
    """Of one process at one time."""

    rss_kb: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Footprint:
        """Raises OSError when there is no such process."""
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        return cls(
            rss_kb=int(status["VmRSS"].split()[0]),
            threads=int(status["Threads"]),
            descriptors=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        )


@dataclass(frozen=True)
class Trend:
    """A straight line through a quantity over time, by least squares.

    Attributes:
        level: mean.
        growth: over ten minutes, by the line's slope.
        error: standard error of `growth`, for samples whose noise is independent.
        flat: the growth is no more than a twentieth of the level, or cannot be told from that.
    """

    process: str
    quantity: str
    level: float
    growth: float
    error: float
    flat: bool

    def as_dict(self) -> dict[str, object]:
        """For the file of results."""
        return asdict(self)


def trend(process: str, quantity: str, at_s: list[float], values: list[float]) -> Trend:
    """The trend of at least three samples."""
    times, samples = np.asarray(at_s), np.asarray(values, float)
    centred = times - times.mean()
    spread = float(centred @ centred)
    slope = float(centred @ samples) / spread
    residual = samples - samples.mean() - slope * centred
    # What came before has an echo in what comes after: the error is told for as many samples as are independent.
    echo = float(residual[:-1] @ residual[1:]) / float(residual @ residual) if residual.any() else 0.0
    inflation = (1 + max(0.0, echo)) / max(1 - echo, 0.05)
    variance = float(residual @ residual) / max(len(samples) - 2, 1) * inflation
    growth, error = slope * SPAN_S, float(np.sqrt(variance / spread)) * SPAN_S
    level = float(samples.mean())
    return Trend(
        process=process,
        quantity=quantity,
        level=round(level, 1),
        growth=round(growth, 2),
        error=round(error, 2),
        flat=growth - _SIGMAS * error <= _MOST_GROWTH[quantity] * level,
    )


class Soak:
    """Samples of processes, by name."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._samples: defaultdict[str, list[tuple[float, Footprint]]] = defaultdict(list)

    async def sample(self, seconds: float, every_s: float = 2.0) -> None:
        """Take samples for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for name, pid in self._pids.items():
                with contextlib.suppress(OSError):
                    self._samples[name].append((time.monotonic(), Footprint.of(pid)))
            await asyncio.sleep(every_s)

    def trends(self) -> list[Trend]:
        """Of every process and quantity."""
        return [
            trend(
                name,
                quantity,
                [at for at, _ in samples],
                [float(getattr(footprint, quantity)) for _, footprint in samples],
            )
            for name, samples in self._samples.items()
            if len(samples) > 2
            for quantity in QUANTITIES
        ]
