"""Annotated photos in COCO's layout: `images/` and `instances.json`."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO

from server.evaluation.errors import AnnotationError
from shared_models.photo_file import read_picture

ANNOTATIONS: Final = "instances.json"


@dataclass(frozen=True)
class Photo:
    """One photo; its pixels are read when they are asked for, and not kept."""

    id: int
    path: Path
    pixels: int

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def read(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, as the file stores it: COCO's boxes and masks lie on that, whatever its EXIF says.

        Raises:
            PhotoError: it cannot be read.
        """
        return read_picture(self.path, upright=False)


@dataclass(frozen=True)
class AnnotatedPhotos:
    """Photos by rising id, with what is in them."""

    photos: tuple[Photo, ...]
    truth: COCO

    @classmethod
    def load(cls, folder: Path, most: int | None = None) -> AnnotatedPhotos:
        """The first `most` photos of a folder, or all.

        Raises:
            AnnotationError: the folder is not laid out as COCO's, lacks a photo, or has none.
        """
        path = folder / ANNOTATIONS
        try:
            description = json.loads(path.read_text())
            entries = sorted(description["images"], key=lambda entry: int(entry["id"]))[:most]
            photos = tuple(
                Photo(entry["id"], folder / "images" / entry["file_name"], entry["width"] * entry["height"])
                for entry in entries
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AnnotationError(
                f"{path} cannot be used ({type(error).__name__}: {error}): it must hold COCO's object annotations"
            ) from error
        if not photos:
            raise AnnotationError(f"{path} lists no photo")
        if missing := [photo.path for photo in photos if not photo.path.is_file()]:
            raise AnnotationError(f"{len(missing)} photos of {path} are not there, the first is {missing[0]}")
        ids = {photo.id for photo in photos}
        truth = COCO()
        truth.dataset = description | {
            "images": entries,
            "annotations": [entry for entry in description["annotations"] if entry["image_id"] in ids],
        }
        with contextlib.redirect_stdout(io.StringIO()):
            truth.createIndex()
        return cls(photos, truth)

    @cached_property
    def categories(self) -> dict[str, int]:
        """Numbers of the categories by name."""
        return {category["name"]: category["id"] for category in self.truth.dataset["categories"]}
