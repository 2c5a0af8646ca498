"""The change map of a predicted frame: which latent positions are coded, the others being the reference's.

Positions are coded in four phases, each knowing those before it:

::

    0 2 0 2      phase 0  knows nothing                          1 context
    3 1 3 1      phase 1  counts its 4 diagonal neighbours       5 contexts
    0 2 0 2      phase 2  counts its 4 direct neighbours         5 contexts, which
    3 1 3 1      phase 3  counts its 4 direct neighbours         phase 3 shares

In front of the first positions of a context stands how often they changed, as one of 32 chances. So nothing has to be
learned, and a frame in which nothing moved costs 15 bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared_models.coder import ALWAYS, CHANCE_STEP, CHANCES, NEVER, SymbolDecoder, SymbolEncoder

ChangeMap = NDArray[np.bool_]
"""(H, W), true where something changed."""

_DIAGONAL: Final = ((-1, -1), (-1, 1), (1, -1), (1, 1))
_DIRECT: Final = ((-1, 0), (1, 0), (0, -1), (0, 1))
_PHASES: Final = (
    # First row and column, neighbours that are counted, number of the first context.
    (0, 0, (), 0),
    (1, 1, _DIAGONAL, 1),
    (0, 1, _DIRECT, 6),
    (1, 0, _DIRECT, 6),
)

_Visit = Callable[[int, tuple[slice, slice], NDArray[np.bool_]], NDArray[np.bool_]]
"""Takes a context, where its phase lies in the map, and its positions within the phase; returns which changed."""


def write_change_map(encoder: SymbolEncoder, changed: ChangeMap) -> None:
    """Append a map to a segment."""
    chances: dict[int, int] = {}
    positions = _positions_by_context(changed)

    def visit(context: int, phase: tuple[slice, slice], members: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if context not in chances:
            chances[context] = _chance(*positions[context])
            encoder.encode_uniform(np.array([chances[context]], np.int32), len(CHANCES))
        bits = changed[phase][members]
        encoder.encode_bits(bits, chances[context])
        return bits

    _walk(changed.shape, visit)


def read_change_map(decoder: SymbolDecoder, size: tuple[int, int]) -> ChangeMap:
    """The map of `size` (height, width) that is next in a segment.

    Raises:
        DesynchronisedError: no encoder writes such bytes.
    """
    chances: dict[int, int] = {}

    def visit(context: int, phase: tuple[slice, slice], members: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if context not in chances:
            (chances[context],) = decoder.decode_uniform(1, len(CHANCES)).tolist()
        return decoder.decode_bits(int(members.sum()), chances[context])

    return _walk(size, visit)


def _walk(size: tuple[int, int], visit: _Visit) -> ChangeMap:
    """Go through all positions, phase by phase and within a phase context by context."""
    height, width = size
    known = np.zeros((height + 2, width + 2), np.int8)
    changed = known[1:-1, 1:-1]
    for row, column, neighbours, first in _PHASES:
        phase = (slice(row, None, 2), slice(column, None, 2))
        contexts = np.full(changed[phase].shape, first)
        for down, right in neighbours:
            contexts += known[
                1 + row + down : 1 + height + down : 2, 1 + column + right : 1 + width + right : 2
            ]
        for context in np.unique(contexts):
            members = contexts == context
            changed[phase][members] = visit(int(context), phase, members)
    return changed.astype(bool)


def _positions_by_context(changed: ChangeMap) -> dict[int, tuple[int, int]]:
    """How many positions of every context changed, and how many there are."""
    counted: dict[int, tuple[int, int]] = {}

    def visit(context: int, phase: tuple[slice, slice], members: NDArray[np.bool_]) -> NDArray[np.bool_]:
        bits = changed[phase][members]
        hits, count = counted.get(context, (0, 0))
        counted[context] = hits + int(bits.sum()), count + len(bits)
        return bits

    _walk(changed.shape, visit)
    return counted


def _chance(hits: int, count: int) -> int:
    """Number of the chance that suits `hits` of `count` best."""
    if hits == 0:
        return NEVER
    if hits == count:
        return ALWAYS
    number = round(math.log(hits / (count - hits)) / CHANCE_STEP + (NEVER + ALWAYS) / 2)
    return min(max(number, NEVER + 1), ALWAYS - 1)
