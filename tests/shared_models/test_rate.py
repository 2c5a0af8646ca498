from __future__ import annotations

import pytest
import torch

from shared_models.rate import gaussian_bits
from shared_models.scale import LEVELS, sigma_of


def test_bits_add_up_to_the_entropy_of_a_gaussian() -> None:
    index = torch.full((1, 200_000), 24.0)
    sigma = sigma_of(index)
    symbols = torch.round(torch.randn(index.shape, generator=torch.Generator().manual_seed(1)) * sigma)
    entropy = 0.5 * torch.log2(2 * torch.pi * torch.e * sigma[0, 0] ** 2)
    assert gaussian_bits(symbols, index).mean().item() == pytest.approx(entropy.item(), rel=0.01)


def test_far_symbols_still_pull_the_width_towards_them() -> None:
    index = torch.full((1, 1), 2.0, requires_grad=True)
    gaussian_bits(torch.full((1, 1), 40.0), index).sum().backward()
    assert index.grad is not None
    assert index.grad.item() < 0.0
    assert index.item() < LEVELS
