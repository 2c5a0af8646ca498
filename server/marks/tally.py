"""How often a recogniser was right, as far as people have looked."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable
from dataclasses import dataclass, field

from server.marks.mark import Mark, MarkedFrame, Verdict

_QUANTILE = 1.96
"""Of the normal distribution, for intervals of 95 %."""


@dataclass
class LabelTally:
    """What was said of detections with one label, and of what was missed and should have had it."""

    label: str
    right: int = 0
    wrong: int = 0
    """Of these `corrected` are something else."""
    corrected: int = 0
    missed: int = 0

    @property
    def precision(self) -> float | None:
        """Share of the detections looked at that were right; None where none was."""
        judged = self.right + self.wrong
        return self.right / judged if judged else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """In which the precision lies, 95 % (Wilson 1927); for detections looked at by chance, not by choice."""
        judged = self.right + self.wrong
        if not judged:
            return None
        share, square = self.right / judged, _QUANTILE**2
        middle = share + square / (2 * judged)
        spread = _QUANTILE * math.sqrt(share * (1 - share) / judged + square / (4 * judged**2))
        return (
            max(0.0, (middle - spread) / (1 + square / judged)),
            min(1.0, (middle + spread) / (1 + square / judged)),
        )


@dataclass
class Tally:
    """All labels that anything was said of."""

    frames: int = 0
    by_label: dict[str, LabelTally] = field(default_factory=dict)

    @classmethod
    async def of(cls, marked_frames: AsyncIterable[MarkedFrame], recogniser: str | None = None) -> Tally:
        """Count the last word on each thing; of one recogniser's detections alone, and what was missed, if named."""
        tally = cls()
        async for marked in marked_frames:
            tally.frames += 1
            for mark in marked.settled:
                if recogniser is None or mark.seen is None or mark.seen.recogniser == recogniser:
                    tally._count(mark)
        return tally

    def _count(self, mark: Mark) -> None:
        if mark.seen is None:
            self._label(mark.label or "").missed += 1
        elif mark.verdict is Verdict.RIGHT:
            self._label(mark.seen.label).right += 1
        else:
            wrong = self._label(mark.seen.label)
            wrong.wrong += 1
            if mark.label is not None:
                wrong.corrected += 1
                self._label(mark.label).missed += 1

    def _label(self, label: str) -> LabelTally:
        return self.by_label.setdefault(label, LabelTally(label))
