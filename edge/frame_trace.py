"""What becomes of single frames at the edge, as spans."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from secondsight.tracing import SAMPLED_SHARE, Stretch, TraceContext, tracer

if TYPE_CHECKING:
    from edge.pending import PendingFrame


class FrameTraces:
    """Samples one camera's frames when they are first sent, and exports them when they are settled.

    Args:
        share: of frames that are traced, 0 to 1. A frame that fails is traced in any case.
    """

    def __init__(self, camera_id: str = "", share: float = SAMPLED_SHARE) -> None:
        self._camera_id = camera_id
        self._share = share

    def begin(self) -> TraceContext | None:
        """The context of a frame that is about to be sent; None when it is not traced."""
        return tracer().sample(self._share)

    def encoding_failed(self, why: str) -> None:
        """A frame could not be encoded."""
        tracer().record(None, [Stretch.ending_now("encode", 0.0)], {"camera": self._camera_id}, why)

    def settled(self, pending: PendingFrame, failure: str = "") -> None:
        """The server has answered for a frame that was sent; `failure` if it refused it."""
        context = pending.trace
        if not tracer().exports or (context is None and not failure):
            return
        context = context or TraceContext.new()
        now_ns, now_s = time.time_ns(), time.monotonic()

        def wall(monotonic: float) -> int:
            return now_ns - int((now_s - monotonic) * 1e9)

        queued, sent = wall(pending.queued_at), wall(pending.sent_at)
        encode = queued - 1000 * pending.frame.encode_us
        captured = min(pending.frame.captured_at_ns, encode)
        attributes: dict[str, str | int] = {
            "camera": self._camera_id,
            "session": pending.session,
            "sequence": pending.sequence,
            "machine_bytes": len(pending.frame.machine),
        }
        tracer().root(context, Stretch("frame at the edge", captured, now_ns), attributes)
        stages = [
            Stretch("capture", captured, encode),
            Stretch("encode", encode, queued),
            Stretch("queue", queued, sent),
            Stretch("uplink", sent, now_ns),
        ]
        tracer().record(context, stages, attributes, failure)
