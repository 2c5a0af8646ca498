from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge.config import CaptureConfig, Polygon
from edge.hidden_parts import HiddenParts
from tests.edge.test_capture import taken

WINDOW: Polygon = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.5), (0.25, 0.5))

SHARES = st.integers(0, 64).map(lambda part: part / 64)
BOXES = st.tuples(SHARES, SHARES, SHARES, SHARES).filter(lambda box: box[0] < box[2] and box[1] < box[3])


@given(box=BOXES, width=st.integers(16, 90), height=st.integers(16, 90))
def test_what_is_hidden_is_black_and_the_rest_is_as_it_was(
    box: tuple[float, float, float, float], width: int, height: int
) -> None:
    left, top, right, bottom = box
    image = np.full((height, width, 3), 200, np.uint8)
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    shown = HiddenParts([corners]).blackened(image)
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    within = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    assert not shown[within].any()
    # The pixels that an edge runs through go, too, and no others.
    clear = (x < left - 1 / width) | (x > right + 1 / width)
    clear |= (y < top - 1 / height) | (y > bottom + 1 / height)
    assert (shown[clear] == 200).all()
    assert (image == 200).all()


def test_several_parts_and_slanted_ones_are_hidden_at_every_size() -> None:
    parts = HiddenParts([WINDOW, ((0.0, 1.0), (0.0, 0.6), (0.4, 1.0))])
    for height, width in ((90, 160), (720, 1280), (90, 160)):
        shown = parts.blackened(np.full((height, width, 3), 9, np.uint8))
        for x, y, hidden in ((0.5, 0.4, True), (0.1, 0.9, True), (0.3, 0.7, False), (0.9, 0.9, False)):
            assert shown[int(y * height), int(x * width)].any() != hidden


def test_where_nothing_is_hidden_the_picture_is_not_even_copied() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    assert HiddenParts(()).blackened(image) is image


@pytest.mark.parametrize("max_side", [None, 32])
async def test_no_frame_leaves_the_capture_with_what_is_hidden(tmp_path: Path, max_side: int | None) -> None:
    noise = np.random.default_rng(0)
    for number in range(3):
        picture = noise.integers(1, 256, (48, 64, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    config = CaptureConfig(speed=0, max_side=max_side)
    shown = await taken(tmp_path, replace(config, hidden=(WINDOW,)))
    plain = await taken(tmp_path, config)
    assert len(shown) == 3
    for frame, whole in zip(shown, plain, strict=True):
        height, width = frame.image.shape[:2]
        part = np.s_[height // 4 : height // 2, width // 4 : 3 * width // 4]
        assert whole.image[part].all()
        assert not frame.image[part].any()
        assert np.array_equal(frame.image[height // 2 + 1 :], whole.image[height // 2 + 1 :])
