from __future__ import annotations

import pytest
import torch

from shared_models.fixed_point import (
    LARGEST_ACTIVATION,
    FixedPointConv2d,
    as_activation,
    freeze,
    requantised_relu,
)


def largest_inputs(channels: int) -> torch.Tensor:
    """The largest activations that there are, with random signs."""
    signs = torch.randint(0, 2, (1, channels, 6, 7), generator=torch.Generator().manual_seed(1)) * 2.0 - 1.0
    return signs * LARGEST_ACTIVATION


@pytest.mark.parametrize(("inputs", "kernel", "groups"), [(384, 1, 1), (224, 1, 1), (96, 1, 1), (64, 3, 64)])
def test_sums_are_exact_even_for_the_largest_operands(inputs: int, kernel: int, groups: int) -> None:
    net = FixedPointConv2d(inputs, 64, kernel=kernel, groups=groups)
    net.weight.data.uniform_(-3.0, 3.0)
    net.bias.data.uniform_(-20.0, 20.0)
    freeze(net)
    x = largest_inputs(inputs)
    single = net(x)
    double = torch.nn.functional.conv2d(
        x.double(), net.weight.double(), net.bias.double(), padding=net.padding, groups=groups
    )
    assert torch.equal(single.double(), double)


def test_order_of_summation_does_not_matter() -> None:
    net = FixedPointConv2d(384, 32)
    freeze(net)
    x = largest_inputs(384)
    order = torch.randperm(384, generator=torch.Generator().manual_seed(2))
    shuffled = torch.nn.functional.conv2d(x[:, order], net.weight[:, order], net.bias)
    assert torch.equal(net(x), shuffled)


def test_a_fan_in_beyond_exact_sums_is_refused() -> None:
    with pytest.raises(ValueError, match="too large for exact sums"):
        FixedPointConv2d(40_000, 8)


def test_freezing_changes_nothing() -> None:
    net = FixedPointConv2d(96, 64)
    x = requantised_relu(torch.randn(1, 96, 5, 5, generator=torch.Generator().manual_seed(3)) * 64.0)
    before = net(x).detach()
    freeze(net)
    assert torch.equal(net(x), before)


def test_activations_lie_on_their_grid() -> None:
    x = requantised_relu(torch.linspace(-80.0, 640.0, 1001))
    assert torch.equal(x, x.round())
    assert x.min() == 0.0
    assert x.max() == LARGEST_ACTIVATION
    assert as_activation(torch.tensor([-99.0, 3.0, 99.0])).tolist() == [-240.0, 48.0, 240.0]


def test_training_reaches_weights_through_the_rounding() -> None:
    net = FixedPointConv2d(8, 4)
    requantised_relu(net(torch.full((1, 8, 2, 2), 32.0)) + 16.0).sum().backward()
    assert net.weight.grad is not None
    assert net.weight.grad.abs().sum() > 0
