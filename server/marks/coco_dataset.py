"""Marked frames as annotated photos in COCO's layout, `images/` and `instances.json`, which the evaluation reads.

What was right, what got another label and what was missed is annotated. What was wrong is listed apart.
"""

from __future__ import annotations

import io
import json
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

from PIL import Image, UnidentifiedImageError

from server.errors import InvalidMarkError
from server.marks.mark import Mark, MarkedFrame
from server.recognition.coco import Categories

ANNOTATIONS: Final = "instances.json"
IMAGES: Final = "images"
_SUFFIXES: Final = {"PNG": ".png", "JPEG": ".jpg"}


class CocoDataset:
    """Writes a folder frame by frame; it is whole once `finish` was called.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / IMAGES).mkdir(parents=True, exist_ok=True)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._wrong: list[dict[str, Any]] = []
        self._left_out: list[dict[str, str]] = []
        self._categories = Categories()

    def add(self, marked: MarkedFrame, picture: bytes) -> None:
        """Take a frame with its human view, a PNG or JPEG file of the frame's own size.

        Raises:
            InvalidMarkError: the picture is not that.
        """
        suffix = _suffix(marked, picture)
        name = f"{marked.camera}-{marked.frame}{suffix}"
        (self._folder / IMAGES / name).write_bytes(picture)
        number = len(self._images) + 1
        self._images.append(
            {
                "id": number,
                "file_name": name,
                "width": marked.width,
                "height": marked.height,
                "date_captured": marked.captured_at.isoformat(),
                "camera": marked.camera,
                "frame": marked.frame,
                "unmarked_detections": marked.unmarked,
            }
        )
        for mark in marked.settled:
            if mark.seen is not None and mark.label != mark.seen.label:
                self._wrong.append(self._mistake(mark, number))
            if mark.label is not None:
                self._annotations.append(self._annotation(mark, number))

    def leave_out(self, marked: MarkedFrame, why: str) -> None:
        """Say of a frame that there is no human view of it."""
        self._left_out.append({"camera": marked.camera, "frame": marked.frame, "why": why})

    def finish(self) -> Path:
        """Write the annotations; return their file."""
        path = self._folder / ANNOTATIONS
        document = {
            "info": {"description": "Human views that operators marked, by Secondsight"},
            "images": self._images,
            "annotations": self._annotations,
            "categories": self._categories.all(),
            "wrong": self._wrong,
            "left_out": self._left_out,
        }
        path.write_text(json.dumps(document, indent=1) + "\n")
        return path

    def _annotation(self, mark: Mark, image: int) -> dict[str, Any]:
        assert mark.label is not None
        box = mark.box
        outline = None if mark.seen is None else mark.seen.mask
        return {
            "id": len(self._annotations) + 1,
            "image_id": image,
            "category_id": self._categories.number(mark.label),
            "bbox": _bbox(mark),
            "area": box.area,
            "iscrowd": 0,
            # Whoever holds masks against these needs one; a box that was drawn is one.
            "segmentation": (
                [[box.x_min, box.y_min, box.x_max, box.y_min, box.x_max, box.y_max, box.x_min, box.y_max]]
                if outline is None
                else {"size": [mark.height, mark.width], "counts": outline}
            ),
            "verdict": mark.verdict,
            "mark": mark.id,
        }

    def _mistake(self, mark: Mark, image: int) -> dict[str, Any]:
        assert mark.seen is not None
        return {
            "image_id": image,
            # Among the categories, lest the same mistake go unnoticed in an evaluation.
            "category_id": self._categories.number(mark.seen.label),
            "bbox": _bbox(mark),
            "score": mark.seen.score,
            "recogniser": mark.seen.recogniser,
            "label": mark.label,
            "mark": mark.id,
        }


def _bbox(mark: Mark) -> list[float]:
    x_min, y_min, x_max, y_max = astuple(mark.box)
    return [x_min, y_min, x_max - x_min, y_max - y_min]


def _suffix(marked: MarkedFrame, picture: bytes) -> str:
    try:
        with Image.open(io.BytesIO(picture)) as image:
            kind, size = image.format, image.size
    except (UnidentifiedImageError, OSError) as error:
        raise InvalidMarkError(
            f"the human view of frame {marked.frame} of camera {marked.camera} is no picture"
        ) from error
    if kind not in _SUFFIXES or size != (marked.width, marked.height):
        raise InvalidMarkError(
            f"the human view of frame {marked.frame} of camera {marked.camera} is {kind} of {size[0]}x{size[1]}; "
            f"the marks are of PNG or JPEG, {marked.width}x{marked.height}"
        )
    return _SUFFIXES[kind]
