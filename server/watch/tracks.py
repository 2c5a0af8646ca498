"""The same thing from frame to frame.

By ByteTrack (Zhang et al., ECCV 2022) as the package ``trackers`` has it (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import supervision
from trackers import ByteTrackTracker

from server.recognition.seen import Detection

_BUFFER_RATE = 30.0  # the tracker counts its buffer in frames of a thirtieth of a second
_NEW_FROM = 0.5
_SURE_FROM = 0.4
_FRAMES_TO_BELIEVE = 2


class Tracks:
    """Things of one camera. Frames come in order; a gap in time is taken into account.

    A thing is known by number once it was seen in two frames; its first detection stays without one.

    Args:
        lost_after_s: a thing not seen for so long gets another number when it comes back.
    """

    def __init__(self, lost_after_s: float) -> None:
        self._tracker = ByteTrackTracker(
            lost_track_buffer=max(1, round(lost_after_s * _BUFFER_RATE)),
            frame_rate=_BUFFER_RATE,
            track_activation_threshold=_NEW_FROM,
            minimum_consecutive_frames=_FRAMES_TO_BELIEVE,
            high_conf_det_threshold=_SURE_FROM,
        )

    def follow(self, detections: Sequence[Detection], at_s: float) -> list[int | None]:
        """The number of each detection's thing; None for what is not known to be one yet.

        Args:
            at_s: time of the frame, seconds, above that of the frame before.
        """
        boxes = [(seen.x_min, seen.y_min, seen.x_max, seen.y_max) for seen in detections]
        given = supervision.Detections(
            xyxy=np.array(boxes, np.float32).reshape(-1, 4),
            confidence=np.array([seen.score for seen in detections], np.float32),
            data={"place": np.arange(len(detections))},
        )
        tracked = self._tracker.update(given, timestamp=at_s)
        numbers: list[int | None] = [None] * len(detections)
        if len(tracked) and tracked.tracker_id is not None:
            for place, number in zip(tracked.data["place"], tracked.tracker_id, strict=True):
                numbers[int(place)] = int(number) if number >= 0 else None
        return numbers
