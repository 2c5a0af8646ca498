"""Probability tables of the profile paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shared_models.entropy_model import Level
from shared_models.tables import TOTAL, Tables
from shared_models.tcm.entropy import MixedEntropyModel
from shared_models.tcm.profile import paper_enhancement_layer, paper_single_layer
from shared_models.tcm.tables import paper_tables
from tests.shared_models.tcm.sizes import TINY


@pytest.fixture(scope="module")
def models() -> tuple[MixedEntropyModel, MixedEntropyModel]:
    torch.manual_seed(2)
    layers = (paper_single_layer(TINY), paper_enhancement_layer(TINY))
    for layer in layers:
        assert isinstance(layer.entropy, MixedEntropyModel)
        distribution = layer.entropy.hyper_distribution
        with torch.no_grad():
            for matrix, bias in zip(distribution.matrices, distribution.biases, strict=True):
                matrix += 0.3 * torch.randn_like(matrix)
                bias += torch.randn_like(bias)
    return layers[0].entropy, layers[1].entropy


@pytest.fixture(scope="module")
def tables(models: tuple[MixedEntropyModel, MixedEntropyModel]) -> Tables:
    return paper_tables(*models)


def cost(counts: np.ndarray, symbols: np.ndarray) -> float:
    """Bits of symbols in a table; an escape has 16 more."""
    reach = (len(counts) - 2) // 2
    outside = np.abs(symbols) > reach
    place = np.where(outside, 2 * reach + 1, symbols + reach)
    return float(np.log2(TOTAL / counts[place]).sum() + 16 * outside.sum())


def test_tables_are_whole(tables: Tables) -> None:
    assert len(tables.counts) == 65 + 2 * TINY.hyper_latents
    for counts in tables.counts:
        assert counts.sum() == TOTAL and counts.min() >= 1 and len(counts) % 2 == 0
    again = Tables.unflattened(*tables.flattened())
    assert all(np.array_equal(a, b) for a, b in zip(again.counts, tables.counts, strict=True))


@pytest.mark.parametrize("sigma", [0.05, 0.2, 1.0, 7.0, 60.0, 200.0])
def test_latents_cost_what_is_estimated(
    tables: Tables, models: tuple[MixedEntropyModel, MixedEntropyModel], sigma: float
) -> None:
    symbols = np.random.default_rng(1).normal(0.0, sigma, 100_000).round().astype(int)
    spread = torch.full((1, len(symbols)), sigma)
    estimated = models[0].bits(torch.from_numpy(symbols).float()[None], spread).sum().item()
    (index,) = set(models[0].index(spread)[0].tolist())
    assert cost(tables.counts[int(index)], symbols) == pytest.approx(estimated, rel=0.01, abs=100.0)


@pytest.mark.parametrize("number", [0, 1])
def test_hyper_latents_cost_what_is_estimated(
    tables: Tables, models: tuple[MixedEntropyModel, MixedEntropyModel], number: int
) -> None:
    model = models[number]
    level = Level(torch.tensor([0]), torch.tensor([0]))
    rng = np.random.default_rng(1)
    masses = model.hyper_masses(1000)
    z = np.stack([rng.choice(np.arange(-1000, 1001), 5000, p=m / m.sum()) for m in masses])
    estimated = model.hyper_bits(torch.from_numpy(z).float()[None, :, :, None], level).sum().item()
    index = model.hyper_index(level)[0, :, 0, 0].int().tolist()
    coded = sum(cost(tables.counts[i], symbols) for i, symbols in zip(index, z, strict=True))
    assert coded == pytest.approx(estimated, rel=0.01)
