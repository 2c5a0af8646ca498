"""Half size and back."""

from __future__ import annotations

import pytest

from server.evaluation.half_size import HalfSize
from shared_models.evaluation.peers import WEBP
from shared_models.evaluation.quality import psnr
from shared_models.evaluation.speed import pink_noise


@pytest.mark.parametrize("size", [(64, 96), (65, 96), (64, 97), (65, 97)])
def test_every_size_comes_back(size: tuple[int, int]) -> None:
    codec = HalfSize(WEBP)
    picture = pink_noise(*size)
    data = codec.encode(picture, 90)
    decoded = codec.decode(data)
    assert decoded.shape == picture.shape
    assert psnr(picture, decoded) > 20
    assert len(data) < len(WEBP.encode(picture, 90)) / 2
