"""Each step from a photo to white lines."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shared_models.evaluation.speed import pink_noise
from shared_models.masks.gradient import GradientEdges
from shared_models.masks.holistic import LearnedEdges
from shared_models.masks.regions import region_boundaries
from shared_models.masks.segments import segment_edges
from shared_models.masks.widening import widened
from shared_models.torchvision_operators import suppressed

SIDE = 64
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


def test_segments_become_their_outlines() -> None:
    """Two that overlap, one at the photo's border and one that is empty."""
    disc = np.hypot(ROWS - 24, COLUMNS - 24) < 14
    square = (ROWS >= 30) & (ROWS < 50) & (COLUMNS >= 30) & (COLUMNS < 50)
    corner = (ROWS < 6) & (COLUMNS >= 54)
    edges = segment_edges([disc, square, corner, np.zeros_like(disc)], (SIDE, SIDE))
    assert edges.any()
    outline = np.zeros_like(disc)
    for segment in (disc, square, corner):
        within = np.pad(segment, 1, mode="edge")
        for shift in ((0, 1), (2, 1), (1, 0), (1, 2)):
            outline |= segment != within[shift[0] : shift[0] + SIDE, shift[1] : shift[1] + SIDE]
    assert not (edges & ~widened(outline, 3)).any()
    assert (widened(edges, 3)[outline]).mean() > 0.99
    assert not edges[:4, 58:].any(), "the photo's border is no edge"


def test_no_segments_have_no_edges() -> None:
    assert not segment_edges([], (SIDE, SIDE)).any()


@pytest.mark.parametrize("width", [1, 2, 3, 4, 7])
def test_lines_get_the_width_that_is_asked_for(width: int) -> None:
    for line in (ROWS == 30, COLUMNS == 30):
        assert widened(line, width).sum() == width * SIDE
    diagonal = widened(ROWS == COLUMNS, width)
    assert diagonal[SIDE // 2].sum() >= width


def test_regions_are_closed_where_their_boundary_is_weak() -> None:
    """A ring that fades, which a threshold would leave open, and a faint line that is no edge."""
    ring = np.exp(-(((np.hypot(ROWS - 32, COLUMNS - 32) - 20) / 2) ** 2))
    fading = ring * (0.25 + 0.7 * COLUMNS / SIDE)
    faint = 0.15 * np.exp(-(((ROWS - 4) / 2) ** 2))
    lines = region_boundaries((fading + faint).astype(np.float32))
    assert not lines[:9].any()
    distances = np.hypot(*(at - 32 for at in np.nonzero(lines)))
    assert np.abs(distances - 20).max() <= 2.0
    angles = np.degrees(np.arctan2(*(at - 32 for at in np.nonzero(lines))))
    assert len({int(angle % 360) // 10 for angle in angles}) == 36


def test_an_even_probability_has_one_region() -> None:
    assert not region_boundaries(np.full((SIDE, SIDE), 0.1, np.float32)).any()


@pytest.mark.parametrize("method", [GradientEdges, LearnedEdges])
def test_a_thing_before_a_ground_is_outlined(method: type[GradientEdges | LearnedEdges]) -> None:
    torch.set_num_threads(1)
    distance = np.hypot(ROWS - 31.5, COLUMNS - 31.5)
    photo = np.where(distance[..., None] < 18, (220, 160, 40), (40, 90, 60)).astype(np.uint8)
    photo += pink_noise(SIDE, SIDE) // 32
    lines = method().lines(photo)
    assert lines.shape == (SIDE, SIDE)
    assert lines.dtype == bool
    found = np.abs(distance[lines] - 18)
    assert (found < 3).mean() > 0.9
    assert widened(lines, 4)[np.abs(distance - 18) < 0.5].mean() > 0.9


def test_boxes_that_overlap_a_better_one_are_suppressed() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 0, 10, 4]]).float()
    scores = torch.tensor([0.5, 0.9, 0.1, 0.8])
    assert suppressed(boxes, scores, 0.5).tolist() == [1, 3, 2]
    assert suppressed(boxes, scores, 0.3).tolist() == [1, 2]
    assert suppressed(boxes[:0], scores[:0], 0.5).tolist() == []
