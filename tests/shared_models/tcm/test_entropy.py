"""The entropy model's rates and tables against CompressAI's."""

from __future__ import annotations

import math

import pytest
import torch

from shared_models.entropy_model import Level
from shared_models.tcm.entropy import MixedEntropyModel, table_sigmas
from shared_models.torchvision_operators import provide_operators
from tests.shared_models.tcm.sizes import TINY

provide_operators()

from compressai.entropy_models import GaussianConditional  # noqa: E402

FIRST_HYPER_TABLE = 65


@pytest.fixture(scope="module")
def entropy() -> MixedEntropyModel:
    torch.manual_seed(1)
    model = MixedEntropyModel(TINY, 3, FIRST_HYPER_TABLE)
    with torch.no_grad():
        model.hyper_distribution.quantiles[:, 0, 1] += torch.linspace(-3.0, 3.0, TINY.hyper_latents)
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def level() -> Level:
    return Level(torch.zeros(2, dtype=torch.long), torch.zeros(2, dtype=torch.long))


@pytest.fixture(scope="module")
def theirs() -> GaussianConditional:
    model = GaussianConditional(table_sigmas())
    model.update()
    return model


def test_bits_of_latents(entropy: MixedEntropyModel, theirs: GaussianConditional) -> None:
    symbols = torch.randn(2, 4, 5, 6).mul(20).round()
    spread = torch.randn(2, 4, 5, 6).exp() * 4 - 1  # some below the smallest sigma
    _, likelihood = theirs(symbols, spread, training=False)
    expected = -likelihood.double().log2()
    torch.testing.assert_close(entropy.bits(symbols, spread), expected.float())


def test_the_nearest_of_their_tables_is_taken(entropy: MixedEntropyModel) -> None:
    sigmas = torch.tensor(table_sigmas())
    expected = torch.exp(torch.linspace(math.log(0.11), math.log(256.0), 64))
    torch.testing.assert_close(sigmas, expected)
    numbers = list(range(1, 65))
    for factor in (0.95, 1.0, 1.05):  # neighbours differ by 13 %
        assert entropy.index(sigmas * factor).tolist() == numbers
    assert entropy.index(torch.tensor([-1.0, 0.0, 1e6])).tolist() == [1, 1, 64]


def test_bits_of_hyper_latents(entropy: MixedEntropyModel, level: Level) -> None:
    y = torch.randn(2, 12, 6, 7) * 5
    z = entropy.hyper_latents(y, level).round()
    their_z, likelihood = entropy.hyper_distribution(entropy.hyper_analysis(y), training=False)
    torch.testing.assert_close(z + entropy.hyper_distribution.quantiles[:, 0, 1, None, None], their_z)
    torch.testing.assert_close(entropy.hyper_bits(z, level), -likelihood.log2())
    masses = entropy.hyper_masses(2000)
    assert masses.shape == (TINY.hyper_latents, 4001)
    assert masses.sum(1) == pytest.approx(1.0)
    picked = masses[torch.arange(TINY.hyper_latents)[:, None, None], z[0].long() + 2000]
    assert -torch.from_numpy(picked).log2().sum().item() == pytest.approx(
        entropy.hyper_bits(z, level)[0].sum().item(), rel=1e-4
    )


def test_hyper_tables_follow_those_of_latents(entropy: MixedEntropyModel, level: Level) -> None:
    last = FIRST_HYPER_TABLE + TINY.hyper_latents - 1
    assert entropy.hyper_index(level)[1, :, 0, 0].tolist() == list(range(FIRST_HYPER_TABLE, last + 1))
    assert entropy.largest_index == last


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (8, 8)])
def test_walk_takes_latents_of_any_size(entropy: MixedEntropyModel, size: tuple[int, int]) -> None:
    level = Level(torch.tensor([0]), torch.tensor([0]))
    z = entropy.hyper_latents(torch.randn(1, 12, *size), level)
    assert z.shape[-2:] == (-(-size[0] // 4), -(-size[1] // 4))
    symbols, latents = entropy.walk(z.round(), size, level, None, 2, lambda k, spread, mean: mean.round())
    assert symbols.shape == latents.shape == (1, 8, *size)
    assert (latents - symbols).abs().max() < 1.5
