"""How a target does, for its metrics and for whoever asks whether the relay is ready."""

from __future__ import annotations

import time

from secondsight.client import Result
from server.relay import metrics


class Status:
    """Of one target. `ailing` says what is wrong; it is empty when nothing is."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._troubles: dict[str, str] = {"server": "not connected yet", "receiver": ""}
        for side in self._troubles:
            metrics.CONNECTED.labels(target, side).set(0)

    @property
    def ailing(self) -> str:
        """What is wrong, side by side."""
        return "; ".join(f"{side}: {trouble}" for side, trouble in self._troubles.items() if trouble)

    def well(self, side: str) -> None:
        """This side answers."""
        self._troubles[side] = ""
        metrics.CONNECTED.labels(self._target, side).set(1)

    def trouble(self, side: str, what: str) -> None:
        """This side does not."""
        self._troubles[side] = what
        metrics.CONNECTED.labels(self._target, side).set(0)

    def done_with(self, result: Result) -> None:
        """The target has what it wants of a result."""
        metrics.RESULTS.labels(self._target).inc()
        metrics.BEHIND.labels(self._target).set(max(0.0, time.time() - result.recognised_at.timestamp()))
