from __future__ import annotations

import math

import numpy as np
import pytest

from shared_models.evaluation.quality import MS_SSIM_SMALLEST_SIDE, ms_ssim_db, psnr
from shared_models.evaluation.speed import pink_noise


def test_psnr_is_its_definition() -> None:
    source = np.zeros((4, 4, 3), np.uint8)
    assert psnr(source, source + 1) == pytest.approx(20 * math.log10(255))
    assert psnr(source, source) == math.inf


def test_ms_ssim_falls_with_noise_and_is_infinite_for_equal_pictures() -> None:
    side = MS_SSIM_SMALLEST_SIDE
    source = pink_noise(side, side + 9)
    noise = np.random.default_rng(1).normal(size=source.shape)
    noisy = [(source + sigma * noise).round().clip(0, 255).astype(np.uint8) for sigma in (4, 8, 16)]
    values = [ms_ssim_db(source, one) for one in noisy]
    assert all(value is not None and 0.0 < value < 60.0 for value in values)
    assert values == sorted(values, reverse=True)  # type: ignore[type-var]
    assert ms_ssim_db(source, source) == math.inf


def test_a_constant_shift_costs_the_luminance_term_of_the_coarsest_scale_alone() -> None:
    source = np.full((176, 176, 3), 100, np.uint8)
    stability = (0.01 * 255) ** 2
    luminance = (2 * 100 * 150 + stability) / (100**2 + 150**2 + stability)
    expected = -10 * math.log10(1 - luminance**0.1333)
    assert ms_ssim_db(source, source + np.uint8(50)) == pytest.approx(expected, abs=0.05)


def test_a_picture_too_small_for_five_scales_has_no_ms_ssim() -> None:
    small = np.zeros((MS_SSIM_SMALLEST_SIDE - 1, 300, 3), np.uint8)
    assert ms_ssim_db(small, small) is None
