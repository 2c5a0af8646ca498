"""What was measured with one recogniser: figures for a file, tables for a reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from rich.console import Console
from rich.table import Table

from server.evaluation.comparison import Comparison, Curve, Estimate, compare, share_at, share_of
from server.evaluation.config import EVALUATION
from server.evaluation.recognition import Measured
from shared_models.evaluation.rate_distortion import MACHINE


@dataclass(frozen=True)
class Findings:
    """The original photos' precision and all curves; the machine layer's is the one held against the peers."""

    recogniser: str
    original: Measured
    curves: Sequence[Curve]

    @property
    def machine(self) -> Curve:
        """Our machine layer's curve."""
        return next(curve for curve in self.curves if curve.name == MACHINE)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Our machine layer against each peer, at each of its rates in the contest."""
        return [
            comparison
            for peer in self.curves
            if peer.kind == "peer"
            for comparison in compare(self.machine, peer, EVALUATION.contest, EVALUATION.coverage)
        ]

    @cached_property
    def shares(self) -> dict[float, Estimate | None]:
        """What part of the original's average precision our machine layer keeps, by bits per pixel."""
        return {
            rate: share_at(self.machine, self.original, rate, EVALUATION.coverage)
            for rate in EVALUATION.rates
        }

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "original": self._figures(self.original),
            "curves": [
                {
                    "name": curve.name,
                    "kind": curve.kind,
                    "points": [
                        {
                            "setting": point.setting,
                            "bits_per_pixel": float(point.bits_per_pixel[0]),
                            **self._figures(point),
                            "share_of_original": asdict(self._share(point)),
                        }
                        for point in curve.points
                    ],
                }
                for curve in self.curves
            ],
            "machine_layer_against_peers": [
                {**asdict(comparison), "verdict": comparison.verdict} for comparison in self.comparisons
            ],
            "machine_layer_share_of_original": [
                {"bits_per_pixel": rate, "share": None if share is None else asdict(share)}
                for rate, share in self.shares.items()
            ],
        }

    def print(self, console: Console) -> None:
        """Tables of all points and of all comparisons."""
        table = Table(
            "picture",
            "setting",
            "bit/pixel",
            "AP",
            "AP50",
            "of original",
            title=f"{self.recogniser}: average precision, {_percent(EVALUATION.coverage)} intervals",
        )
        table.add_row("original", "", "", *self._cells(self.original), "")
        for curve in self.curves:
            table.add_section()
            for point in curve.points:
                share = self._share(point)
                table.add_row(
                    curve.name,
                    point.setting,
                    f"{point.bits_per_pixel[0]:.3f}",
                    *self._cells(point),
                    f"{_percent(share.value)} ({_percent(share.low)} to {_percent(share.high)})",
                )
        console.print(table)
        if self.comparisons:
            against = Table("peer", "our", "bit/pixel", "AP, ours less theirs", "", title="at the same bits")
            for comparison in self.comparisons:
                difference = comparison.difference
                told = (
                    ""
                    if difference is None
                    else f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"
                )
                rate = f"{comparison.bits_per_pixel:.3f}"
                against.add_row(comparison.peer, comparison.setting, rate, told, comparison.verdict)
            console.print(against)
        for bits_per_pixel, kept in self.shares.items():
            told = (
                "is out of the machine layer's range"
                if kept is None
                else f"keeps {_percent(kept.value)} ({_percent(kept.low)} to {_percent(kept.high)}) of the original"
            )
            console.print(f"{self.recogniser}: the machine layer at {bits_per_pixel:g} bit/pixel {told}")

    def _share(self, point: Measured) -> Estimate:
        return share_of(point.precision.mean, self.original, EVALUATION.coverage)

    @staticmethod
    def _figures(point: Measured) -> dict[str, Any]:
        return {
            "ap": asdict(Estimate.of(point.precision.mean, EVALUATION.coverage)),
            "ap50": asdict(Estimate.of(point.precision.at_half, EVALUATION.coverage)),
        }

    @staticmethod
    def _cells(point: Measured) -> list[str]:
        mean, half = (
            Estimate.of(samples, EVALUATION.coverage)
            for samples in (point.precision.mean, point.precision.at_half)
        )
        return [f"{mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})", f"{half.value:.3f}"]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
