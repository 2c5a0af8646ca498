"""Whether a camera's frames come, since when that is so, and what they wait for."""

from __future__ import annotations

import time
from typing import Final, Protocol

from secondsight.v1 import analytics_pb2
from secondsight.verdict import WELL, Cause, Verdict

STALE_S: Final = 10.0
"""A camera without a frame for so long gives none now."""
_CONNECTING_S: Final = 3.0
"""For which an edge may be away to connect again, before its camera is called offline."""


class Watched(Protocol):
    """What this server has measured of a camera."""

    @property
    def connected(self) -> bool: ...
    @property
    def came_again_at(self) -> float | None: ...
    @property
    def ours(self) -> bool: ...
    @property
    def verdict(self) -> Verdict: ...


def tell_state(
    camera: analytics_pb2.Camera, *, uplink_seen: bool, watched: Watched | None, now: float | None = None
) -> None:
    """Fill in `state`, `since` and `slow` of a camera.

    Args:
        uplink_seen: some server has told in the store that the camera's uplink is open.
        watched: None when this server knows nothing of the camera.
        now: seconds since the epoch.
    """
    silent = (time.time() if now is None else now) - camera.last_frame_at.ToNanoseconds() / 1e9
    connected = uplink_seen or (watched is not None and watched.connected)
    if silent > STALE_S and connected:
        camera.state = analytics_pb2.CAMERA_STATE_STALE
    elif silent > (STALE_S if connected else _CONNECTING_S):
        camera.state = analytics_pb2.CAMERA_STATE_OFFLINE
    else:
        camera.state = analytics_pb2.CAMERA_STATE_LIVE
    if camera.state != analytics_pb2.CAMERA_STATE_LIVE:
        camera.since.CopyFrom(camera.last_frame_at)
    elif watched is not None and watched.came_again_at is not None:
        # A frame is counted here a little after the store has its time.
        since_ns = min(round(watched.came_again_at * 1e9), camera.last_frame_at.ToNanoseconds())
        camera.since.FromNanoseconds(since_ns)
    verdict = _verdict(camera, connected=connected, watched=watched)
    if verdict.cause is not Cause.NONE:
        camera.slow = verdict.part.value
        camera.slow_detail = verdict.cause.meaning + (f" ({verdict.detail})" if verdict.detail else "")


def _verdict(camera: analytics_pb2.Camera, *, connected: bool, watched: Watched | None) -> Verdict:
    """The server's own comes first, unless it has none: the edge alone sees camera and encoder."""
    if not connected and camera.state == analytics_pb2.CAMERA_STATE_OFFLINE:
        return Verdict(Cause.NOT_CONNECTED)
    own = watched.verdict if watched is not None and watched.ours else WELL
    if own.cause in (Cause.NONE, Cause.NOT_CONNECTED, Cause.SOURCE_SILENT):
        told = {cause.value: cause for cause in Cause}.get(camera.edge.verdict, Cause.NONE)
        if told is not Cause.NONE and told is not Cause.NOT_CONNECTED:
            return Verdict(told)
        if own.cause is Cause.NOT_CONNECTED and connected:
            return WELL
    return own
