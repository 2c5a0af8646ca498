"""Marked frames become a folder that pycocotools and the evaluation read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from server.errors import InvalidMarkError
from server.evaluation.average_precision import Matches
from server.evaluation.photos import AnnotatedPhotos
from server.marks.coco_dataset import CocoDataset
from server.marks.mark import MarkedFrame, Verdict
from server.recognition import Detection
from tests.server.marks.made import mark, outline, picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dataset = CocoDataset(tmp_path)
    dataset.add(
        MarkedFrame.of(
            [
                mark(mask=outline()),
                mark(Verdict.WRONG, 1, "dog", at=1, box=(40.0, 10.0, 60.0, 30.0)),
                mark(Verdict.WRONG, 2, None, seen="kite", at=2),
                mark(Verdict.MISSED, None, "forklift", at=3, box=(50.0, 40.0, 90.0, 60.0)),
            ]
        ),
        picture(),
    )
    dataset.add(MarkedFrame.of([mark(frame="1-2")]), picture(kind="jpeg"))
    dataset.leave_out(MarkedFrame.of([mark(frame="1-3")]), "the enhancement layer has expired")
    dataset.finish()
    return tmp_path


def test_what_is_there_is_annotated_and_what_was_wrong_is_listed(folder: Path) -> None:
    truth = COCO(str(folder / "instances.json"))
    names = {number: category["name"] for number, category in truth.cats.items()}
    assert names == {1: "person", 18: "dog", 38: "kite", 1000: "forklift"}
    told = [
        (names[entry["category_id"]], entry["bbox"]) for entry in truth.loadAnns(truth.getAnnIds(imgIds=[1]))
    ]
    assert told == [
        ("person", [0, 0, 30, 20]),
        ("dog", [40, 10, 20, 20]),
        ("forklift", [50, 40, 40, 20]),
    ]
    assert [int(truth.annToMask(entry).sum()) for entry in truth.anns.values()][:3] == [600, 400, 800]
    assert [entry["label"] for entry in truth.dataset["wrong"]] == ["dog", None]
    assert [image["unmarked_detections"] for image in truth.dataset["images"]] == [0, 2]
    assert truth.dataset["left_out"] == [
        {"camera": "gate", "frame": "1-3", "why": "the enhancement layer has expired"}
    ]


def test_the_evaluation_reads_it(folder: Path) -> None:
    photos = AnnotatedPhotos.load(folder)
    assert [photo.read().shape for photo in photos.photos] == [(64, 96, 3)] * 2
    found = Detection("person", 0.9, 0.0, 0.0, 30.0, 20.0)
    seen = {1: [found, Detection("dog", 0.8, 40.0, 10.0, 60.0, 30.0)], 2: [found]}
    precision = Matches(photos, seen).average_precision(np.ones((1, 2)))
    # Of person, dog and forklift the last was missed.
    assert precision.mean[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize("file", [b"no picture", picture(width=48), picture(kind="webp")])
def test_what_is_no_human_view_of_the_frame_is_refused(tmp_path: Path, file: bytes) -> None:
    with pytest.raises(InvalidMarkError, match="frame 1-1 of camera gate"):
        CocoDataset(tmp_path).add(MarkedFrame.of([mark()]), file)


def test_the_last_word_on_each_thing_counts() -> None:
    marked = MarkedFrame.of(
        [
            mark(at=3, by="anna", verdict=Verdict.WRONG, label=None),
            mark(at=1),
            mark(Verdict.MISSED, None, "dog", box=(10, 10, 30, 30), at=2),
            mark(Verdict.MISSED, None, "dog", box=(11, 10, 30, 30), at=4, by="anna"),
            mark(Verdict.MISSED, None, "cat", box=(11, 10, 30, 30), at=5),
        ]
    )
    assert [(word.verdict, word.label, word.by) for word in marked.settled] == [
        ("wrong", None, "anna"),
        ("missed", "dog", "anna"),
        ("missed", "cat", "otto"),
    ]
    assert marked.unmarked == 2
