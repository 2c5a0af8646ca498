from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shared_models.errors import TrainingDataError
from shared_models.training.photos import Photos


def test_crops_are_the_same_for_the_same_numbers(photos: Photos) -> None:
    first, second = (photos.crops(4, np.random.default_rng(7)) for _ in range(2))
    assert first.pixels.equal(second.pixels)
    assert first.masks.equal(second.masks)
    assert first.pixels.shape == (4, 3, 64, 64)
    assert set(first.masks.unique().tolist()) == {0.0, 1.0}


def test_masks_are_cut_where_their_photo_is(folders: tuple[Path, Path]) -> None:
    """With the photos for masks, edges and pixels must agree."""
    photos, _ = folders
    crops = Photos(photos, photos, 64).crops(8, np.random.default_rng(1))
    bright = crops.pixels.mean(1, keepdim=True) > 0.6
    dark = crops.pixels.mean(1, keepdim=True) < 0.4
    assert crops.masks[bright].mean() == 1.0
    assert crops.masks[dark].mean() == 0.0


def test_without_masks_everything_counts(folders: tuple[Path, Path]) -> None:
    assert Photos(folders[0], None, 64).crops(2, np.random.default_rng(1)).masks.eq(1.0).all()


def test_what_is_missing_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    photos, masks = folders
    (masks / "3.png").unlink()
    with pytest.raises(TrainingDataError, match=r"3\.png is missing"):
        Photos(photos, masks, 64)
    with pytest.raises(TrainingDataError, match="no photo of at least 512"):
        Photos(photos, None, 512)
    with pytest.raises(TrainingDataError, match="no photo"):
        Photos(tmp_path / "nowhere", None, 64)
