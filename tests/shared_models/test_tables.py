from __future__ import annotations

import math

import numpy as np
import pytest

from shared_models import load_codec
from shared_models.scale import sigmas
from shared_models.tables import TOTAL, Tables, gaussian_tables
from shared_models.weights import SHIPPED, Weights


def test_every_table_is_a_distribution_without_zeros() -> None:
    for counts in gaussian_tables().counts:
        assert counts.sum() == TOTAL
        assert counts.min() >= 1


def test_tables_cost_what_the_gaussian_costs() -> None:
    tables = gaussian_tables()
    for index in (5, 20, 35, 50):
        sigma = sigmas()[index]
        reach = tables.reach(index)
        edges = np.array(
            [0.5 * math.erfc(-(k - 0.5) / (sigma * math.sqrt(2))) for k in range(-reach, reach + 2)]
        )
        masses = np.diff(edges)
        entropy = -np.sum(masses * np.log2(np.maximum(masses, 1e-300)))
        cost = -np.sum(masses * np.log2(tables.counts[index][:-1] / TOTAL))
        assert cost == pytest.approx(entropy, abs=0.01)


def test_flattening_loses_nothing() -> None:
    tables = gaussian_tables()
    again = Tables.unflattened(*tables.flattened())
    assert all(np.array_equal(a, b) for a, b in zip(tables.counts, again.counts, strict=True))


def test_damaged_tables_are_refused() -> None:
    counts, lengths = gaussian_tables().flattened()
    counts[3] += 1
    with pytest.raises(ValueError, match="damaged"):
        Tables.unflattened(counts, lengths)


def test_the_shipped_tables_come_from_the_weights_file() -> None:
    shipped = Weights.load(SHIPPED / "lite.safetensors").tables
    used = load_codec("lite", device="cpu").tables
    assert all(np.array_equal(a, b) for a, b in zip(shipped.counts, used.counts, strict=True))
