"""Probability tables of the symbols, one per sigma index, as integers.

They are computed once, when weights are exported, and travel with them: computing them again elsewhere could round
otherwise (`scale.py` has the indices).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared_models.scale import sigmas

TOTAL: Final = 2**16
"""Counts of a table add up to this."""
_SMALLEST_REACH: Final = 8
_REACH_IN_SIGMAS: Final = 5.0


@dataclass(frozen=True)
class Tables:
    """`counts[i]` holds the counts of the symbols ``-reach .. reach`` at index i and, last, of the escape.

    A symbol beyond the reach is coded as the escape, its value apart. Index 0 has no table: its symbols are 0.
    """

    counts: tuple[NDArray[np.int64], ...]

    def reach(self, index: int) -> int:
        """Largest magnitude that index `index` codes without an escape."""
        return (len(self.counts[index]) - 2) // 2

    def flattened(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """All counts in a row and the length of each table, for a weights file."""
        lengths = np.array([len(table) for table in self.counts], np.int32)
        return np.concatenate(self.counts).astype(np.int32), lengths

    @classmethod
    def unflattened(cls, counts: NDArray[np.int32], lengths: NDArray[np.int32]) -> Tables:
        """Inverse of `flattened`.

        Raises:
            ValueError: the numbers are no tables.
        """
        parts = np.split(counts.astype(np.int64), np.cumsum(lengths)[:-1])
        if any(len(t) % 2 or t.sum() != TOTAL or t.min() < 1 for t in parts):
            raise ValueError("the probability tables are damaged")
        return cls(tuple(parts))


def gaussian_tables() -> Tables:
    """Tables of zero-mean Gaussians integrated over unit intervals."""
    return Tables(tuple(_gaussian(sigma) for sigma in sigmas()))


def _gaussian(sigma: float) -> NDArray[np.int64]:
    reach = max(_SMALLEST_REACH, math.ceil(_REACH_IN_SIGMAS * sigma))
    edges = [0.5 * math.erfc(-(edge - 0.5) / (sigma * math.sqrt(2.0))) for edge in range(-reach, reach + 2)]
    masses = np.append(np.diff(edges), 2.0 * edges[0])
    counts = np.maximum(1, np.floor(masses * TOTAL)).astype(np.int64)
    counts[reach] += TOTAL - counts.sum()
    return counts
