"""Training photos with their edge masks, held in memory, cut into random crops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from shared_models.errors import TrainingDataError
from shared_models.photo_folder import photo_paths


@dataclass(frozen=True)
class Crops:
    """A batch: `pixels` (B, 3, S, S) in [0, 1] and `masks` (B, 1, S, S), 1 on edges; float32."""

    pixels: Tensor
    masks: Tensor


class Photos:
    """Every photo of a folder that is at least `crop` pixels a side.

    Args:
        folder: photos.
        masks: folder with one black and white picture per photo, of the same stem and size; None: masks are all ones.
        crop: side of the crops, pixels.
        progress: called with the number of photos read and their total.

    Raises:
        TrainingDataError: no photo is large enough, or one has no mask.
    """

    def __init__(
        self, folder: Path, masks: Path | None, crop: int, progress: Callable[[int, int], None] | None = None
    ) -> None:
        paths = photo_paths(folder)
        self.crop = crop
        self._photos: list[NDArray[np.uint8]] = []
        self._masks: list[NDArray[np.uint8] | None] = []
        for count, path in enumerate(paths, start=1):
            photo = np.asarray(Image.open(path).convert("RGB"))
            if min(photo.shape[:2]) >= crop:
                self._photos.append(photo)
                self._masks.append(
                    None if masks is None else _mask(masks / f"{path.stem}.png", photo.shape[:2])
                )
            if progress is not None:
                progress(count, len(paths))
        if not self._photos:
            raise TrainingDataError(
                f"{folder} holds no photo of at least {crop} pixels a side: name a folder of WebP, PNG or JPEG photos"
            )

    def __len__(self) -> int:
        return len(self._photos)

    def crops(self, count: int, rng: np.random.Generator, align: int = 1) -> Crops:
        """`count` random crops, half of them mirrored, whose corners lie on multiples of `align`."""
        pixels = np.empty((count, self.crop, self.crop, 3), np.uint8)
        masks = np.ones((count, self.crop, self.crop), np.uint8)
        for i in range(count):
            pick = int(rng.integers(len(self._photos)))
            photo, mask = self._photos[pick], self._masks[pick]
            top = int(rng.integers((photo.shape[0] - self.crop) // align + 1)) * align
            left = int(rng.integers((photo.shape[1] - self.crop) // align + 1)) * align
            window = (slice(top, top + self.crop), slice(left, left + self.crop))
            step = -1 if rng.random() < 0.5 else 1
            pixels[i] = photo[window][:, ::step]
            if mask is not None:
                masks[i] = mask[window][:, ::step]
        return Crops(
            pixels=torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255.0,
            masks=torch.from_numpy(masks)[:, None].float(),
        )


def _mask(path: Path, size: tuple[int, ...]) -> NDArray[np.uint8]:
    if not path.is_file():
        raise TrainingDataError(f"{path} is missing: every photo needs a mask of the same stem")
    mask = np.asarray(Image.open(path).convert("L")) > 127
    if mask.shape != size:
        raise TrainingDataError(f"{path} is {mask.shape[1]}x{mask.shape[0]}, its photo {size[1]}x{size[0]}")
    return mask.astype(np.uint8)
