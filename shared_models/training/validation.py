"""The photos a run is validated on."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from shared_models.errors import PhotoError, TrainingDataError
from shared_models.photo_file import read_picture
from shared_models.photo_folder import photo_paths

_MULTIPLE = 16


def validation_photos(folder: Path | None, count: int) -> list[Tensor]:
    """The first `count` photos of a folder, (1, 3, H, W) in [0, 1], cut to multiples of 16 pixels; none of no folder.

    Raises:
        TrainingDataError: the folder holds no photo, or one of the first that cannot be read or is too small.
    """
    if folder is None:
        return []
    paths = photo_paths(folder)[:count]
    if not paths:
        raise TrainingDataError(
            f"{folder} holds no photo to validate on: name a folder of WebP, PNG or JPEG photos, or no --validation"
        )
    return [_read(path) for path in paths]


def _read(path: Path) -> Tensor:
    try:
        # As it lies: training sees its photos so, too.
        pixels = read_picture(path, upright=False)
    except PhotoError as error:
        raise TrainingDataError(f"{error}; mend it, or take it out of the photos to validate on") from error
    height, width = (side // _MULTIPLE * _MULTIPLE for side in pixels.shape[:2])
    if not height or not width:
        raise TrainingDataError(
            f"{path} is smaller than {_MULTIPLE} pixels a side: take it out of the photos to validate on"
        )
    return torch.tensor(pixels[:height, :width]).permute(2, 0, 1)[None].float() / 255.0
