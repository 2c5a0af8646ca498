from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from shared_models.coder import SymbolDecoder, SymbolEncoder, SymbolModels
from shared_models.errors import DesynchronisedError
from shared_models.scale import LEVELS, sigmas
from shared_models.tables import TOTAL, gaussian_tables
from tests.shared_models.reference_decoder import ReferenceDecoder


@pytest.fixture(scope="module")
def models() -> SymbolModels:
    return SymbolModels(gaussian_tables())


def natural(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbols that are distributed as their indices say."""
    rng = np.random.default_rng(seed)
    indices = rng.integers(0, LEVELS, count).astype(np.uint8)
    symbols = np.rint(rng.standard_normal(count) * np.array(sigmas())[indices]).astype(np.int32)
    return symbols * (indices > 0), indices


def test_symbols_come_back(models: SymbolModels) -> None:
    encoder = SymbolEncoder(models)
    parts = [natural(count, count) for count in (10_000, 1, 0, 777)]
    for symbols, indices in parts:
        encoder.encode(symbols, indices)
    decoder = SymbolDecoder(models, encoder.finish())
    for symbols, indices in parts:
        assert np.array_equal(decoder.decode(indices), symbols)


@settings(deadline=None, max_examples=60)
@given(
    symbols=npst.arrays(np.int32, st.integers(0, 60), elements=st.integers(-32767, 32767)),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_symbol_comes_back_however_unlikely(symbols: np.ndarray, seed: int) -> None:
    models = SymbolModels(gaussian_tables())
    indices = np.random.default_rng(seed).integers(1, LEVELS, len(symbols)).astype(np.uint8)
    encoder = SymbolEncoder(models)
    encoder.encode(symbols, indices)
    assert np.array_equal(SymbolDecoder(models, encoder.finish()).decode(indices), symbols)


def test_symbols_of_index_zero_cost_nothing(models: SymbolModels) -> None:
    encoder = SymbolEncoder(models)
    encoder.encode(np.zeros(100_000, np.int32), np.zeros(100_000, np.uint8))
    assert encoder.finish() == b""


@pytest.mark.parametrize("index", [1, 4, 17, LEVELS - 1])
def test_no_symbols_cost_less_than_the_likeliest(models: SymbolModels, index: int) -> None:
    """Words of the coder but two carry 32 bits each: on that rests the shortest payload that a frame may have."""
    for count in (1, 50, 30_000):
        encoder = SymbolEncoder(models)
        encoder.encode(np.zeros(count, np.int32), np.full(count, index, np.uint8))
        spent, least = 8 * len(encoder.finish()), count * models.least_bits[index]
        assert least - 64.0 <= spent <= 1.003 * least + 96.0


def test_size_is_the_information_in_the_tables(models: SymbolModels) -> None:
    symbols, indices = natural(100_000, 5)
    encoder = SymbolEncoder(models)
    encoder.encode(symbols, indices)
    tables = gaussian_tables()
    information = 0.0
    for index in range(1, LEVELS):
        values = symbols[indices == index]
        inside = values[np.abs(values) <= tables.reach(index)]
        information -= np.log2(tables.counts[index][inside + tables.reach(index)] / TOTAL).sum()
    assert len(encoder.finish()) * 8 == pytest.approx(information, rel=0.002)


def test_size_is_that_of_compressai(models: SymbolModels, compressai_ans: ModuleType) -> None:
    symbols, indices = natural(50_000, 6)
    coded = indices > 0
    symbols, indices = symbols[coded], indices[coded]
    tables = gaussian_tables()
    cdfs = [[0, *np.cumsum(counts).tolist()] for counts in tables.counts]
    theirs = compressai_ans.RansEncoder().encode_with_indexes(
        symbols.tolist(),
        indices.tolist(),
        cdfs,
        [len(cdf) for cdf in cdfs],
        [-tables.reach(index) for index in range(LEVELS)],
    )
    encoder = SymbolEncoder(models)
    encoder.encode(symbols, indices)
    assert len(encoder.finish()) == pytest.approx(len(theirs), rel=0.005)


def test_a_decoder_written_from_the_document_reads_the_same(models: SymbolModels) -> None:
    symbols, indices = natural(8_000, 8)
    symbols[::900] *= 40
    symbols[indices == 0] = 0
    encoder = SymbolEncoder(models)
    encoder.encode(symbols, indices)
    tables = [counts.tolist() for counts in gaussian_tables().counts]
    assert np.array_equal(ReferenceDecoder(encoder.finish()).decode(indices, tables), symbols)


@settings(deadline=None, max_examples=100)
@given(count=st.integers(0, 30), words=st.integers(-2, 2), seed=st.integers(0, 2**32 - 1))
def test_a_decoder_written_from_the_document_finds_the_same_end(count: int, words: int, seed: int) -> None:
    """Of payloads that are cut short, whole, or too long by a few words."""
    tables = gaussian_tables()
    models = SymbolModels(tables)
    symbols, indices = natural(count, seed)
    encoder = SymbolEncoder(models)
    encoder.encode(symbols, indices)
    payload = encoder.finish()
    payload = payload[: 4 * words] if words < 0 else payload + bytes(4 * words)
    decoder, reference = SymbolDecoder(models, payload), ReferenceDecoder(payload)
    try:
        decoded = decoder.decode(indices)
    except DesynchronisedError:
        return
    assert np.array_equal(decoded, reference.decode(indices, [counts.tolist() for counts in tables.counts]))
    assert decoder.exhausted == reference.exhausted


@settings(deadline=None, max_examples=60)
@given(words=st.integers(0, 200), seed=st.integers(0, 2**32 - 1))
def test_decoding_bytes_of_nobody_ends(words: int, seed: int) -> None:
    models = SymbolModels(gaussian_tables())
    segment = np.random.default_rng(seed).bytes(4 * words)
    indices = natural(2_000, seed)[1]
    try:
        symbols = SymbolDecoder(models, segment).decode(indices)
    except DesynchronisedError:
        return
    assert np.abs(symbols).max() <= 2**15
