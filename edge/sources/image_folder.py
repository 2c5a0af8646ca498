"""A folder of images, as a recording of one frame per image."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from edge.errors import SourceError
from edge.frame import CapturedFrame

_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif"})
_FRAME_INTERVAL_US: Final = 200_000


class ImageFolder:
    """Images of a folder in the order of their names, five per second, turned upright by their EXIF."""

    live = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def frames(self) -> Iterator[CapturedFrame]:
        """One frame per image.

        Raises:
            SourceError: the folder holds no image, or a broken one.
        """
        paths = sorted(path for path in self._folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        if not paths:
            raise SourceError(f"{self._folder} holds no images ({', '.join(sorted(_SUFFIXES))})")
        for index, path in enumerate(paths):
            try:
                with Image.open(path) as image:
                    upright = ImageOps.exif_transpose(image).convert("RGB")
            except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
                raise SourceError(f"cannot read {path} as an image: {error}") from error
            yield CapturedFrame(
                image=np.asarray(upright), captured_at_ns=time.time_ns(), pts_us=index * _FRAME_INTERVAL_US
            )

    def close(self) -> None:
        """Nothing waits in a folder."""
