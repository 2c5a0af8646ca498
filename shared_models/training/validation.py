"""The photos a run is validated on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shared_models.photo_folder import photo_paths

_MULTIPLE = 16


def validation_photos(folder: Path | None, count: int) -> list[Tensor]:
    """The first `count` photos of a folder, (1, 3, H, W) in [0, 1], cut to multiples of 16 pixels."""
    if folder is None:
        return []
    pictures = []
    for path in photo_paths(folder)[:count]:
        pixels = np.array(Image.open(path).convert("RGB"))
        height, width = (side // _MULTIPLE * _MULTIPLE for side in pixels.shape[:2])
        pictures.append(torch.from_numpy(pixels[:height, :width]).permute(2, 0, 1)[None].float() / 255.0)
    return pictures
