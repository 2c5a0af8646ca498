from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shared_models.training.cutouts import Cutouts
from shared_models.training.pairs import frame_pairs
from tests.shared_models.training.conftest import annotated

SIDE = 128


@pytest.fixture
def cutouts(folders: tuple[Path, Path]) -> Cutouts:
    return Cutouts(annotated(folders[0]), folders[0])


@pytest.fixture
def photos() -> torch.Tensor:
    return torch.rand(16, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def test_pairs_are_pictures_and_the_photos_stay_as_they_are(photos: torch.Tensor, cutouts: Cutouts) -> None:
    before = photos.clone()
    pair = frame_pairs(photos, cutouts, np.random.default_rng(1))
    assert torch.equal(photos, before)
    for frames in (pair.reference, pair.frame):
        assert frames.shape == photos.shape
        assert frames.dtype == torch.float32
        assert 0.0 <= frames.min().item() <= frames.max().item() <= 1.0


def test_the_same_numbers_make_the_same_pairs(photos: torch.Tensor, cutouts: Cutouts) -> None:
    one, other = (frame_pairs(photos, cutouts, np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(one.reference, other.reference)
    assert torch.equal(one.frame, other.frame)


def test_most_of_a_pair_is_the_same_scene(photos: torch.Tensor, cutouts: Cutouts) -> None:
    smooth = torch.nn.functional.avg_pool2d(photos, 9, 1, 4)
    pair = frame_pairs(smooth, cutouts, np.random.default_rng(1))
    stranger = pair.frame.roll(1, 0)
    apart = (pair.frame - pair.reference).abs().flatten(1)
    assert (
        apart.median(1).values.mean() < (stranger - pair.reference).abs().flatten(1).median(1).values.mean()
    )


def test_pairs_are_of_every_kind(cutouts: Cutouts) -> None:
    """On even grey a pair shows what was done to it: things, light as a whole, light by places, noise."""
    grey = torch.full((200, 3, SIDE, SIDE), 0.5)
    pair = frame_pairs(grey, cutouts, np.random.default_rng(3))
    difference = (pair.frame - pair.reference).mean(1)
    unchanged = difference.flatten(1).abs().amax(1) == 0.0
    edges = (difference.diff(dim=1).abs() > 0.1).flatten(1).any(1)
    lit = difference.flatten(1).median(1).values.abs() > 0.005
    fine = difference[:, 1:, 1:] - difference[:, :-1, :-1]
    noisy = (fine != 0.0).flatten(1).float().mean(1) > 0.9
    for kind in (unchanged, edges, lit, noisy):
        assert 0.005 < kind.float().mean().item() < 0.95
    assert (noisy & ~lit & ~edges).any()


def test_a_camera_shakes_by_a_pixel_or_two_in_some_pairs(cutouts: Cutouts) -> None:
    stripes = (torch.arange(SIDE) % 16 < 8).float().expand(3, SIDE, SIDE)
    pair = frame_pairs(stripes.expand(100, 3, SIDE, SIDE), cutouts, np.random.default_rng(3))
    middle = slice(SIDE // 4, -SIDE // 4)
    away = (pair.frame - pair.reference)[:, :, middle, middle].abs().amax(1)
    share = (away > 0.3).float().flatten(1).mean(1)
    assert 0.02 < (share > 0.05).float().mean().item() < 0.8
    assert share.median().item() < 0.2
