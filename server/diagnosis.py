"""Which of camera, network and server one camera's frames wait for, from what the server measures.

The first rule that applies to the last minute:

1. the camera has no uplink open here: the network, or the edge is down (``not_connected``);
2. for a fifth of the looks more than half of the frames that may await recognition did: the server (``backlog``);
3. frames waited for the store for more than half a second in the mean: the server (``store_slow``);
4. frames waited at the edge, encoded, for more than a second in the mean: the network (``late_frames``). The edge had
   credits, or rule 2 would apply;
5. no frame came for half a minute: the camera (``source_silent``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from secondsight.verdict import WELL, Cause, Verdict

_LEAST_LOOKS: Final = 5
_FULL_SHARE: Final = 0.2
_STORE_WAIT: Final = 0.5
_EDGE_WAIT: Final = 1.0
_SILENT: Final = 30.0


@dataclass(frozen=True)
class Measures:
    """Of the last minute. Times in seconds, the waits as means over `frames`.

    Attributes:
        silent: since the last stored frame; None when there was none since the start.
        looks, full_looks: at the backlog, and those that found it more than half full.
    """

    connected: bool
    silent: float | None
    frames: float
    edge_wait: float
    store_wait: float
    looks: float
    full_looks: float
    backlog: int


def judge(measures: Measures) -> Verdict:
    """The verdict on one camera."""
    if not measures.connected:
        return Verdict(Cause.NOT_CONNECTED)
    if measures.looks >= _LEAST_LOOKS and measures.full_looks >= _FULL_SHARE * measures.looks:
        return Verdict(Cause.BACKLOG, f"{measures.backlog} frames wait")
    if measures.store_wait > _STORE_WAIT:
        return Verdict(Cause.STORE_SLOW, f"{measures.store_wait:.1f} s a frame")
    if measures.edge_wait > _EDGE_WAIT:
        return Verdict(Cause.LATE_FRAMES, f"{measures.edge_wait:.1f} s a frame")
    if measures.silent is not None and measures.silent > _SILENT:
        return Verdict(Cause.SOURCE_SILENT, f"nothing for {measures.silent:.0f} s")
    return WELL
