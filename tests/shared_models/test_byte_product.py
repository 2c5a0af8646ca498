from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from shared_models import Codec
from shared_models.byte_product import ByteProduct, byte_product
from shared_models.fixed_point import FixedPointConv2d
from shared_models.gathering import ByteGathering, Gathering
from shared_models.positions import Positions
from tests.shared_models.arithmetic import entropy_models, needs_bytes

pytestmark = needs_bytes
OUTPUTS = 64


def convolution(inputs: int, *, of_largest: float) -> FixedPointConv2d:
    """Frozen, its weights up to a share of the largest that there are."""
    torch.manual_seed(inputs)
    made = FixedPointConv2d(inputs, OUTPUTS)
    with torch.no_grad():
        made.weight.uniform_(-1.0, 1.0).mul_(of_largest * made.largest_weight * made.weight_unit)
        made.bias.uniform_(-16.0, 16.0)
    made.freeze()
    return made.requires_grad_(False)


def rows(count: int, inputs: int) -> Tensor:
    return torch.randint(256, (count, inputs), generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("of_largest", [0.05, 1.0])
@pytest.mark.parametrize("inputs", [33, 64, 96, 256, 544])
@pytest.mark.parametrize("count", [1, 7, 225, 3600])
def test_bytes_make_the_same_numbers_to_the_last_bit(count: int, inputs: int, of_largest: float) -> None:
    made, taken = convolution(inputs, of_largest=of_largest), rows(count, inputs)
    expected = F.linear(taken.double(), made.weight.flatten(1).double(), made.bias.double())
    assert torch.equal(ByteProduct(made)(taken.to(torch.uint8)).double(), expected)


def test_the_largest_sums_are_exact() -> None:
    made = convolution(256, of_largest=1.0)
    made.weight.data = made.weight.sign() * made.largest_weight * made.weight_unit
    taken = (made.weight.flatten(1) > 0) * 255
    expected = F.linear(taken.double(), made.weight.flatten(1).double(), made.bias.double())
    assert torch.equal(ByteProduct(made)(taken.to(torch.uint8)).double(), expected)


def test_a_processor_that_computes_otherwise_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose sums stop growing, as those of two products do at 16 bits before VNNI."""
    made = convolution(96, of_largest=1.0)
    assert byte_product(made) is not None
    exact = ByteProduct.__call__
    monkeypatch.setattr(ByteProduct, "__call__", lambda self, rows: exact(self, rows).clamp_max(1000.0))
    assert byte_product(made) is None


@torch.inference_mode()
@pytest.mark.parametrize("numbers", [None, [], [3, 4, 17]])
def test_what_is_gathered_in_bytes_is_what_is_gathered_in_floats(numbers: list[int] | None) -> None:
    nets = [convolution(32 + 16 * k, of_largest=1.0) for k in range(3)]
    parts = [rows(48, width).float().t().reshape(1, width, 6, 8) for width in (32, 16, 16)]
    positions = Positions((1, 6, 8), None if numbers is None else torch.tensor(numbers, dtype=torch.int64))
    floats = Gathering(nets, positions)
    in_bytes = ByteGathering([ByteProduct(net) for net in nets], positions)
    for part in parts:
        floats.add(part)
        in_bytes.add(part)
        assert torch.equal(floats.next(), in_bytes.next())


def test_a_codec_computes_in_bytes_where_it_can(codec: Codec) -> None:
    assert all(entropy.products for entropy in entropy_models(codec))
