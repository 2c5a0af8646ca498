"""Contact sheets: a photo and its views beside each other, as one picture with captions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from shared_models.codec import Codec
from shared_models.evaluation.peers import WEBP
from shared_models.evaluation.quality import psnr
from shared_models.evaluation.rate_distortion import Photo

_COLUMNS: Final = 2
_CROP: Final = (512, 384)
_GAP: Final = 12
_CAPTION: Final = 30
_FONT_SIZE: Final = 17
_WEBP_QUALITY: Final = 78
_LARGEST_QUALITY: Final = 100


@dataclass(frozen=True)
class View:
    """A picture and what it cost: bits per pixel and PSNR in dB, none for the source."""

    title: str
    picture: NDArray[np.uint8]
    bits_per_pixel: float | None = None
    psnr_db: float | None = None

    @property
    def caption(self) -> str:
        """Title and figures in one line."""
        if self.bits_per_pixel is None or self.psnr_db is None:
            return self.title
        return f"{self.title}: {self.bits_per_pixel:.3f} bit/pixel, {self.psnr_db:.2f} dB"


def views_of(codec: Codec, photo: Photo) -> list[View]:
    """Source, machine view, human view at every m, and the best WebP of no more bits than the last of them.

    At the codec's default levels; the bits of a human view are those of both layers.
    """
    source = photo.pixels
    frame = codec.encode(source)

    def view(title: str, size: int, picture: NDArray[np.uint8]) -> View:
        return View(title, picture, 8 * size / (source.shape[0] * source.shape[1]), psnr(source, picture))

    views = [
        View("source", source),
        view("machine view", len(frame.machine), codec.decode_machine(frame.machine)),
    ]
    most = 0
    for slices in range(1, codec.config.slices + 1):
        enhancement = codec.cut(frame.enhancement, slices)
        most = len(frame.machine) + len(enhancement)
        views.append(view(f"human view, m = {slices}", most, codec.decode_human(frame.machine, enhancement)))
    rival = _largest_webp(source, most)
    if rival is not None:
        views.append(view("WebP, no more bits", len(rival), WEBP.decode(rival)))
    return views


def contact_sheet(views: Sequence[View]) -> bytes:
    """A WebP file: the middle of every view, pixel for pixel, two beside each other, captions beneath."""
    height, width = views[0].picture.shape[:2]
    box_width, box_height = min(width, _CROP[0]), min(height, _CROP[1])
    left, top = (width - box_width) // 2, (height - box_height) // 2
    cell_width, cell_height = max(box_width, _CROP[0]), box_height + _CAPTION
    rows = -(-len(views) // _COLUMNS)
    sheet = Image.new(
        "RGB",
        (_COLUMNS * cell_width + (_COLUMNS + 1) * _GAP, rows * cell_height + (rows + 1) * _GAP),
        "white",
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for number, view in enumerate(views):
        row, column = divmod(number, _COLUMNS)
        x, y = _GAP + column * (cell_width + _GAP), _GAP + row * (cell_height + _GAP)
        crop = view.picture[top : top + box_height, left : left + box_width]
        sheet.paste(Image.fromarray(crop), (x, y))
        draw.text((x, y + box_height + _CAPTION // 2), view.caption, "black", font, anchor="lm")
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=_WEBP_QUALITY, method=4)
    return buffer.getvalue()


def _largest_webp(source: NDArray[np.uint8], most: int) -> bytes | None:
    """The largest file of at most `most` bytes; sizes rise with quality."""
    low, high, best = 0, _LARGEST_QUALITY, None
    while low <= high:
        quality = (low + high) // 2
        data = WEBP.encode(source, quality)
        if len(data) <= most:
            best, low = data, quality + 1
        else:
            high = quality - 1
    return best
