from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from shared_models.evaluation.plots import OURS, Level, Line, Style, line_plot, rate_lines, short
from shared_models.evaluation.published import PUBLISHED
from shared_models.evaluation.rate_distortion import Curve, Figures, Point, Series

LINES = [
    Line("ours, both layers", [0.1, 0.4], [28.0, 33.0], Style(OURS, "o"), [27.0, 32.0], [29.0, 34.0]),
    Line("JPEG", [0.2, 0.9], [26.0, 31.0], Style("#7f5a00", "s")),
]


def test_a_plot_names_its_axes_and_every_line_in_text() -> None:
    plot = line_plot(LINES, "bits per pixel", "PSNR, dB", around=LINES[:1], levels=[Level("originals", 30.0)])
    texts = {"".join(element.itertext()).strip() for element in ElementTree.fromstring(plot).iter()}
    assert {"bits per pixel", "PSNR, dB", "ours, both layers", "JPEG", "originals"} <= texts


def test_the_same_figures_give_the_same_file() -> None:
    first, second = (line_plot(LINES, "x", "y", around=LINES) for _ in range(2))
    assert first == second


def test_published_curves_are_dashed_and_marked() -> None:
    lines = rate_lines(PUBLISHED)
    assert len(lines) == len(PUBLISHED)
    assert all(line.label.endswith("(published)") and line.style.dash != "-" for line in lines)
    assert len({(line.style.colour, line.style.marker) for line in lines}) == len(lines)


def test_what_was_not_measured_has_no_line() -> None:
    figures = Figures(0.1, 30.0, None)
    curve = Curve(Series("JPEG (Pillow, 4:2:0)", "peer", "bits"), (Point("q 1", figures),))
    assert rate_lines([curve], "ms_ssim_db") == []
    (line,) = rate_lines([curve])
    assert line.label == short(curve.name) == "JPEG"
