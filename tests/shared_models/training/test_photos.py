from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared_models.errors import TrainingDataError
from shared_models.photo_file import read_photo
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


def test_what_is_held_in_memory_does_not_change_the_crops(folders: tuple[Path, Path]) -> None:
    one_pair = 150 * 130 * 4
    pools = [Photos(*folders, 64, held_bytes=size) for size in (100 * one_pair, 2 * one_pair, 0)]
    for step in range(5):
        whole, *bounded = (pool.crops(4, np.random.default_rng([3, step])) for pool in pools)
        assert all(crops.pixels.equal(whole.pixels) for crops in bounded)
        assert all(crops.masks.equal(whole.masks) for crops in bounded)


def test_memory_stays_within_its_limit(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen by how often files are read: none twice while it is held, all of them where nothing may be held."""
    reads: list[Path] = []

    def counted(path: Path) -> NDArray[np.uint8]:
        reads.append(path)
        return read_photo(path)

    monkeypatch.setattr("shared_models.training.photos.read_photo", counted)
    found = {}
    for pairs in (0, 2, 6):
        reads.clear()
        pool = Photos(*folders, 64, held_bytes=pairs * 150 * 130 * 4)
        for step in range(40):
            pool.crops(1, np.random.default_rng(step))
        found[pairs] = len(reads)
    assert found[0] == 40
    assert found[6] == 6
    assert 6 < found[2] < 40


@pytest.mark.parametrize("held_bytes", [2**30, 0])
def test_photos_that_cannot_be_used_are_skipped_and_reported(
    folders: tuple[Path, Path], held_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    photos, masks = folders
    Image.new("L", (150, 150)).save(photos / "grey.png")
    (photos / "text.jpg").write_text("no photo")
    damaged = (photos / "0.png").read_bytes()
    (photos / "0.png").write_bytes(damaged[: len(damaged) // 2])
    pool = Photos(photos, masks, 64, held_bytes=held_bytes)
    for step in range(20):
        first, second = (pool.crops(2, np.random.default_rng(step)) for _ in range(2))
        assert first.pixels.equal(second.pixels)
    assert {Path(reason.split()[0]).name for reason in pool.skipped} == {"grey.png", "text.jpg", "0.png"}
    assert "grey.png is greyscale" in caplog.text
    assert "0.png cannot be read" in caplog.text


def test_photos_of_a_data_set_find_their_masks_below_the_same_folders(tmp_path: Path) -> None:
    inner = Path("leftImg8bit", "train", "aachen")
    for root in ("cityscapes", "masks"):
        (tmp_path / root / inner).mkdir(parents=True)
    name = "aachen_000000_000019_leftImg8bit.png"
    Image.new("RGB", (80, 70), "white").save(tmp_path / "cityscapes" / inner / name)
    Image.new("1", (80, 70), 0).save(tmp_path / "masks" / inner / name)
    crops = Photos(tmp_path / "cityscapes", tmp_path / "masks", 64).crops(2, np.random.default_rng(1))
    assert crops.pixels.eq(1.0).all()
    assert crops.masks.eq(0.0).all()


def test_a_mask_of_another_size_is_refused(folders: tuple[Path, Path]) -> None:
    photos, masks = folders
    Image.new("1", (131, 150)).save(masks / "2.png")
    with pytest.raises(TrainingDataError, match=r"2\.png.*differ in size"):
        Photos(photos, masks, 64)
