from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from shared_models import Codec
from shared_models.evaluation.contact_sheet import contact_sheet, views_of
from shared_models.evaluation.quality import psnr
from shared_models.evaluation.rate_distortion import Photo


def test_views_tell_the_bits_and_quality_of_what_they_show(codec: Codec, picture: np.ndarray) -> None:
    views = views_of(codec, Photo("a.png", picture))
    titles = ["source", "machine view", *(f"human view, m = {m}" for m in range(1, 6))]
    assert [view.title for view in views[:7]] == titles
    assert views[0].caption == "source"
    for view in views[1:]:
        assert view.psnr_db == pytest.approx(psnr(picture, view.picture))
        assert f"{view.bits_per_pixel:.3f} bit/pixel, {view.psnr_db:.2f} dB" in view.caption
    frame = codec.encode(picture)
    whole = 8 * (len(frame.machine) + len(frame.enhancement)) / (picture.shape[0] * picture.shape[1])
    assert views[6].bits_per_pixel == pytest.approx(whole)
    rates = [view.bits_per_pixel or 0.0 for view in views[1:7]]
    assert rates == sorted(rates)
    if len(views) > 7:
        assert (views[7].bits_per_pixel or 0.0) <= rates[-1]


def test_a_sheet_holds_the_middle_of_every_view(codec: Codec) -> None:
    source = np.random.default_rng(1).integers(0, 256, (400, 600, 3), np.uint8)
    views = views_of(codec, Photo("a.png", source))
    with Image.open(io.BytesIO(contact_sheet(views))) as sheet:
        assert sheet.size == (2 * 512 + 3 * 12, 4 * (384 + 30) + 5 * 12)
        first = np.asarray(sheet.convert("RGB"))[12 : 12 + 384, 12 : 12 + 512]
    assert psnr(source[8:392, 44:556], first) > psnr(source[:384, :512], first) + 3
