"""The entropy decoder as docs/bitstream.md describes it, in plain Python integers: slow, and written from the text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

PRECISION = 24
WORD = 2**32
STATE = 2**64


def boundaries(counts: Sequence[int]) -> list[int]:
    """Left ends of the symbols' intervals within 2**24, and 2**24 itself."""
    scale = np.float32(2**PRECISION - len(counts))
    below = np.cumsum([0, *counts[:-1]]) / 2**16
    return [int(part) for part in np.trunc(below.astype(np.float32) * scale) + np.arange(len(counts))] + [
        2**PRECISION
    ]


RAW = [256 * value for value in range(2**16)] + [2**PRECISION]


class ReferenceDecoder:
    """Reads symbols one by one."""

    def __init__(self, segment: bytes) -> None:
        self._words = iter(np.frombuffer(segment, "<u4").tolist())
        self._low = 0
        self._range = STATE - 1
        self._point = self._word() * WORD + self._word()

    def decode(self, indices: np.ndarray, tables: Sequence[Sequence[int]]) -> np.ndarray:
        """Symbols of one z or one slice."""
        symbols = np.zeros(len(indices), np.int32)
        escaped = []
        for index in sorted(set(indices.tolist()) - {0}):
            reach = (len(tables[index]) - 2) // 2
            intervals = boundaries(tables[index])
            for place in np.flatnonzero(indices == index):
                symbol = self._symbol(intervals)
                if symbol == 2 * reach + 1:
                    escaped.append(place)
                else:
                    symbols[place] = symbol - reach
        for place in escaped:
            symbols[place] = self._symbol(RAW) - 2**15
        return symbols

    def _word(self) -> int:
        return next(self._words, 0)

    def _symbol(self, intervals: list[int]) -> int:
        unit = self._range >> PRECISION
        quantile = (self._point - self._low) % STATE // unit
        symbol = bisect_right(intervals, quantile) - 1
        self._low = (self._low + unit * intervals[symbol]) % STATE
        self._range = unit * (intervals[symbol + 1] - intervals[symbol])
        if self._range < WORD:
            self._low = self._low * WORD % STATE
            self._range *= WORD
            self._point = (self._point * WORD + self._word()) % STATE
        return symbol
