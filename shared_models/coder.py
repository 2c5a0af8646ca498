"""Entropy coder: integers and their sigma indices to bytes and back, with constriction's range coder.

Symbols of one call are coded in groups of equal index, ascending, in scan order within a group; those of index 0 not at
all. Escaped values follow the groups, as 16 bits each. No step loops over symbols.
"""

from __future__ import annotations

import math
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

NEVER: Final = 0
ALWAYS: Final = 31
"""Numbers of chances. A bit that is never or always 1 is not coded."""
CHANCE_STEP: Final = 0.4
"""Neighbouring chances between the two differ by this much in the logarithm of their odds."""
CHANCES: Final = tuple(
    round(TOTAL / (1.0 + math.exp(-CHANCE_STEP * (number - (NEVER + ALWAYS) / 2))))
    for number in range(ALWAYS + 1)
)
"""How many of 2**16 bits of every chance are 1, but for never and always."""

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
        self.models: Final[list[Any]] = [_table(counts) for counts in tables.counts]
        self.bits: Final[list[Any]] = [_table(np.array([TOTAL - ones, ones])) for ones in CHANCES]
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

    def encode_uniform(self, numbers: Integers, choices: int) -> None:
        """Append numbers (n,) from 0 to `choices` - 1, all equally likely."""
        self._coder.encode(numbers, constriction.stream.model.Uniform(choices))

    def encode_bits(self, bits: NDArray[np.bool_], chance: int) -> None:
        """Append bits (n,) of the chance of that number."""
        if chance not in (NEVER, ALWAYS):
            self._coder.encode(bits.astype(np.int32), self._models.bits[chance])

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

    def decode_uniform(self, count: int, choices: int) -> Integers:
        """The next `count` numbers from 0 to `choices` - 1, all equally likely.

        Raises:
            DesynchronisedError: no encoder writes such bytes.
        """
        return self._next(constriction.stream.model.Uniform(choices), count)

    def decode_bits(self, count: int, chance: int) -> NDArray[np.bool_]:
        """The next `count` bits, of the chance of that number.

        Raises:
            DesynchronisedError: no encoder writes such bytes.
        """
        if chance in (NEVER, ALWAYS):
            return np.full(count, chance == ALWAYS)
        return self._next(self._models.bits[chance], count).astype(bool)

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


def _table(counts: NDArray[np.int64]) -> Any:
    return constriction.stream.model.Categorical((counts / TOTAL).astype(np.float32), perfect=False)


def _groups(indices: Indices) -> list[tuple[int, NDArray[np.intp]]]:
    """Positions of every index above 0 that occurs, ascending."""
    order = np.argsort(indices, kind="stable")
    ends = np.cumsum(np.bincount(indices))
    return [
        (index, order[ends[index - 1] : ends[index]])
        for index in range(1, len(ends))
        if ends[index] > ends[index - 1]
    ]
