"""What a recogniser has to keep to, tried on pictures: for whoever writes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.recogniser_device import Device
from server.recognition.recogniser import InputPolicy, Recogniser
from server.recognition.seen import Detection, Seen, Segmentation
from shared_models.picture import Picture

SIZES = ((64, 96), (270, 480), (31, 257))
"""Heights and widths that a recogniser is tried on, beside the pictures that it is given."""


@dataclass(frozen=True)
class Fault:
    """One promise that is not kept, and how."""

    promise: str
    told: str


def faults_of(recogniser: Recogniser, pictures: Sequence[Picture] = ()) -> list[Fault]:
    """Every promise of `Recogniser` that is not kept on noise of several sizes and on `pictures`.

    What it raises is a fault, too.
    """
    tried = [_noise(height, width) for height, width in SIZES] + [np.array(picture) for picture in pictures]
    checks: tuple[tuple[str, Callable[[Recogniser, list[Picture]], Iterator[str]]], ...] = (
        ("it says who it is, where it runs and what it takes", _says_who_it_is),
        ("it can be warmed up, and sees the same afterwards", _warms_up),
        ("there is a result for every picture", _answers_each),
        ("what is seen lies in the picture and has a label and a score", _sees_within),
        ("pictures are left as they were", _leaves_pictures),
        ("the same picture is seen in the same way, whatever comes with it", _sees_alone),
    )
    faults = []
    for promise, check in checks:
        try:
            for told in check(recogniser, [picture.copy() for picture in tried]):
                faults.append(Fault(promise, told))
        except Exception as error:  # other people's code
            faults.append(Fault(promise, f"it raised {type(error).__name__}: {error}"))
    return faults


def _says_who_it_is(recogniser: Recogniser, _: list[Picture]) -> Iterator[str]:
    if not recogniser.name:
        yield "its name is empty"
    if not all(isinstance(label, str) for label in recogniser.labels):
        yield "its labels are not all text"
    if recogniser.most_at_once < 1:
        yield f"most_at_once is {recogniser.most_at_once}: it has to be at least 1"
    if recogniser.device not in (Device.CPU, Device.CUDA):
        yield f"its device is {recogniser.device!r}: it has to be the one in use, Device.CPU or Device.CUDA"
    if not isinstance(recogniser.inputs, InputPolicy):
        yield f"its inputs are {recogniser.inputs!r}, and no InputPolicy"


def _warms_up(recogniser: Recogniser, pictures: list[Picture]) -> Iterator[str]:
    recogniser.warm_up()
    (before,) = recogniser.recognise(pictures[:1])
    recogniser.warm_up()
    (after,) = recogniser.recognise(pictures[:1])
    if not _alike(before.detections, after.detections):
        yield "it sees other detections after it was warmed up again"


def _answers_each(recogniser: Recogniser, pictures: list[Picture]) -> Iterator[str]:
    for count in {1, recogniser.most_at_once}:
        given = [pictures[k % len(pictures)] for k in range(count)]
        seen = recogniser.recognise(given)
        if len(seen) != count:
            yield f"{len(seen)} results for {count} pictures"


def _sees_within(recogniser: Recogniser, pictures: list[Picture]) -> Iterator[str]:
    for picture in pictures:
        (seen,) = recogniser.recognise([picture])
        height, width = picture.shape[:2]
        where = f"of {width}x{height}: "
        scores = [detection.score for detection in seen.detections]
        if scores != sorted(scores, reverse=True):
            yield where + "detections are not best first"
        for detection in seen.detections:
            yield from (where + told for told in _detection(detection, recogniser.labels, height, width))
        if seen.segmentation is not None:
            yield from (where + told for told in _segmentation(seen.segmentation, height, width))


def _detection(seen: Detection, labels: tuple[str, ...], height: int, width: int) -> Iterator[str]:
    if seen.label not in labels:
        yield f"{seen.label!r} is none of its labels"
    if not 0 <= seen.score <= 1:
        yield f"a score of {seen.score}"
    if not (0 <= seen.x_min <= seen.x_max <= width and 0 <= seen.y_min <= seen.y_max <= height):
        yield f"a box from {seen.x_min}, {seen.y_min} to {seen.x_max}, {seen.y_max}"
    if seen.mask is not None and (seen.mask.height, seen.mask.width) != (height, width):
        yield f"a mask of {seen.mask.width}x{seen.mask.height}"


def _segmentation(seen: Segmentation, height: int, width: int) -> Iterator[str]:
    if seen.numbers.shape != (height, width) or seen.numbers.dtype != np.uint16:
        yield f"a map of {seen.numbers.dtype} {seen.numbers.shape}"
    known = {segment.number for segment in seen.segments}
    if unknown := set(np.unique(seen.numbers).tolist()) - known - {0}:
        yield f"the map has numbers that no segment has: {sorted(unknown)}"


def _leaves_pictures(recogniser: Recogniser, pictures: list[Picture]) -> Iterator[str]:
    for picture in pictures:
        given = picture.copy()
        recogniser.recognise([given])
        if not np.array_equal(given, picture):
            yield "it wrote into the picture, which others look at, too"
        given.flags.writeable = False
        recogniser.recognise([given])


def _sees_alone(recogniser: Recogniser, pictures: list[Picture]) -> Iterator[str]:
    alone = [recogniser.recognise([picture])[0] for picture in pictures]
    step = recogniser.most_at_once
    together: list[Seen] = []
    for start in range(0, len(pictures), step):
        together += recogniser.recognise(pictures[start : start + step])
    for picture, first, second in zip(pictures, alone, together, strict=True):
        if not _alike(first.detections, second.detections):
            yield f"of {picture.shape[1]}x{picture.shape[0]}: other detections at another time or in other company"


def _alike(first: Sequence[Detection], second: Sequence[Detection]) -> bool:
    """Batches may round otherwise, so numbers may differ a little."""
    return len(first) == len(second) and all(
        one.label == other.label and np.allclose(_numbers(one), _numbers(other), rtol=1e-3, atol=0.05)
        for one, other in zip(first, second, strict=True)
    )


def _numbers(seen: Detection) -> list[float]:
    return [seen.score, seen.x_min, seen.y_min, seen.x_max, seen.y_max]


def _noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
