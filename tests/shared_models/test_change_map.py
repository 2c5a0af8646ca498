from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from shared_models.change_map import ChangeMap, read_change_map, write_change_map
from shared_models.coder import CHANCES, SymbolDecoder, SymbolEncoder, SymbolModels
from shared_models.errors import DesynchronisedError
from shared_models.tables import gaussian_tables

MODELS = SymbolModels(gaussian_tables())


def coded(changed: ChangeMap) -> bytes:
    encoder = SymbolEncoder(MODELS)
    write_change_map(encoder, changed)
    return encoder.finish()


@given(npst.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_any_map_comes_back(changed: ChangeMap) -> None:
    decoder = SymbolDecoder(MODELS, coded(changed))
    assert np.array_equal(read_change_map(decoder, changed.shape), changed)
    assert decoder.exhausted


@pytest.mark.parametrize("everywhere", [False, True])
def test_all_or_nothing_costs_a_word(everywhere: bool) -> None:
    assert len(coded(np.full((45, 80), everywhere))) == 4


def test_things_cost_their_outlines() -> None:
    changed = np.zeros((45, 80), bool)
    changed[10:22, 30:50] = True
    scattered = np.random.default_rng(1).permutation(changed.ravel()).reshape(changed.shape)
    # 240 of 3600 positions at random are 0.353 bit each.
    assert len(coded(scattered)) == pytest.approx(3600 * 0.353 / 8, rel=0.1)
    assert len(coded(changed)) < len(coded(scattered)) / 2


def test_chances_are_those_of_the_format() -> None:
    lower = [133, 198, 295, 439, 652, 968, 1434, 2117, 3108, 4531, 6537, 9296, 12964, 17625, 23222, 29502]
    assert list(CHANCES) == lower + [2**16 - ones for ones in reversed(lower)]


def test_damaged_maps_are_refused_or_are_other_maps() -> None:
    changed = np.random.default_rng(1).random((20, 20)) < 0.3
    data = coded(changed)
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x55
        try:
            read = read_change_map(SymbolDecoder(MODELS, bytes(damaged)), changed.shape)
        except DesynchronisedError:
            continue
        assert read.shape == changed.shape
