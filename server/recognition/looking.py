"""Asks a recogniser outside the server, and holds its answer to what was promised: it may be other people's code."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from server.errors import InvalidRecogniserError
from server.recognition.recogniser import Recogniser
from server.recognition.seen import Detection, Seen
from shared_models.picture import Picture


def look(recogniser: Recogniser, pictures: Sequence[Picture]) -> list[Seen]:
    """What a recogniser sees in each of `pictures`, uint8 HxWx3 RGB.

    Raises:
        InvalidRecogniserError: it raised something, or what it answered is nothing that can be seen.
    """
    try:
        answer = recogniser.recognise(pictures)
    except Exception as error:
        raise InvalidRecogniserError(
            f"the recogniser {recogniser.name} failed at {len(pictures)} pictures ({type(error).__name__}: {error}); "
            "`secondsight recogniser check` tells more"
        ) from error
    return checked(recogniser, answer, len(pictures))


def checked(recogniser: Recogniser, answer: object, count: int) -> list[Seen]:
    """The answer of a recogniser that was shown `count` pictures.

    Raises:
        InvalidRecogniserError: it is none.
    """
    if not isinstance(answer, list | tuple):
        raise InvalidRecogniserError(
            f"the recogniser {recogniser.name} gave {_kind(answer)} for {count} pictures, and no list"
        )
    if len(answer) != count:
        raise InvalidRecogniserError(
            f"the recogniser {recogniser.name} gave {len(answer)} results for {count} pictures"
        )
    for seen in answer:
        if fault := _fault(seen):
            raise InvalidRecogniserError(f"the recogniser {recogniser.name} gave {fault}")
    return list(answer)


def _fault(seen: object) -> str | None:
    if not isinstance(seen, Seen):
        return f"{_kind(seen)} for a picture, and no Seen"
    if not isinstance(seen.detections, list | tuple):
        return f"{_kind(seen.detections)} as detections, and no tuple"
    for detection in seen.detections:
        if not isinstance(detection, Detection):
            return f"{_kind(detection)} among its detections, and no Detection"
        numbers = (detection.score, detection.x_min, detection.y_min, detection.x_max, detection.y_max)
        if not all(map(_is_number, numbers)):
            return f"a {detection.label!r} whose score and box are no numbers: {', '.join(map(str, numbers))}"
    for segment in () if seen.segmentation is None else seen.segmentation.segments:
        if not _is_number(segment.score):
            return f"a segment {segment.label!r} whose score is no number: {segment.score}"
    return None


def _is_number(value: float) -> bool:
    try:
        return isfinite(value)
    except (TypeError, ValueError):
        return False


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
