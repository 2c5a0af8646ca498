"""A folder of images, as a recording of one frame per image."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.errors import SourceError
from edge.frame import CapturedFrame
from shared_models.errors import PhotoError
from shared_models.photo_file import read_picture

_LOG = logging.getLogger(__name__)

_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif"})
_FRAME_INTERVAL_US: Final = 200_000


class ImageFolder:
    """Images of a folder in the order of their names, five per second, turned upright by their EXIF.

    One that cannot be read is left out, and told once. Names that begin with a dot are no images: macOS keeps its own
    data in such files.
    """

    live = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unreadable: set[Path] = set()

    def frames(self) -> Iterator[CapturedFrame]:
        """One frame per image.

        Raises:
            SourceError: the folder cannot be read, or holds no image that can.
        """
        try:
            paths = sorted(path for path in self._folder.iterdir() if _is_image(path))
        except OSError as error:
            raise SourceError(f"cannot read the folder {self._folder}: {error.strerror}") from error
        if not paths:
            raise SourceError(
                f"{self._folder} holds no images", f"give a folder of {', '.join(sorted(_SUFFIXES))}"
            )
        given = 0
        for path in paths:
            try:
                image = read_picture(path)
            except PhotoError as error:
                self._leave_out(path, error)
                continue
            yield CapturedFrame(image=image, captured_at_ns=time.time_ns(), pts_us=given * _FRAME_INTERVAL_US)
            given += 1
        if given == 0:
            raise SourceError(f"none of the images in {self._folder} can be read")

    def _leave_out(self, path: Path, error: PhotoError) -> None:
        if path not in self._unreadable:
            self._unreadable.add(path)
            count = len(self._unreadable)
            _LOG.warning("an image is left out, %d of %s so far: %s", count, self._folder, error)

    def close(self) -> None:
        """Nothing waits in a folder."""


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file()
