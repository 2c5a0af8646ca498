"""Annotated pictures of coloured rectangles, and recognisers that find them as well as is wanted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from server.recognition import Detection, OneByOne, Seen

COLOURS = {"person": (220, 30, 30), "car": (30, 30, 220)}
SIDE = 64


def annotated(folder: Path, photos: int, *, seed: int = 1) -> Path:
    """A folder in COCO's layout; photo n has one person, and every second one a car beside it."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for photo in range(1, photos + 1):
        pixels = np.full((SIDE, SIDE, 3), 128, np.uint8)
        for number, (name, colour) in enumerate(COLOURS.items()):
            if name == "car" and photo % 2:
                continue
            x, y = 32 * number + int(rng.integers(0, 8)), int(rng.integers(0, 24))
            width, height = int(rng.integers(12, 24)), int(rng.integers(16, 40))
            pixels[y : y + height, x : x + width] = colour
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": photo,
                    "category_id": number + 1,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
        file_name = f"{photo:04d}.png"
        Image.fromarray(pixels).save(folder / "images" / file_name)
        images.append({"id": photo, "file_name": file_name, "width": SIDE, "height": SIDE})
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(COLOURS)]
    description = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(description))
    return folder


class ColourRecogniser(OneByOne):
    """Finds the rectangles by their colours, in those pictures that it cares to look at; counts its calls."""

    name = "colours"
    labels = tuple(COLOURS)

    def __init__(self, looks: Callable[[int], bool] = lambda call: True) -> None:
        self.calls = 0
        self._looks = looks

    def see(self, image: NDArray[np.uint8]) -> Seen:
        self.calls += 1
        if not self._looks(self.calls):
            return Seen()
        found = []
        for label, colour in COLOURS.items():
            rows, columns = np.nonzero(np.abs(image.astype(int) - colour).max(2) < 60)
            if rows.size:
                corners = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                found.append(Detection(label, 0.9, *map(float, corners)))
        return Seen(tuple(found))
