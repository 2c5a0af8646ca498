"""Entropy coder: integers and their sigma indices to bytes and back, with constriction's range coder.

Symbols of one call are coded in groups of equal index, ascending, in scan order within a group; those of index 0 not at
all. Escaped values follow the groups, as 16 bits each. No step loops over symbols.
"""

from __future__ import annotations

from typing import Any, Final

import constriction
import numpy as np
import torch
from numpy.typing import NDArray

from shared_models.errors import DesynchronisedError
from shared_models.tables import TOTAL, Tables

MOST_BYTES_PER_SYMBOL: Final = 4
"""An escape of the smallest count, 16 bits, and the 16 bits of its value."""
_MOST_ROUNDED_UP: Final = 3 * 2.0**-24
"""By which constriction's own probability of a symbol may exceed the table's: both ends rounded, and one for each."""
_RAW: Final = constriction.stream.model.Uniform(2**16)
_RAW_ZERO: Final = 2**15

Integers = NDArray[np.int32]
Indices = NDArray[np.uint8] | NDArray[np.uint16]
"""Numbers of tables; in 8 bits, they are sorted faster."""


class SymbolModels:
    """The tables in the coder's own form; build once, share between threads.

    `least_bits[i]` is a lower bound of what any symbol of index i costs.
    """

    def __init__(self, tables: Tables) -> None:
        self.index_dtype: Final = torch.uint8 if len(tables.counts) <= 2**8 else torch.uint16
        self.reaches: Final = [tables.reach(index) for index in range(len(tables.counts))]
        self.models: Final[list[Any]] = [
            constriction.stream.model.Categorical((counts / TOTAL).astype(np.float32), perfect=False)
            for counts in tables.counts
        ]
        likeliest = np.array([counts.max() / TOTAL for counts in tables.counts])
        self.least_bits: Final = -np.log2(np.minimum(1.0, likeliest + _MOST_ROUNDED_UP))
        self.least_bits[0] = 0.0


class SymbolEncoder:
    """Collects symbols into one segment."""

    def __init__(self, models: SymbolModels) -> None:
        self._models = models
        self._coder: Any = constriction.stream.queue.RangeEncoder()

    def encode(self, symbols: Integers, indices: Indices) -> None:
        """Append symbols (n,) within +-32767 that are distributed as `indices` (n,) say."""
        escaped: list[Integers] = []
        for index, members in _groups(indices):
            reach = self._models.reaches[index]
            values = symbols[members]
            outside = np.abs(values) > reach
            if outside.any():
                escaped.append(values[outside])
            coded = np.where(outside, 2 * reach + 1, values + reach).astype(np.int32)
            self._coder.encode(coded, self._models.models[index])
        if escaped:
            self._coder.encode((np.concatenate(escaped) + _RAW_ZERO).astype(np.int32), _RAW)

    def finish(self) -> bytes:
        """The segment."""
        return self._coder.get_compressed().astype("<u4").tobytes()


class SymbolDecoder:
    """Reads symbols from one segment. Wrong bytes mostly give wrong symbols, which a checksum must catch."""

    def __init__(self, models: SymbolModels, segment: bytes) -> None:
        self._models = models
        words = np.frombuffer(segment, "<u4").astype(np.uint32)
        self._coder: Any = constriction.stream.queue.RangeDecoder(words)

    def decode(self, indices: Indices) -> Integers:
        """The next symbols, (n,), that are distributed as `indices` (n,) say.

        Raises:
            DesynchronisedError: no encoder writes such bytes with these indices.
        """
        symbols = np.zeros(len(indices), np.int32)
        escaped: list[NDArray[np.intp]] = []
        for index, members in _groups(indices):
            reach = self._models.reaches[index]
            coded = self._next(self._models.models[index], len(members))
            symbols[members] = coded - reach
            outside = coded == 2 * reach + 1
            if outside.any():
                escaped.append(members[outside])
        if escaped:
            places = np.concatenate(escaped)
            symbols[places] = self._next(_RAW, len(places)) - _RAW_ZERO
        return symbols

    @property
    def exhausted(self) -> bool:
        """Whether no whole word is left over."""
        return bool(self._coder.maybe_exhausted())

    def _next(self, model: Any, count: int) -> Integers:
        try:
            return self._coder.decode(model, count)
        except AssertionError as error:  # constriction's way to say so
            raise DesynchronisedError(
                "the coded symbols do not fit their probabilities: this device does not compute as the encoder did"
            ) from error


def _groups(indices: Indices) -> list[tuple[int, NDArray[np.intp]]]:
    """Positions of every index above 0 that occurs, ascending."""
    order = np.argsort(indices, kind="stable")
    ends = np.cumsum(np.bincount(indices))
    return [
        (index, order[ends[index - 1] : ends[index]])
        for index in range(1, len(ends))
        if ends[index] > ends[index - 1]
    ]
