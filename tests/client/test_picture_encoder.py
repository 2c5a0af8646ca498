"""What the client makes of pictures before they are encoded."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from secondsight.client import PictureError
from secondsight.client._picture_encoder import PictureEncoder
from shared_models.evaluation.speed import pink_noise


@pytest.fixture(scope="module")
def grey() -> NDArray[np.uint8]:
    return pink_noise(48, 64)[..., 0]


def machine_layer(picture: object) -> bytes:
    layers, _ = PictureEncoder(device="cpu").encode(picture, None)  # type: ignore[arg-type]
    return layers.machine


def test_16_bits_a_pixel_and_exif_are_understood(tmp_path: Path, grey: NDArray[np.uint8]) -> None:
    expected = machine_layer(np.repeat(grey[..., None], 3, axis=2))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    assert machine_layer(deep) == expected
    held = io.BytesIO()
    exif = Image.Exif()
    exif[0x112] = 3
    deep.transpose(Image.Transpose.ROTATE_180).save(held, "PNG", exif=exif)
    assert machine_layer(held.getvalue()) == expected
    (tmp_path / "a.png").write_bytes(held.getvalue())
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert machine_layer(path) == expected


def test_what_is_no_picture_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, grey: NDArray[np.uint8]
) -> None:
    encoder = PictureEncoder(device="cpu")
    with pytest.raises(PictureError, match=r"floating-point numbers.*scale it"):
        encoder.encode(Image.fromarray(grey.astype(np.float32)), None)
    with pytest.raises(PictureError, match="cannot be read"):
        encoder.encode(b"no picture", None)
    with pytest.raises(PictureError, match=r"gone\.png cannot be read"):
        encoder.encode(tmp_path / "gone.png", None)
    with pytest.raises(PictureError, match="uint8"):
        encoder.encode(grey, None)
    Image.fromarray(grey).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(PictureError, match=r"a\.png cannot be read.*limit of 2000 pixels"):
        encoder.encode(tmp_path / "a.png", None)
