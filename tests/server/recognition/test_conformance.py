"""The conformance kit: what is packaged keeps every promise, and each promise can be broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from server.recognition import Detection, Device, Mask, OneByOne, Seen, Segment, Segmentation, load_recogniser
from server.recognition.conformance import faults_of
from server.recognition.networks import network_folder
from tests.conftest import ROOT
from tests.documents.code_block import blocks_of


class Sound(OneByOne):
    """Sees the whole picture, and half of it less surely."""

    name = "sound"
    labels = ("whole", "half")

    def see(self, image: np.ndarray) -> Seen:
        height, width = image.shape[:2]
        whole = Detection("whole", 0.9, 0, 0, width, height, mask=Mask.of(np.ones((height, width), bool)))
        numbers = np.ones((height, width), np.uint16)
        segmentation = Segmentation(numbers, (Segment(1, "whole", False, 1.0),))
        return Seen((whole, Detection("half", 0.5, 0, 0, width / 2, height)), segmentation)


@pytest.mark.parametrize("address", ["none", "ssd-mobilenet", "nanodet", "persons"])
def test_what_is_packaged_keeps_every_promise(address: str) -> None:
    file = {"nanodet": "nanodet-g.onnx", "persons": "selfie.onnx"}.get(address)
    if file is not None and not (network_folder() / file).is_file():
        pytest.skip(f"{file} is not in {network_folder()}: fetch it with `make detectors`")
    assert faults_of(load_recogniser(address, minimum_score=0.05, threads=1)) == []


def test_a_sound_recogniser_has_no_faults() -> None:
    assert faults_of(Sound(), [np.zeros((8, 8, 3), np.uint8)]) == []


def test_the_documented_recogniser_keeps_every_promise() -> None:
    (block,) = (block for block in blocks_of(ROOT / "docs/recognition.md") if block.language == "python")
    shown: dict[str, Any] = {}
    exec(block.code, shown)
    assert faults_of(shown["Doors"]("", minimum_score=0.05, threads=1, device=Device.AUTO)) == []


def changed(change: Callable[[Seen, np.ndarray], Seen]) -> Sound:
    class Changed(Sound):
        def see(self, image: np.ndarray) -> Seen:
            return change(super().see(image), image)

    return Changed()


def with_first(**changes: object) -> Sound:
    return changed(
        lambda seen, _: replace(seen, detections=(replace(seen.detections[0], **changes),))  # type: ignore[arg-type]
    )


def writing(seen: Seen, image: np.ndarray) -> Seen:
    image[:] = 0
    return seen


class Forgetful(Sound):
    def recognise(self, images: Sequence[np.ndarray]) -> list[Seen]:
        return super().recognise(images)[1:]


class Moody(Sound):
    def __init__(self) -> None:
        self.calls = 0

    def see(self, image: np.ndarray) -> Seen:
        self.calls += 1
        return super().see(image) if self.calls % 2 else Seen()


class Nameless(Sound):
    name = ""
    most_at_once = 0


class Anywhere(Sound):
    device = Device.AUTO
    inputs = "any"  # type: ignore[assignment]


class Cold(Sound):
    def warm_up(self) -> None:
        raise MemoryError("no room")


class Worn(Sound):
    """Sees less the more often it is warmed up."""

    def __init__(self) -> None:
        self.warmed = 0

    def warm_up(self) -> None:
        self.warmed += 1

    def see(self, image: np.ndarray) -> Seen:
        seen = super().see(image)
        return replace(seen, detections=seen.detections[: 3 - self.warmed])


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (with_first(label="door"), "'door' is none of its labels"),
        (with_first(score=1.5), "a score of 1.5"),
        (with_first(x_min=-1.0), "a box from -1"),
        (with_first(mask=Mask.of(np.ones((3, 3), bool))), "a mask of 3x3"),
        (changed(lambda seen, _: replace(seen, detections=seen.detections[::-1])), "not best first"),
        (
            changed(lambda seen, _: replace(seen, segmentation=replace(seen.segmentation, segments=()))),
            "no segment",
        ),
        (changed(writing), "wrote into the picture"),
        (Forgetful(), "0 results for 1 pictures"),
        (Moody(), "other detections at another time"),
        (Nameless(), "its name is empty"),
        (Anywhere(), "its device is <Device.AUTO: 'auto'>"),
        (Anywhere(), "its inputs are 'any'"),
        (Cold(), "raised MemoryError: no room"),
        (Worn(), "after it was warmed up again"),
        (changed(lambda seen, image: 1 / 0), "raised ZeroDivisionError"),  # type: ignore[arg-type,return-value]
    ],
)
def test_a_broken_promise_is_told(broken: Sound, told: str) -> None:
    assert any(told in fault.told for fault in faults_of(broken))
