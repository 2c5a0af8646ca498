from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared_models.errors import PhotoError
from shared_models.evaluation.speed import pink_noise
from shared_models.photo_file import LIMITS, photo_size, read_mask, read_photo, read_picture, write_mask


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


@pytest.mark.parametrize("suffix", ["png", "tif", "jp2"])
def test_a_picture_of_16_bits_is_scaled_to_8(tmp_path: Path, suffix: str) -> None:
    grey = pink_noise(40, 60)[..., 0]
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(grey.astype(np.uint16) * 257).save(path)
    assert (read_picture(path) == grey[..., None]).all()


def test_a_tiff_of_big_endian_numbers_or_12_bits_is_scaled_to_8(tmp_path: Path) -> None:
    grey = np.arange(0, 256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray((grey * 257).astype(">u2")).save(tmp_path / "big.tif")
    assert (read_picture(tmp_path / "big.tif") == grey[..., None]).all()
    # Two numbers of 12 bits in three bytes, after TIFF 6.0: Pillow reads such files and writes none.
    levels = np.round(grey.ravel() / 255 * 4095).astype(np.uint16)
    first, second = levels[::2], levels[1::2]
    parts = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1)
    packed = parts.astype(np.uint8).tobytes()
    size, depth, grey_on_black = ((256, 16), (257, 16)), ((258, 12), (259, 1)), ((262, 1), (277, 1))
    strip = ((273, 8), (278, 16), (279, len(packed)))
    tags = sorted((*size, *depth, *grey_on_black, *strip))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = struct.pack("<2sHI", b"II", 42, 8 + len(packed))
    (tmp_path / "12.tif").write_bytes(head + packed + struct.pack("<H", len(tags)) + entries + bytes(4))
    assert (read_picture(tmp_path / "12.tif") == grey[..., None]).all()


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_a_picture_of_unscaled_numbers_is_refused(tmp_path: Path, kind: type[np.generic]) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.arange(256, dtype=kind).reshape(16, 16)).save(path)
    with pytest.raises(PhotoError, match=r"a\.tif are .*scale it to 8 or 16 bits"):
        read_picture(path)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_picture_is_turned_upright(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "a.png"
    picture = pink_noise(40, 60)
    stored = Image.fromarray(picture if depth == 8 else picture[..., 0].astype(np.uint16) * 257)
    exif = stored.getexif()
    exif[0x112] = 6
    stored.save(path, exif=exif)
    lying = read_picture(path, upright=False)
    assert lying.shape == (40, 60, 3)
    assert (read_picture(path) == np.rot90(lying, -1)).all()


def test_files_that_are_no_pictures_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(pink_noise(64, 64)).save(path)
    whole = path.read_bytes()
    for damaged in (b"", b"no picture", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(PhotoError, match=r"a\.png cannot be read"):
            read_picture(path)
    path.write_bytes(whole)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(PhotoError, match=r"a\.png cannot be read.*exceeds limit"):
        read_picture(path)
    with pytest.raises(PhotoError, match=r"b\.png cannot be read"):
        read_picture(tmp_path / "b.png")
