"""Probability tables of the profile `paper`.

Number 0 is not in use; then come those of the latents, which all layers share, and those of each layer's z, one per
channel.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared_models.entropy_model import EntropyModel
from shared_models.tables import TOTAL, Tables
from shared_models.tcm.entropy import MixedEntropyModel, table_sigmas

_SMALLEST_REACH: Final = 8
_REACH_IN_SIGMAS: Final = 4.0
_LARGEST_HYPER_REACH: Final = 1023
_OUTSIDE: Final = 1e-4
"""Share of z that may be coded as an escape."""


def paper_tables(*models: EntropyModel) -> Tables:
    """Tables that serve all of `models` together."""
    counts = [_gaussian(sigma) for sigma in table_sigmas()]
    counts.insert(0, counts[0])
    for model in models:
        assert isinstance(model, MixedEntropyModel)
        counts += [_gaussian(1.0)] * (model.first_hyper_table - len(counts))
        counts += [_narrowed(masses) for masses in model.hyper_masses(_LARGEST_HYPER_REACH)]
    return Tables(tuple(counts))


def _gaussian(sigma: float) -> NDArray[np.int64]:
    """Zero-mean Gaussian integrated over unit intervals."""
    reach = max(_SMALLEST_REACH, math.ceil(_REACH_IN_SIGMAS * sigma))
    # Half of the curve only: there is more precision in its tail than in 1 minus that.
    tails = [0.5 * math.erfc((edge - 0.5) / (sigma * math.sqrt(2.0))) for edge in range(reach + 2)]
    half = -np.diff(tails)
    half[0] = 1.0 - 2.0 * tails[1]
    return _counts(np.concatenate((half[:0:-1], half, [2.0 * tails[-1]])))


def _narrowed(masses: NDArray[np.float64]) -> NDArray[np.int64]:
    """`masses` of the symbols around 0, with the outer ones given to the escape."""
    middle = len(masses) // 2
    rings = masses[middle:].copy()
    rings[1:] += masses[:middle][::-1]
    enough = np.flatnonzero(np.cumsum(rings) >= 1.0 - _OUTSIDE)
    reach = max(_SMALLEST_REACH, int(enough[0]) if len(enough) else middle)
    kept = masses[middle - reach : middle + reach + 1]
    return _counts(np.append(kept, max(0.0, 1.0 - kept.sum())))


def _counts(masses: NDArray[np.float64]) -> NDArray[np.int64]:
    """Integers of at least 1 in proportion to `masses`; what rounding leaves over goes to the largest remainders."""
    shares = masses / masses.sum() * (TOTAL - len(masses))
    counts = 1 + np.floor(shares).astype(np.int64)
    largest = np.argsort(np.floor(shares) - shares, kind="stable")
    counts[largest[: TOTAL - counts.sum()]] += 1
    return counts
