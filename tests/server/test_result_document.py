"""A result of any task, as REST tells it."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco

from secondsight.v1 import analytics_pb2
from server.rest.results import result_document


def test_everything_that_a_recogniser_can_say_is_told() -> None:
    pixels = np.zeros((4, 6), np.uint8, order="F")
    pixels[1:3, 2:5] = 1
    thing = analytics_pb2.Detection(
        label="person",
        score=0.75,
        box=analytics_pb2.Box(x_min=2, y_min=1, x_max=5, y_max=3),
        mask=analytics_pb2.Mask(height=4, width=6, counts=coco.encode(pixels)["counts"]),
        keypoints=[analytics_pb2.Keypoint(name="nose", x=3, y=1.5, score=0.5)],
        track="7",
        zones=["yard"],
    )
    result = analytics_pb2.RecognitionResult(
        task="people",
        recogniser="somebody",
        width=6,
        height=4,
        alert=True,
        detections=[thing],
        events=[
            analytics_pb2.Event(
                kind=analytics_pb2.EVENT_KIND_NEW,
                track="7",
                detection=analytics_pb2.Detection(label="person"),
            )
        ],
        segmentation=analytics_pb2.Segmentation(
            segments=[analytics_pb2.Segment(number=3, label="road", score=0.5, pixels=18)]
        ),
    )
    told = result_document(result).model_dump(mode="json")
    assert (told["task"], told["alert"]) == ("people", True)
    (detection,) = told["detections"]
    assert (detection["track"], detection["zones"]) == ("7", ["yard"])
    assert detection["keypoints"] == [{"name": "nose", "x": 3.0, "y": 1.5, "score": 0.5}]
    mask = detection["mask"]
    assert mask["size"] == [4, 6]
    assert np.array_equal(coco.decode({"size": mask["size"], "counts": mask["counts"].encode()}), pixels)
    (event,) = told["events"]
    assert (event["kind"], event["track"], event["detection"]["label"]) == ("new", "7", "person")
    assert event["first_seen_at"].endswith("Z")
    (segment,) = told["segments"]
    assert segment == {"number": 3, "label": "road", "is_thing": False, "score": 0.5, "pixels": 18}


def test_what_was_not_said_is_empty_and_the_default_task_has_its_name() -> None:
    told = result_document(analytics_pb2.RecognitionResult(detections=[analytics_pb2.Detection(label="cup")]))
    assert (told.task, told.alert, told.events, told.segments, told.failure) == (
        "recognise",
        False,
        [],
        [],
        None,
    )
    (detection,) = told.detections
    assert (detection.track, detection.zones, detection.mask, detection.keypoints) == (None, [], None, [])
