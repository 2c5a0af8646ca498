from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from shared_models.gathering import Gathering
from shared_models.positions import Positions

HEIGHT, WIDTH = 6, 8
POSITIONS = HEIGHT * WIDTH
CHANNELS = (5, 3, 3)
"""Of what is known first, and of each slice."""


class Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Shapes of the matrices that are multiplied meanwhile."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shapes: set[tuple[int, ...]] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in (torch.ops.aten.addmm.default, torch.ops.aten.addmm_.default):
            self.shapes.add(tuple(args[1].shape))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def nets() -> list[nn.Conv2d]:
    torch.manual_seed(3)
    return [nn.Conv2d(sum(CHANNELS[: k + 1]), 4, 1) for k in range(len(CHANNELS))]


@pytest.fixture
def parts() -> list[Tensor]:
    generator = torch.Generator().manual_seed(4)
    return [torch.randn(1, channels, HEIGHT, WIDTH, generator=generator) for channels in CHANNELS]


def gathered(nets: Sequence[nn.Conv2d], parts: Sequence[Tensor], rows: Tensor | None) -> list[Tensor]:
    positions = Positions((1, HEIGHT, WIDTH), rows)
    gathering, outputs = Gathering(nets, positions), []
    for part in parts:
        gathering.add(part)
        outputs.append(positions.whole(gathering.next()))
    return outputs


def joined(nets: Sequence[nn.Conv2d], parts: Sequence[Tensor]) -> list[Tensor]:
    return [F.conv2d(torch.cat(list(parts[: k + 1]), 1), net.weight, net.bias) for k, net in enumerate(nets)]


def energy(outputs: Sequence[Tensor]) -> Tensor:
    return torch.stack([output.square().sum() for output in outputs]).sum()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("rows", [None, [], [0], [3, 4, 17, 41, 47], range(POSITIONS)])
def test_it_is_what_the_convolutions_make_of_all_parts_joined(
    nets: list[nn.Conv2d], parts: list[Tensor], rows: Sequence[int] | None, training: bool
) -> None:
    seen = torch.ones(POSITIONS)
    if rows is not None:
        seen.zero_()[list(rows)] = 1.0
    numbers = None if rows is None else torch.tensor(list(rows), dtype=torch.int64)
    with torch.set_grad_enabled(training):
        outputs = gathered(nets, parts, numbers)
        expected = [output * seen.view(1, 1, HEIGHT, WIDTH) for output in joined(nets, parts)]
    for output, right in zip(outputs, expected, strict=True):
        torch.testing.assert_close(output, right)


def test_no_position_teaches_more_than_once(nets: list[nn.Conv2d], parts: list[Tensor]) -> None:
    rows = torch.tensor([3, 4, 17, 41, 47])
    seen = torch.zeros(POSITIONS)
    seen[rows] = 1.0
    weights = [net.weight for net in nets]
    ours = torch.autograd.grad(energy(gathered(nets, parts, rows)), weights)
    whole = [output * seen.view(1, 1, HEIGHT, WIDTH) for output in joined(nets, parts)]
    theirs = torch.autograd.grad(energy(whole), weights)
    for own, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, right)


@torch.inference_mode()
def test_few_numbers_of_rows_are_multiplied(nets: list[nn.Conv2d], parts: list[Tensor]) -> None:
    """A kernel is made and kept for each of them."""
    with Products() as products:
        for count in range(1, POSITIONS + 1):
            gathered(nets, parts, torch.arange(count))
    assert len({rows for rows, _ in products.shapes}) == 16
