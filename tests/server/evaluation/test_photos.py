"""How annotated photos are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from server.evaluation.photos import Photo
from shared_models.errors import PhotoError
from shared_models.evaluation.speed import pink_noise


def test_photos_lie_as_their_annotations_see_them(tmp_path: Path) -> None:
    """COCO's boxes are of the stored picture; 16 bits a pixel are scaled as anywhere."""
    path = tmp_path / "a.png"
    grey = pink_noise(48, 64)[..., 0]
    stored = Image.fromarray(grey.astype(np.uint16) * 257)
    exif = stored.getexif()
    exif[0x112] = 6
    stored.save(path, exif=exif)
    assert np.array_equal(Photo(1, path, grey.size).read(), np.repeat(grey[..., None], 3, axis=2))


def test_a_damaged_photo_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"no photo")
    with pytest.raises(PhotoError, match=r"a\.png cannot be read"):
        Photo(1, path, 1).read()
