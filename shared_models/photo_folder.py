"""Folders of photos: one flat folder, or a data set as it comes unpacked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared_models.errors import TrainingDataError

_SUFFIXES: Final = frozenset({".png", ".webp", ".jpg", ".jpeg"})

# Where the photos for training lie below the named folder, which may be the data set's root or a part of it.
_LAYOUTS: Final = {
    "photos": ("*",),
    "COCO": ("images/train20*/*", "train20*/*"),
    "VisDrone": ("VisDrone*-DET-train/images/*", "images/*"),
    "Cityscapes": (
        "leftImg8bit/train/*/*_leftImg8bit.png",
        "train/*/*_leftImg8bit.png",
        "*/*_leftImg8bit.png",
    ),
}


@dataclass(frozen=True)
class PhotoSet:
    """The training photos of a data set: `layout` says of which, `paths` are sorted and lie below `folder`."""

    folder: Path
    layout: str
    paths: tuple[Path, ...]

    def mask_of(self, path: Path, masks: Path) -> Path:
        """Where a photo's edge mask lies: the folder `masks` mirrors the data set's folders."""
        return masks / path.relative_to(self.folder).with_suffix(".png")


def photo_set(folder: Path) -> PhotoSet:
    """Recognise what lies in `folder`: photos, or the layout of COCO, VisDrone or Cityscapes.

    Of a data set with parts only the one for training counts, unless `folder` is another part itself.

    Raises:
        TrainingDataError: there is no photo in any of these layouts.
    """
    for layout, patterns in _LAYOUTS.items():
        for pattern in patterns:
            if paths := _photos(folder, pattern):
                return PhotoSet(folder, layout, tuple(paths))
    raise TrainingDataError(
        f"{folder} holds no photo: name a folder of WebP, PNG or JPEG photos, or of COCO (images/train2017), "
        "VisDrone (VisDrone2019-DET-train/images) or Cityscapes (leftImg8bit/train/<city>)"
    )


def photo_paths(folder: Path) -> list[Path]:
    """PNG, WebP and JPEG files right in `folder`, sorted; none when there is no such folder."""
    return _photos(folder, "*")


def _photos(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.suffix.lower() in _SUFFIXES)
