"""The report: every result file in one text with plots and pictures. Nothing in it but what the files hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared_models.evaluation.contact_sheet import View, contact_sheet
from shared_models.evaluation.goals import LIMITS, goals, tell_goals
from shared_models.evaluation.markdown import Report, as_code, escaped, or_dash
from shared_models.evaluation.plots import (
    OURS,
    Level,
    Line,
    Style,
    in_words,
    line_plot,
    peer_style,
    rate_line,
    rate_lines,
    short,
)
from shared_models.evaluation.rate_distortion import BOTH, ENHANCEMENT, MACHINE, MAIN, Curve
from shared_models.evaluation.results import curves_in, read_results, same_model
from shared_models.evaluation.stream_report import STREAM_KEYS, tell_streams

PICTURES: Final = "report"
"""Folder of the pictures, beside the Markdown; nothing else is kept there."""
_RATE: Final = "bits per pixel"
_PSNR: Final = "PSNR in RGB, dB"
_MS_SSIM: Final = "MS-SSIM, dB (−10 log₁₀(1 − MS-SSIM))"
_SOLID: Final = Style(OURS, "o", "-", 2.6, 6.0)
_DOTTED: Final = Style(OURS, "o", ":", 2.2, 5.0)
_SHADES: Final = ("#f4a6a6", "#e8707a", "#d63c4e", "#a80d26", "#6d0618")


@dataclass(frozen=True)
class ResultFile:
    """A file of measurements, what it has to hold and the command that makes it."""

    name: str
    about: str
    made_by: str
    keys: tuple[str, ...]
    of_one_model: bool = True


RD: Final = ResultFile(
    "rd.json",
    "rate and distortion",
    "secondsight eval rd FOLDER --out docs/results/rd.json",
    ("command", "model", "photos", "curves", "bd_rate_percent"),
)
RECOGNITION: Final = ResultFile(
    "recognition.json",
    "recognition",
    "make eval-recognition",
    ("command", "model", "photos", "coverage", "detectors"),
)
PAPER: Final = ResultFile(
    "paper.json",
    "the paper's experiments",
    "secondsight eval paper FOLDER --rd docs/results/rd.json",
    ("command", "model", "photos", "differences", "table_1", "table_2", "figure_6", "figure_7"),
)
ABLATION: Final = ResultFile(
    "ablation.json",
    "ablation",
    "secondsight train ablation --photos FOLDER --validation FOLDER --out FOLDER --result docs/results/ablation.json",
    ("command", "steps", "variants"),
    of_one_model=False,
)
BENCH: Final = ResultFile(
    "bench.json",
    "speed",
    "secondsight bench codec --out docs/results/bench.json",
    ("command", "model", "device", "operations", "peers"),
)
STREAM: Final = ResultFile(
    "stream.json",
    "camera streams",
    "make eval-stream",
    STREAM_KEYS,
)
FILES: Final = (RD, RECOGNITION, PAPER, ABLATION, BENCH, STREAM)


@dataclass(frozen=True)
class Results:
    """What is there, by file name."""

    figures: Mapping[str, dict[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> Results:
        """All result files of a folder; missing ones are left out.

        Raises:
            ResultsError: one is damaged, or they are about different models.
        """
        there = [file for file in FILES if (folder / file.name).exists()]
        figures = {file.name: read_results(folder / file.name, file.made_by, file.keys) for file in there}
        results = cls(figures)
        same_model(results.models)
        return results

    @property
    def models(self) -> dict[str, str]:
        """The model of every file that is about one, by file name."""
        return {
            file.name: self.figures[file.name]["model"]
            for file in FILES
            if file.of_one_model and file.name in self.figures
        }


@dataclass(frozen=True)
class Sheet:
    """A photo's name and its views."""

    photo: str
    views: Sequence[View]


def report_of(results: Results, sheets: Sequence[Sheet], command: str) -> Report:
    """The whole report."""
    report = Report(PICTURES)
    held = results.figures
    rd, recognition = held.get(RD.name), held.get(RECOGNITION.name)
    curves = curves_in(rd) if rd else []
    report.heading(1, "Secondsight: what was measured")
    model = next(iter(results.models.values()), None)
    told = f"Model {as_code(model)}. " if model else ""
    report.paragraph(
        f"{told}Written by {as_code(command)} from the files named below; nothing is typed in by hand."
    )
    report.heading(2, "Goals and what was reached")
    tell_goals(
        report,
        goals(curves, rd["bd_rate_percent"] if rd else {}, recognition["detectors"] if recognition else {}),
    )
    _sources(report, results)
    if rd:
        _rate_distortion(report, rd, curves)
        _enhancement(report, curves)
    if recognition:
        _recognition(report, recognition)
    if STREAM.name in held:
        report.heading(2, "Camera streams")
        tell_streams(report, held[STREAM.name], 3)
    if PAPER.name in held:
        _paper(report, held[PAPER.name])
    if ABLATION.name in held:
        _ablation(report, held[ABLATION.name])
    if BENCH.name in held:
        _speed(report, held[BENCH.name])
    _sheets(report, sheets)
    return report


def _sources(report: Report, results: Results) -> None:
    report.heading(2, "How it was measured")
    rows = []
    for file in FILES:
        held = results.figures.get(file.name)
        if held is None:
            rows.append(
                (file.about, f"not measured: {as_code(file.made_by)} makes it", as_code(file.name), "")
            )
        else:
            photos = held.get("photos")
            rows.append(
                (
                    file.about,
                    as_code(held["command"]),
                    as_code(file.name),
                    "" if photos is None else str(photos),
                )
            )
    report.table(("what", "command", "file", "photos"), rows)


def _rate_distortion(report: Report, rd: Mapping[str, Any], curves: Sequence[Curve]) -> None:
    report.heading(2, "Rate and distortion")
    report.paragraph(
        "Bits are those of the bytes really written; PSNR and MS-SSIM are of 8-bit pictures, each photo's own, then "
        "averaged. Dashed grey curves were published by others, not measured here."
    )
    ours = {curve.name: curve for curve in curves if curve.name in MAIN}
    others = [curve for curve in curves if curve.series.kind != "ours"]
    if BOTH in ours:
        for quality, label, name in (("psnr_db", _PSNR, "rd"), ("ms_ssim_db", _MS_SSIM, "ms-ssim")):
            lines = rate_line(ours[BOTH], "ours, both layers", _SOLID, quality)
            if not lines:
                report.paragraph(f"No plot of {label.partition(',')[0]}: not measured on these photos.")
                continue
            if MACHINE in ours:
                lines += rate_line(
                    ours[MACHINE], "ours, machine layer", Style(_SHADES[1], "s", "-", 1.8), quality
                )
            plot = line_plot([*lines, *rate_lines(others, quality)], _RATE, label, around=lines)
            report.picture(f"{name}.svg", plot, in_words(f"{label} over {_RATE}", lines))
    report.heading(3, "Our points")
    report.table(
        ("curve", "setting", "bit/pixel", "PSNR, dB", "MS-SSIM, dB"),
        [
            (
                escaped(curve.name),
                escaped(point.setting),
                f"{point.figures.bits_per_pixel:.3f}",
                f"{point.figures.psnr_db:.2f}",
                or_dash(point.figures.ms_ssim_db, ".2f"),
            )
            for curve in ours.values()
            for point in curve.points
        ],
    )
    report.heading(3, "BD-rate")
    report.paragraph(
        "Bits more (+) or fewer (−) at equal PSNR, percent, over the range of PSNR that both curves reach. A row's "
        "curve against a column's."
    )
    deltas = rd["bd_rate_percent"]
    named = [curve.name for curve in curves if any(curve.name in against for against in deltas.values())]
    report.table(
        ("curve", *(escaped(short(anchor)) for anchor in deltas)),
        [
            (escaped(short(name)), *(or_dash(against.get(name), "+.1f") for against in deltas.values()))
            for name in named
        ],
    )
    report.paragraph("Settings: " + "; ".join(escaped(curve.name) for curve in others) + ".")


def _enhancement(report: Report, curves: Sequence[Curve]) -> None:
    prefix = f"{ENHANCEMENT}, machine level "
    levels = [curve for curve in curves if curve.name.startswith(prefix)]
    if not levels:
        return
    report.heading(2, "Enhancement alone")
    report.paragraph(
        "What a person's look costs when the machine layer has been sent already: the bits of the enhancement layer "
        "alone, against the PSNR of the human view, for every level of the machine layer beneath."
    )
    lines = [
        line
        for number, curve in enumerate(levels)
        for line in rate_line(
            curve,
            f"ours, {curve.name.partition(', ')[2]}",
            Style(_SHADES[number % 4 + 1], "osD^"[number % 4], "-", 2.2),
        )
    ]
    anchors = [curve for curve in curves if curve.name.startswith(("VVC intra", "x265", "AVIF", "VTM"))]
    plot = line_plot([*lines, *rate_lines(anchors)], _RATE, _PSNR, around=lines)
    report.picture(
        "enhancement.svg", plot, in_words("PSNR over the enhancement layer's bits per pixel", lines)
    )


def _recognition(report: Report, recognition: Mapping[str, Any]) -> None:
    report.heading(2, "Machine layer: what detectors see")
    report.paragraph(
        f"COCO's box AP over bits per pixel of all {recognition['photos']} photos; bands are "
        f"{100 * recognition['coverage']:g} % intervals over resampled photos. The interval of a difference is a "
        "paired one, narrower than two bands suggest."
    )
    for detector, figures in recognition["detectors"].items():
        report.heading(3, escaped(detector))
        lines = [
            _precision(curve)
            for curve in figures["curves"]
            if curve["name"] == MACHINE or curve["kind"] != "ours"
        ]
        original = figures["original"]["ap"]["value"]
        levels = [
            Level("originals", original),
            Level(f"{100 * LIMITS.share:g} % of originals", LIMITS.share * original, ":"),
        ]
        plot = line_plot(lines, _RATE, "AP (COCO, boxes)", around=lines, levels=levels)
        report.picture(
            f"recognition-{detector}.svg", plot, in_words(f"{detector}: AP over {_RATE}", lines[:1])
        )
        report.table(
            ("view", "setting", "bit/pixel", "AP", "AP50", "of originals"),
            [
                (
                    escaped(curve["name"]),
                    escaped(point["setting"]),
                    f"{point['bits_per_pixel']:.3f}",
                    _interval(point["ap"], ".3f"),
                    _interval(point["ap50"], ".3f"),
                    _interval(point["share_of_original"], ".3f"),
                )
                for curve in figures["curves"]
                if curve["kind"] == "ours"
                for point in curve["points"]
            ],
        )
        report.table(
            ("at the same bits as", "our setting", "bit/pixel", "AP, ours less theirs", "verdict"),
            [
                (
                    escaped(against["peer"]),
                    escaped(against["setting"]),
                    f"{against['bits_per_pixel']:.3f}",
                    "–" if against["difference"] is None else _interval(against["difference"], "+.3f"),
                    escaped(against["verdict"]),
                )
                for against in figures["machine_layer_against_peers"]
            ],
        )


def _precision(curve: Mapping[str, Any]) -> Line:
    """AP over bits per pixel, ours with its interval."""
    points = curve["points"]
    rates, values = [p["bits_per_pixel"] for p in points], [p["ap"]["value"] for p in points]
    if curve["kind"] != "ours":
        return Line(short(curve["name"]), rates, values, peer_style(curve["name"], curve["kind"], 0))
    low, high = ([p["ap"][end] for p in points] for end in ("low", "high"))
    return Line(f"ours, {curve['name']}", rates, values, _SOLID, low, high)


def _paper(report: Report, paper: Mapping[str, Any]) -> None:
    report.heading(2, "The paper's experiments")
    report.paragraph(
        f"{escaped(paper['paper'])}, with our models on {paper['photos']} photos. The values differ in what they "
        "were measured on and with, so none of them is better or worse than its neighbour by itself:"
    )
    report.table(
        ("what differs", "paper", "ours"),
        [
            (escaped(row["subject"]), escaped(row["paper"]), escaped(row["ours"]))
            for row in paper["differences"]
        ],
    )
    first = paper["table_1"]
    report.heading(3, "Table I: parameters of the enhancement model against m")
    rows = [("channels, ours", *map(str, first["ours"]["channels"]))]
    for label, key in (("", "parameters"), (", edge", "parameters_edge"), (", server", "parameters_server")):
        rows.append((f"million, ours{label}", *(f"{count / 1e6:.3f}" for count in first["ours"][key])))
    rows.append(("channels, paper", *map(str, first["paper"]["channels"])))
    rows.append(("million, paper", *map(str, first["paper"]["parameters_million"])))
    report.table(("m", *map(str, first["m"])), rows)
    second = paper["table_2"]
    report.heading(3, "Table II: PSNR in dB against λ and m")
    report.paragraph(
        f"Machine level {second['machine_level']}. In brackets the bits per pixel of both layers; the paper prints "
        "none, and no PSNR where a dash stands."
    )
    rows = []
    for row in second["rows"]:
        pairs = zip(row["psnr_db"], row["bits_per_pixel"], strict=True)
        rows.append((f"{row['lambda']:g}, ours", *(f"{or_dash(q, '.2f')} ({rate:.3f})" for q, rate in pairs)))
        rows.append((f"{row['lambda']:g}, paper", *(or_dash(q, ".2f") for q in row["paper_psnr_db"])))
    report.table(("λ", *(f"m = {m}" for m in second["m"])), rows)
    report.heading(3, "Fig. 6: enhancement alone (solid), both layers (dotted)")
    curves = curves_in({"curves": paper["figure_6"]})
    lines = [
        line
        for name, style in ((ENHANCEMENT, _SOLID), (BOTH, _DOTTED))
        for curve in curves
        if curve.name == name
        for line in rate_line(curve, f"ours, {name}", style)
    ]
    others = [curve for curve in curves if curve.series.kind != "ours"]
    plot = line_plot([*lines, *rate_lines(others)], _RATE, _PSNR, around=lines)
    report.picture("figure-6.svg", plot, in_words(f"PSNR over {_RATE}", lines))
    if not any(curve.series.kind in ("peer", "comparison") for curve in others):
        report.paragraph(f"Ours alone: {as_code(PAPER.made_by)} brings the other codecs.")
    report.heading(3, "Fig. 7: m = 1 to 5")
    lines = [
        line
        for number, curve in enumerate(curves_in({"curves": paper["figure_7"]}))
        for line in rate_line(curve, curve.name, Style(_SHADES[number % 5], "osD^v"[number % 5], "-", 2.0))
    ]
    plot = line_plot(lines, f"{_RATE}, enhancement alone", _PSNR, around=lines, columns=5)
    report.picture("figure-7.svg", plot, in_words("PSNR over the enhancement layer's bits per pixel", lines))


def _ablation(report: Report, ablation: Mapping[str, Any]) -> None:
    report.heading(2, "Ablation")
    report.paragraph(
        f"Short runs of {ablation['steps']} steps each, one change at a time; BD-rate (fewer is better) "
        "and BD-PSNR (more is better) against the run that is named, by estimated bits on the few photos of the "
        "validation. Short runs do not tell long ones."
    )
    report.table(
        ("variant", "task", "change", "against", "BD-rate, %", "BD-PSNR, dB", "loss"),
        [
            (
                escaped(variant["name"]),
                escaped(variant["task"]),
                escaped(variant["change"]),
                escaped(variant["against"] or "–"),
                or_dash(variant["bd_rate_percent"], "+.1f"),
                or_dash(variant["bd_psnr_db"], "+.2f"),
                or_dash(variant["loss"], ".4f"),
            )
            for variant in ablation["variants"]
        ],
    )


def _speed(report: Report, bench: Mapping[str, Any]) -> None:
    report.heading(2, "Speed")
    threads = bench["threads"]
    arithmetic = escaped(bench["dtype"]) + (
        ", the encoder's analyses in 8 bits" if bench["eight_bit"] else ""
    )
    report.paragraph(
        f"{bench['width']}x{bench['height']} pixels, {escaped(bench['device'])}, {arithmetic}, "
        f"{threads} threads. Stages in threads of their own overlap with others."
    )
    report.table(
        ("what", "kMAC/pixel", "median, ms", "frames/s", f"frames/s, {threads} at once", "bytes"),
        [
            (
                escaped(operation["timing"]["name"] + whose),
                f"{operation['kilo_macs_per_pixel']:.2f}",
                f"{operation['timing']['median_ms']:.1f}",
                f"{1000 / operation['timing']['median_ms']:.2f}",
                "" if operation["frames_per_second"] is None else f"{operation['frames_per_second']:.2f}",
                str(operation["timing"]["size"]),
            )
            for operation, whose in (
                *((operation, "") for operation in bench["operations"]),
                *((operation, ", the paper's model") for operation in bench["paper"] or ()),
            )
        ],
    )
    report.table(
        ("stage", "within", "median, ms"),
        [
            (escaped(stage), escaped(operation["timing"]["name"]), f"{taken:.1f}")
            for operation in bench["operations"]
            for stage, taken in operation["stages"].items()
        ],
    )
    if not bench["peers"]:
        return
    ours = bench["operations"][0]["timing"]["median_ms"]
    report.table(
        ("another codec", "median, ms", "bytes", "its time over ours"),
        [
            (
                escaped(timing["name"]),
                f"{timing['median_ms']:.1f}",
                str(timing["size"]),
                f"{timing['median_ms'] / ours:.2f}",
            )
            for timing in bench["peers"]
        ],
    )


def _sheets(report: Report, sheets: Sequence[Sheet]) -> None:
    report.heading(2, "Pictures")
    if not sheets:
        report.paragraph("None: `secondsight eval report --photos FOLDER` adds them.")
        return
    report.paragraph(
        "The middle of each photo, pixel for pixel; bits and PSNR are those of the whole photo, for human views those "
        "of both layers together."
    )
    for sheet in sheets:
        report.heading(3, escaped(sheet.photo))
        alt = f"{sheet.photo}. " + "; ".join(view.caption for view in sheet.views)
        report.picture(f"{Path(sheet.photo).stem}.webp", contact_sheet(sheet.views), alt)


def _interval(estimate: Mapping[str, float], form: str) -> str:
    value, low, high = (format(estimate[key], form) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
