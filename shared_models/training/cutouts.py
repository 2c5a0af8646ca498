"""Things cut out of photos by their annotated outlines, to be moved about in front of other photos."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from shared_models.errors import PhotoError, TrainingDataError
from shared_models.photo_file import read_photo

_SMALLEST_SIDE: Final = 16
_LARGEST_SIDE: Final = 160


class Cutouts:
    """Everything of 16 to 160 pixels a side that a COCO annotation outlines by polygons, but crowds.

    Args:
        annotations: a COCO instances file.
        photos: folder of its photos; those that are not there are passed over.

    Raises:
        TrainingDataError: the file is no such file, or nothing of it can be used.
    """

    def __init__(self, annotations: Path, photos: Path) -> None:
        try:
            content = json.loads(annotations.read_text())
            names = {image["id"]: image["file_name"] for image in content["images"]}
            outlined: dict[str, list[dict[str, Any]]] = {}
            for annotation in content["annotations"]:
                if not annotation["iscrowd"]:
                    outlined.setdefault(names[annotation["image_id"]], []).append(annotation)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingDataError(
                f"{annotations} cannot be read ({error}): name a COCO instances file of the photos in {photos}"
            ) from error
        self._things: list[Tensor] = []
        for name, things in sorted(outlined.items()):
            try:
                photo = read_photo(photos / name)
            except PhotoError:
                continue
            self._things += (thing for annotation in things for thing in _cut(photo, annotation))
        if not self._things:
            raise TrainingDataError(
                f"{annotations} outlines nothing of a useful size in the photos in {photos}"
            )

    def __len__(self) -> int:
        return len(self._things)

    def draw(self, rng: np.random.Generator) -> Tensor:
        """One of them, half of them mirrored: RGB and opacity, (4, h, w), 0 to 1."""
        thing = self._things[int(rng.integers(len(self._things)))].float() / 255.0
        return thing.flip(2) if rng.random() < 0.5 else thing


def _cut(photo: NDArray[np.uint8], annotation: dict[str, Any]) -> Iterator[Tensor]:
    left, top, width, height = (round(side) for side in annotation["bbox"])
    if min(width, height) < _SMALLEST_SIDE or max(width, height) > _LARGEST_SIDE:
        return
    opacity = Image.new("L", (photo.shape[1], photo.shape[0]))
    for polygon in annotation["segmentation"]:
        ImageDraw.Draw(opacity).polygon(polygon, fill=255)
    window = (slice(top, top + height), slice(left, left + width))
    thing = np.dstack([photo[window], np.asarray(opacity)[window]])
    if min(thing.shape[:2]) >= _SMALLEST_SIDE:
        yield torch.from_numpy(thing).permute(2, 0, 1).contiguous()
