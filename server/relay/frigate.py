"""Events of things in the words of Frigate's topic ``frigate/events``, for automations that were made for it.

https://docs.frigate.video/integrations/mqtt/#frigateevents. What we do not know of a thing has the value that says so.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from secondsight.client import Event, Result
from server.relay.told import links

_REMEMBERED: Final = 1000


class FrigateEvents:
    """Remembers each thing as it was told last, for `before`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._last: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()

    def of(self, result: Result, event: Event) -> dict[str, Any]:
        """The event's payload. `before` of a thing that is not remembered is as `after`."""
        key = (result.camera, event.track)
        before = self._last.get(key)
        after = self._thing(result, event, before)
        if event.kind == "end":
            self._last.pop(key, None)
        else:
            self._last[key] = after
            self._last.move_to_end(key)
            while len(self._last) > _REMEMBERED:
                self._last.popitem(last=False)
        return {"type": event.kind, "before": before or after, "after": after}

    def _thing(self, result: Result, event: Event, before: dict[str, Any] | None) -> dict[str, Any]:
        detection, box = event.detection, event.detection.box
        width, height = box.x_max - box.x_min, box.y_max - box.y_min
        ended = event.kind == "end"
        earlier = before or {"top_score": 0.0, "entered_zones": []}
        zones = [] if ended else list(detection.zones)
        score = round(detection.score, 4)
        return {
            "id": f"{result.camera}-{event.track}",
            "camera": result.camera,
            "frame_time": result.captured_at.timestamp(),
            "label": detection.label,
            "sub_label": None,
            "score": score,
            "top_score": max(score, earlier["top_score"]),
            "false_positive": False,
            "start_time": event.first_seen_at.timestamp(),
            "end_time": event.last_seen_at.timestamp() if ended else None,
            "box": [round(edge) for edge in (box.x_min, box.y_min, box.x_max, box.y_max)],
            "area": round(width * height),
            "ratio": round(width / height, 2) if height else 0.0,
            "region": [0, 0, result.width, result.height],
            "active": not ended,
            "stationary": False,
            "current_zones": zones,
            "entered_zones": list(dict.fromkeys([*earlier["entered_zones"], *detection.zones])),
            "has_clip": False,
            "has_snapshot": False,
            "attributes": {},
            "alert": event.alert,
            "frame": result.frame,
            "links": links(result, self._address),
        }
