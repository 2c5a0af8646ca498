from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from shared_models.blocks import DepthwiseBlock
from shared_models.positions import Positions

FRAMES, HEIGHT, WIDTH = 2, 5, 7
SIZE = (FRAMES, HEIGHT, WIDTH)
COUNT = FRAMES * HEIGHT * WIDTH
SOME = [0, 1, 8, 34, 35, 41, 69]


@pytest.fixture
def pictures() -> Tensor:
    return torch.randn(FRAMES, 4, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(6))


def seen(numbers: Sequence[int]) -> Tensor:
    """1 at the positions, 0 elsewhere."""
    flat = torch.zeros(COUNT)
    flat[list(numbers)] = 1.0
    return flat.view(FRAMES, 1, HEIGHT, WIDTH)


@pytest.mark.parametrize("numbers", [[], [69], SOME, range(COUNT)])
def test_what_is_taken_comes_back_to_its_place_and_the_rest_is_0(
    pictures: Tensor, numbers: Sequence[int]
) -> None:
    positions = Positions(SIZE, torch.tensor(list(numbers), dtype=torch.int64))
    back = positions.whole(positions.picture(positions.rows(pictures)))
    assert torch.equal(back, pictures * seen(numbers))


def test_all_positions_are_the_pictures_themselves(pictures: Tensor) -> None:
    positions = Positions(SIZE)
    assert torch.equal(positions.picture(positions.rows(pictures)), pictures)
    assert positions.whole(pictures) is pictures


@pytest.mark.parametrize("numbers", [[], SOME])
def test_convolutions_of_one_position_take_them_as_they_take_pictures(
    pictures: Tensor, numbers: Sequence[int]
) -> None:
    positions = Positions(SIZE, torch.tensor(numbers, dtype=torch.int64))
    convolution = nn.Conv2d(4, 3, 1)
    alone = positions.whole(convolution(positions.picture(positions.rows(pictures))))
    torch.testing.assert_close(alone, convolution(pictures) * seen(numbers))


@torch.inference_mode()
def test_a_block_finds_the_same_where_all_around_is_seen(pictures: Tensor) -> None:
    block = DepthwiseBlock(4)
    for part in block.modules():
        if isinstance(part, nn.Conv2d):
            part.reset_parameters()
    middle = [WIDTH * row + column for row in (1, 2, 3) for column in (2, 3, 4)]
    positions = Positions(SIZE, torch.tensor(middle))
    alone = positions.whole(block(positions.picture(positions.rows(pictures)), positions.around))
    whole = block(pictures.clone())
    number = WIDTH * 2 + 3
    torch.testing.assert_close(alone.flatten(2)[0, :, number], whole.flatten(2)[0, :, number])
    assert alone[1].count_nonzero() == 0
