from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared_models.errors import PhotoError
from shared_models.evaluation.speed import pink_noise
from shared_models.photo_file import LIMITS, photo_size, read_mask, read_photo, write_mask


def test_a_photo_within_the_limit_is_read_as_it_is(tmp_path: Path) -> None:
    picture = pink_noise(40, 60)
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert (read_photo(tmp_path / "a.png") == picture).all()


def test_a_large_photo_is_scaled_down_and_its_mask_with_it(tmp_path: Path) -> None:
    """Cityscapes' size."""
    photo, mask = tmp_path / "a.png", tmp_path / "masks" / "city" / "a.png"
    Image.fromarray(pink_noise(1024, 2048)).save(photo)
    assert photo_size(photo) == (512, LIMITS.reduced_side)
    assert read_photo(photo).shape == (512, LIMITS.reduced_side, 3)
    edges = np.zeros((512, LIMITS.reduced_side), bool)
    edges[100:104] = True
    edges[:, 700:702] = True
    write_mask(edges, photo, mask)
    with Image.open(mask) as written:
        assert written.size == (2048, 1024)
        assert written.mode == "1"
    assert (read_mask(mask) == edges).all()
    assert [path.name for path in mask.parent.iterdir()] == ["a.png"]


@pytest.mark.parametrize("mode", ["L", "1", "I;16", "LA"])
def test_greyscale_photos_are_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (32, 32)).save(tmp_path / "a.png")
    with pytest.raises(PhotoError, match="greyscale"):
        read_photo(tmp_path / "a.png")


def test_damaged_photos_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(pink_noise(64, 64)).save(path)
    whole = path.read_bytes()
    for damaged in (b"", b"no photo", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(PhotoError, match="cannot be read"):
            read_photo(path)
