"""Line plots of the report, as SVG whose text stays text."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from shared_models.evaluation.rate_distortion import Curve, Kind

OURS: Final = "#c8102e"
_INK: Final = "#222222"
_PEERS: Final = {
    "JPEG": ("#7f5a00", "o"),
    "WebP": ("#009e73", "s"),
    "AVIF": ("#56b4e9", "D"),
    "x265": ("#cc79a7", "v"),
    "x264": ("#0072b2", "<"),
    "VVC intra": ("#0050b3", "^"),
    "half size": ("#66a61e", "P"),
    "VVC+M": ("#e69f00", "X"),
    "DC": ("#8a2be2", "p"),
    "single-layer": ("#111111", "h"),
}
_PUBLISHED: Final = ("#333333", "#5a5a5a", "#7d7d7d", "#9c9c9c")
_PUBLISHED_MARKERS: Final = "os^Dv<>P"
_RC: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "secondsight",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 11.0,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
}


@dataclass(frozen=True)
class Style:
    """How a line is drawn; `dash` as matplotlib names it."""

    colour: str
    marker: str
    dash: Any = "-"
    width: float = 1.5
    size: float = 5.0


@dataclass(frozen=True)
class Line:
    """Points of one curve, with the ends of their intervals where there are any."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    style: Style
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True)
class Level:
    """A value that all lines are held against."""

    label: str
    y: float
    dash: str = "-"


def peer_style(name: str, kind: Kind, number: int) -> Style:
    """Of what is not ours; `number` tells published curves apart."""
    if kind == "published":
        return Style(
            _PUBLISHED[number % len(_PUBLISHED)],
            _PUBLISHED_MARKERS[number % len(_PUBLISHED_MARKERS)],
            (0, (4, 2)),
            1.0,
            3.5,
        )
    colour, marker = next((style for start, style in _PEERS.items() if name.startswith(start)), (_INK, "d"))
    return Style(colour, marker, "-." if kind == "comparison" else "-")


def rate_lines(curves: Sequence[Curve], quality: str = "psnr_db") -> list[Line]:
    """Lines of curves that are not ours, over bits per pixel; of `psnr_db` or `ms_ssim_db`, where it was measured."""
    lines = []
    published = 0
    for curve in curves:
        style = peer_style(curve.name, curve.series.kind, published)
        published += curve.series.kind == "published"
        lines += rate_line(curve, short(curve.name), style, quality)
    return lines


def rate_line(curve: Curve, label: str, style: Style, quality: str = "psnr_db") -> list[Line]:
    """The line of a curve; none where `quality` was not measured."""
    pairs = [
        (point.figures.bits_per_pixel, value)
        for point in curve.points
        if (value := getattr(point.figures, quality)) is not None and math.isfinite(value)
    ]
    return [Line(label, [x for x, _ in pairs], [y for _, y in pairs], style)] if pairs else []


def short(name: str) -> str:
    """A codec's name without its settings."""
    published = name.endswith("(published)")
    return name.partition(" (")[0] + (" (published)" if published else "")


def line_plot(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    around: Sequence[Line],
    levels: Sequence[Level] = (),
    columns: int = 3,
) -> bytes:
    """An SVG with the legend beneath.

    Args:
        around: the lines whose range the axes show, with some room; others may leave it.
    """
    with mpl.rc_context(_RC):
        rows = math.ceil((len(lines) + len(levels)) / columns)
        legend_height = 0.205 * rows + 0.1
        height = 4.6 + 0.55 + legend_height
        figure = Figure(figsize=(8.0, height))
        FigureCanvasSVG(figure)
        bottom = (legend_height + 0.55) / height
        axes = figure.add_axes((0.095, bottom, 0.885, 1.0 - bottom - 0.12 / height))
        for line in lines:
            _draw(axes, line)
        for level in levels:
            axes.axhline(
                level.y, color=_INK, linestyle=level.dash, linewidth=1.2, label=level.label, zorder=1
            )
        axes.set_xlim(*_range([x for line in around for x in line.x], 0.12, floor=0.0))
        heights = [y for line in around for y in (*line.y, *(line.low or ()), *(line.high or ()))]
        axes.set_ylim(*_range([*heights, *(level.y for level in levels)], 0.08))
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(color="#e4e4e4", linewidth=0.8)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        figure.legend(
            loc="lower center",
            ncols=columns,
            frameon=False,
            fontsize=9.5,
            handlelength=2.6,
            columnspacing=1.6,
            borderaxespad=0.1,
            borderpad=0.0,
            labelspacing=0.4,
        )
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
        return buffer.getvalue()


def in_words(what: str, lines: Sequence[Line]) -> str:
    """A plot in words: its first and last points."""
    ends = (
        f"{line.label} from {line.y[0]:.4g} at {line.x[0]:.3f} to {line.y[-1]:.4g} at {line.x[-1]:.3f}"
        for line in lines
    )
    return f"{what}: {'; '.join(ends)}"


def _draw(axes: Any, line: Line) -> None:
    style = line.style
    ours = style.colour == OURS
    if line.low is not None and line.high is not None:
        axes.fill_between(line.x, line.low, line.high, color=style.colour, alpha=0.16, linewidth=0, zorder=1)
    axes.plot(
        line.x,
        line.y,
        color=style.colour,
        marker=style.marker,
        linestyle=style.dash,
        linewidth=style.width,
        markersize=style.size,
        label=line.label,
        zorder=4 if ours else 2,
    )


def _range(values: Sequence[float], room: float, floor: float = -math.inf) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = room * (high - low or abs(high) or 1.0)
    return max(floor, low - margin), high + margin
