"""A mark made of what an operator says and of the frame that it is about."""

from __future__ import annotations

import time
import unicodedata
from dataclasses import dataclass
from typing import Final

from secondsight.v1 import analytics_pb2
from server.catalogue import StoredFrame
from server.config import ServerConfig
from server.errors import InvalidMarkError
from server.marks.mark import Mark, MarkedBox, Seen, Verdict

_LONGEST_LABEL: Final = 64
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, kw_only=True)
class Said:
    """What an operator says: of a detection by its number, or of a box in which something was missed."""

    verdict: Verdict
    detection: int | None = None
    box: MarkedBox | None = None
    label: str | None = None
    note: str = ""


def mark_of(said: Said, stored: StoredFrame, task: str, by: str, config: ServerConfig) -> Mark:
    """The mark, held against the result of `task`, which `stored` has.

    Raises:
        InvalidMarkError: it says nothing, or not of this frame.
    """
    result = stored.result
    if result is None or not result.width:
        raise InvalidMarkError("the frame is not recognised: there is no result to be right or wrong")
    label = None if said.label is None else _text(said.label, "a label", _LONGEST_LABEL)
    note = _text(said.note, "a note", config.mark_characters)
    seen, box = None, said.box
    if said.verdict is Verdict.MISSED:
        if said.detection is not None or box is None or not label:
            raise InvalidMarkError(
                "what was missed has no `detection`; give its `box` and its `label`, as in a detection"
            )
        if not (0 <= box.x_min < box.x_max <= result.width and 0 <= box.y_min < box.y_max <= result.height):
            raise InvalidMarkError(
                f"the box is not within the frame's {result.width}x{result.height} pixels, or is empty"
            )
    else:
        if said.detection is None or box is not None:
            raise InvalidMarkError(
                "say which `detection` is right or wrong, by its place in the result; it has its box already"
            )
        seen, box = _seen(result, said.detection)
        if said.verdict is Verdict.RIGHT:
            if label not in (None, seen.label):
                raise InvalidMarkError(
                    f"the detection is of {seen.label!r}: with another label it is wrong, with that label given"
                )
            label = seen.label
        elif label == seen.label:
            raise InvalidMarkError(
                f"the detection is of {label!r} already; leave `label` out, or give another"
            )
        label = label or None
    return Mark(
        camera=stored.frame.id.camera_id,
        frame=stored.name,
        captured_ns=stored.frame.captured_at.ToNanoseconds(),
        width=result.width,
        height=result.height,
        task=task,
        detections=len(result.detections),
        verdict=said.verdict,
        label=label,
        box=box,
        seen=seen,
        note=note,
        by=by,
        at_ns=time.time_ns(),
    )


def _seen(result: analytics_pb2.RecognitionResult, number: int) -> tuple[Seen, MarkedBox]:
    if not 0 <= number < len(result.detections):
        raise InvalidMarkError(
            f"the frame has no detection {number}: its result has {len(result.detections)}, counted from 0"
        )
    found = result.detections[number]
    mask = found.mask.counts.decode("ascii") if found.HasField("mask") else None
    box = MarkedBox(
        *(round(side, 1) for side in (found.box.x_min, found.box.y_min, found.box.x_max, found.box.y_max))
    )
    return Seen(number, found.label, round(found.score, 4), result.recogniser, mask), box


def _text(told: str, what: str, longest: int) -> str:
    text = told.strip()
    if len(text) > longest:
        raise InvalidMarkError(f"{what} has at most {longest} characters")
    if any(unicodedata.category(character) in _UNPRINTABLE for character in text):
        raise InvalidMarkError(f"{what} is one line of text, without control characters")
    return text
