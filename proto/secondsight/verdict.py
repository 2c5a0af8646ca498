"""Which of camera, edge, network and server is slow, in words that edge, server and `secondsight status` share.

Each side judges by what it measures itself: `edge.diagnosis` and `server.diagnosis` hold the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prometheus_client.core import GaugeMetricFamily


class Part(StrEnum):
    """Who a camera's frames wait for."""

    NONE = "none"
    CAMERA = "camera"
    ENCODER = "encoder"
    NETWORK = "network"
    SERVER = "server"


class Cause(StrEnum):
    """Why it is thought so; also the label of the metric."""

    NONE = "none"
    SOURCE_SILENT = "source_silent"
    FEW_FRAMES = "few_frames"
    ENCODER_SLOW = "encoder_slow"
    NOT_CONNECTED = "not_connected"
    SLOW_ANSWERS = "slow_answers"
    LATE_FRAMES = "late_frames"
    NO_CREDITS = "no_credits"
    BACKLOG = "backlog"
    STORE_SLOW = "store_slow"

    @property
    def part(self) -> Part:
        """Who is slow."""
        return _PARTS[self]

    @property
    def meaning(self) -> str:
        """For people, without numbers."""
        return _MEANINGS[self]


_PARTS: Final = {
    Cause.NONE: Part.NONE,
    Cause.SOURCE_SILENT: Part.CAMERA,
    Cause.FEW_FRAMES: Part.CAMERA,
    Cause.ENCODER_SLOW: Part.ENCODER,
    Cause.NOT_CONNECTED: Part.NETWORK,
    Cause.SLOW_ANSWERS: Part.NETWORK,
    Cause.LATE_FRAMES: Part.NETWORK,
    Cause.NO_CREDITS: Part.SERVER,
    Cause.BACKLOG: Part.SERVER,
    Cause.STORE_SLOW: Part.SERVER,
}

_MEANINGS: Final = {
    Cause.NONE: "nothing waits",
    Cause.SOURCE_SILENT: "the source gives no frames",
    Cause.FEW_FRAMES: "the source gives fewer frames than it did",
    Cause.ENCODER_SLOW: "frames are dropped because the encoder is busy",
    Cause.NOT_CONNECTED: "no uplink is open",
    Cause.SLOW_ANSWERS: "frames wait although the server grants credits: answers are slow",
    Cause.LATE_FRAMES: "frames wait at the edge although it has credits",
    Cause.NO_CREDITS: "the server grants few credits: recognition lags",
    Cause.BACKLOG: "recognition lags",
    Cause.STORE_SLOW: "the store is slow to take frames",
}


@dataclass(frozen=True)
class Verdict:
    """One camera's. `detail` has the numbers that it rests on."""

    cause: Cause
    detail: str = ""

    @property
    def part(self) -> Part:
        """Who is slow."""
        return self.cause.part

    def __str__(self) -> str:
        if self.cause is Cause.NONE:
            return "nothing is slow"
        return f"{self.part} is slow: {self.cause.meaning}" + (f" ({self.detail})" if self.detail else "")


WELL: Final = Verdict(Cause.NONE)


def verdict_family(name: str, verdicts: dict[str, Verdict]) -> GaugeMetricFamily:
    """One series for each camera and cause: 1 for the one that holds, 0 for the others."""
    family = GaugeMetricFamily(
        name, "1 for what a camera's frames wait for now.", labels=["camera", "part", "cause"]
    )
    for camera_id, verdict in verdicts.items():
        for cause in Cause:
            family.add_metric([camera_id, cause.part.value, cause.value], float(cause is verdict.cause))
    return family
