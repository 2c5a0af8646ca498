"""Things cut out of photos by their annotated outlines, to be moved about in front of other photos."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from shared_models.errors import PhotoError, TrainingDataError
from shared_models.photo_file import read_photo
from shared_models.training.run_lengths import decoded

_log = logging.getLogger(__name__)

_SMALLEST_SIDE: Final = 16
_LARGEST_SIDE: Final = 160


class Cutouts:
    """Everything of 16 to 160 pixels a side that a COCO annotation outlines, but crowds.

    Args:
        annotations: a COCO instances file; outlines are polygons or run lengths.
        photos: folder of its photos; those that are not there are passed over, and so are run lengths for a photo of
            another size, which a warning counts.

    Raises:
        TrainingDataError: the file is no such file, or nothing of it can be used.
    """

    def __init__(self, annotations: Path, photos: Path) -> None:
        self._things: list[Tensor] = []
        self._other_sizes = 0
        try:
            for name, things in sorted(_outlined(json.loads(annotations.read_text())).items()):
                try:
                    photo = read_photo(photos / name)
                except PhotoError:
                    continue
                for annotation in things:
                    self._cut(photo, annotation)
        # Pillow raises the last of them for numbers beyond its own.
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise TrainingDataError(
                f"{annotations} cannot be read ({_told(error)}): name a COCO instances file of the photos in {photos}"
            ) from error
        if self._other_sizes:
            _log.warning(
                "%s: %d outlines are passed over, which are for photos of another size than those in %s",
                annotations,
                self._other_sizes,
                photos,
            )
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

    def _cut(self, photo: NDArray[np.uint8], annotation: dict[str, Any]) -> None:
        """Take up what an annotation outlines if it is of a useful size."""
        left, top, width, height = (round(side) for side in annotation["bbox"])
        if min(width, height) < _SMALLEST_SIDE or max(width, height) > _LARGEST_SIDE:
            return
        size = (photo.shape[0], photo.shape[1])
        outline = annotation["segmentation"]
        inside = decoded(outline, size) if isinstance(outline, dict) else _filled(outline, size)
        if inside is None:
            self._other_sizes += 1
            return
        window = (slice(top, top + height), slice(left, left + width))
        thing = np.dstack([photo[window], np.where(inside[window], np.uint8(255), np.uint8(0))])
        if min(thing.shape[:2]) >= _SMALLEST_SIDE and thing[..., 3].any():
            self._things.append(torch.from_numpy(thing).permute(2, 0, 1).contiguous())


def _outlined(content: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Annotations by the file names of their photos, but those of crowds."""
    names = {image["id"]: str(image["file_name"]) for image in content["images"]}
    outlined: dict[str, list[dict[str, Any]]] = {}
    for annotation in content["annotations"]:
        if not annotation["iscrowd"]:
            outlined.setdefault(names[annotation["image_id"]], []).append(annotation)
    return outlined


def _filled(polygons: list[list[float]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask (H, W) of polygons, each x and y in turn."""
    mask = Image.new("1", size[::-1])
    for polygon in polygons:
        ImageDraw.Draw(mask).polygon(polygon, fill=1)
    return np.asarray(mask)


def _told(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
