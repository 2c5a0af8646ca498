"""One picture from a file; photos and masks at the size at which training sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import BITSPERSAMPLE

from shared_models.errors import PhotoError


@dataclass(frozen=True)
class PhotoLimits:
    """Limits of what training holds of its photos."""

    longest_side: int = 1536
    """Photos with a longer side, in pixels, are scaled down."""
    reduced_side: int = 1024
    """Their longer side then, in pixels."""
    held_bytes: int = 4 * 2**30
    """Decoded photos and masks in memory; a larger set is read from its files as it is used."""
    readers: int = 4
    """Threads that read them."""


LIMITS: Final = PhotoLimits()

_COLOUR: Final = frozenset({"RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV"})
_UNSCALED: Final = {"I": "32-bit integers", "F": "floating-point numbers"}


def read_picture(file: Path | BinaryIO, *, upright: bool = True) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of any file that Pillow reads, in its own size.

    Args:
        file: the file, or what it holds.
        upright: turn it as its EXIF says; otherwise it lies as it is stored.

    Raises:
        PhotoError: the file cannot be read, is larger than Pillow trusts, or does not say which of its numbers is
            white.
    """
    with _reading(file), Image.open(file) as image:
        return pixels_of_picture(image, file, upright=upright)


def pixels_of_picture(
    image: Image.Image, name: object = "the picture", *, upright: bool = True
) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a Pillow picture, as `read_picture` has it of a file; `name` is for the errors."""
    if image.mode in _UNSCALED:
        raise PhotoError(
            f"the pixels of {_told(name)} are {_UNSCALED[image.mode]}, and nothing says which of them is white: "
            "scale it to 8 or 16 bits a channel first"
        )
    with _reading(name):
        white = _white(image)
        turned = ImageOps.exif_transpose(image) if upright else image
        if turned.mode.startswith("I;16"):
            # Pillow's own conversion clips at 255.
            grey = (np.asarray(turned).astype(np.uint32) * 255 + white // 2) // white
            return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        return np.asarray(turned.convert("RGB"))


def photo_size(path: Path) -> tuple[int, int]:
    """Height and width at which `read_photo` gives a photo; reads no more than the file's head.

    Raises:
        PhotoError: the file cannot be read, or is greyscale.
    """
    with _opened(path) as image:
        return _reduced(image)


def read_photo(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) RGB; a photo larger than the limits is scaled down by Lanczos's filter.

    Raises:
        PhotoError: the file cannot be read, or is greyscale.
    """
    with _opened(path) as image:
        height, width = _reduced(image)
        colour = image.convert("RGB")
        if colour.size != (width, height):
            colour = colour.resize((width, height), Image.Resampling.LANCZOS)
        return np.asarray(colour)


def mask_fits(mask: Path, photo: Path) -> bool:
    """Whether both files' pictures have the same size.

    Raises:
        PhotoError: one of the files cannot be read.
    """
    with _reading(mask), Image.open(mask) as mask_image, Image.open(photo) as photo_image:
        return mask_image.size == photo_image.size


def read_mask(path: Path) -> NDArray[np.uint8]:
    """(H, W), 1 on edges, scaled down as its photo is.

    Raises:
        PhotoError: the file cannot be read.
    """
    with _reading(path), Image.open(path) as image:
        height, width = _reduced(image)
        grey = image.convert("L")
        if grey.size != (width, height):
            grey = grey.resize((width, height), Image.Resampling.BOX)
        return (np.asarray(grey) > 127).astype(np.uint8)


def write_mask(edges: NDArray[np.bool_], photo: Path, path: Path) -> None:
    """Write edges that were found on `read_photo(photo)` as a 1-bit PNG of the photo's own size.

    The file appears whole or not at all.
    """
    with Image.open(photo) as image:
        size = image.size
    mask = Image.fromarray(edges)
    if mask.size != size:
        mask = mask.resize(size, Image.Resampling.NEAREST)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    mask.save(temporary, "PNG", optimize=True)
    temporary.replace(path)


def _white(image: Image.Image) -> int:
    """The largest number of a picture of 16 bits a pixel; Pillow holds TIFFs of 12 bits so too."""
    bits: int = getattr(image, "tag_v2", {}).get(BITSPERSAMPLE, (16,))[0]
    return 2**bits - 1


def _reduced(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    longest = max(width, height)
    if longest <= LIMITS.longest_side:
        return height, width
    scale = LIMITS.reduced_side / longest
    return max(1, round(height * scale)), max(1, round(width * scale))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    with _reading(path), Image.open(path) as image:
        if image.mode not in _COLOUR:
            raise PhotoError(f"{path} is greyscale")
        yield image


@contextmanager
def _reading(file: object) -> Iterator[None]:
    # Pillow's decoders raise all of these for damaged files.
    try:
        yield
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PhotoError(f"{_told(file)} cannot be read: {error}") from error


def _told(file: object) -> str:
    """What errors call it; what comes from memory has no name."""
    return str(file) if isinstance(file, (str, Path)) else "the picture"
