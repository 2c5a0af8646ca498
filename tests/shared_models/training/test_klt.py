from __future__ import annotations

import numpy as np
import pytest
import torch

from shared_models.analysis import Analysis
from shared_models.config import LITE
from shared_models.synthesis import Synthesis
from shared_models.training.klt import KarhunenLoeve
from shared_models.training.photos import Photos


@pytest.fixture
def basis(photos: Photos) -> KarhunenLoeve:
    return KarhunenLoeve.of(photos.crops(1500, np.random.default_rng(1)).pixels, LITE)


def test_both_steps_are_orthonormal(basis: KarhunenLoeve) -> None:
    for vectors in (basis.blocks, basis.neighbourhoods):
        torch.testing.assert_close(vectors.T @ vectors, torch.eye(vectors.shape[1]), atol=1e-4, rtol=0.0)


def test_the_start_is_a_transform_and_its_transpose(basis: KarhunenLoeve, photos: Photos) -> None:
    analysis = Analysis(LITE, LITE.enhancement.analysis)
    synthesis = Synthesis(LITE, LITE.enhancement.synthesis)
    basis.start_analysis(analysis)
    basis.start_synthesis(synthesis)
    pixels = photos.crops(4, np.random.default_rng(2)).pixels
    with torch.no_grad():
        y = analysis(pixels)
        error = (synthesis(y) - pixels).square().mean()
    assert error < 0.1 * pixels.var()
    variances = y.var((0, 2, 3))
    assert variances[:32].mean() > variances[32:].mean() * 5
