"""What receivers are told of results: addresses of pictures and never pictures, since the server asks who looks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from secondsight.client import Box, Detection, Event, Result

_DIGITS: Final = 4


@dataclass(frozen=True)
class Told:
    """One event.

    Attributes:
        id: the same whenever the same is told again.
        type: for example ``secondsight.thing.new``.
        time: when it happened: the capture of its frame.
    """

    id: str
    type: str
    camera: str
    frame: str
    time: datetime
    data: dict[str, Any]


def rfc3339(moment: datetime) -> str:
    """In UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def links(result: Result, address: str) -> dict[str, str]:
    """Addresses of a frame and of views of it, at the server, and of the moment at its console."""
    frame = f"{address}/v1/cameras/{result.camera}/frames/{result.frame}"
    return {
        "frame": frame,
        "machine_view": f"{frame}/image?view=machine",
        "human_view": f"{frame}/image?view=human",
        "console": f"{address}/#/cameras/{result.camera}/at/{rfc3339(result.captured_at)}",
    }


def frame_data(result: Result, address: str) -> dict[str, Any]:
    """The frame that something is about."""
    return {
        "camera": result.camera,
        "frame": result.frame,
        "task": result.task,
        "recogniser": result.recogniser,
        "captured_at": rfc3339(result.captured_at),
        "width": result.width,
        "height": result.height,
        "links": links(result, address),
    }


def detection_data(detection: Detection) -> dict[str, Any]:
    """A detection, without its pixels."""
    return {
        "label": detection.label,
        "score": round(detection.score, _DIGITS),
        "box": box_data(detection.box),
        "track": detection.track,
        "zones": list(detection.zones),
    }


def box_data(box: Box) -> dict[str, float]:
    """Corners, in pixels."""
    return {name: round(getattr(box, name), 1) for name in ("x_min", "y_min", "x_max", "y_max")}


def thing_told(result: Result, event: Event, address: str) -> Told:
    """A thing has come, changed or gone."""
    return _told(
        result,
        f"secondsight.thing.{event.kind}",
        (event.track, event.kind),
        {
            **frame_data(result, address),
            "thing": {
                **detection_data(event.detection),
                "track": event.track,
                "first_seen_at": rfc3339(event.first_seen_at),
                "last_seen_at": rfc3339(event.last_seen_at),
                "alert": event.alert,
            },
        },
    )


def detections_told(result: Result, detections: Iterable[Detection], address: str, *, alert: bool) -> Told:
    """What is seen in a frame, because of an alert or in any case."""
    kind = "alert" if alert else "result"
    data = {
        **frame_data(result, address),
        "alert": result.alert,
        "detections": [detection_data(detection) for detection in detections],
    }
    return _told(result, f"secondsight.{kind}", (kind,), data)


def failure_told(result: Result, address: str) -> Told:
    """A frame could not be recognised."""
    data = {**frame_data(result, address), "failure": result.failure}
    return _told(result, "secondsight.failure", ("failure",), data)


def gap_told(result: Result, address: str) -> Told:
    """Results before this one were no longer kept when they were to be told."""
    return _told(result, "secondsight.gap", ("gap",), frame_data(result, address))


def _told(result: Result, kind: str, parts: Iterable[str], data: dict[str, Any]) -> Told:
    # A store that was emptied numbers its frames anew, so that the name of a frame alone is none for ever.
    moment = round(result.captured_at.timestamp() * 1000)
    name = ":".join((result.camera, result.frame, str(moment), result.task, *parts))
    return Told(name, kind, result.camera, result.frame, result.captured_at, data)
