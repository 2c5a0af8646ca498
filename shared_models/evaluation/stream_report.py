"""What was measured on camera streams, as text, tables and plots. Nothing in it but what the file of results holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from shared_models.evaluation.goals import tell_goals
from shared_models.evaluation.markdown import Report, as_code, escaped, or_dash
from shared_models.evaluation.plots import OURS, Level, Line, Style, in_words, line_plot, peer_style, short
from shared_models.evaluation.stream import GROUPS, KEYS_ALONE
from shared_models.evaluation.stream_goals import LIMITS, against, contests, rates_at_agreement, stream_goals

STREAM_KEYS: Final = ("command", "model", "keyint", "group", "seed", "draws", "truth_score", "clips")
_RATE: Final = "kbit/s"
_STYLES: Final = {GROUPS: Style(OURS, "o", "-", 2.6, 6.0), KEYS_ALONE: Style("#e8707a", "s", "-.", 1.6)}
_SHADES: Final = ("#f4a6a6", "#e8707a", "#d63c4e", "#a80d26", "#6d0618")


def stream_report(figures: Mapping[str, Any], folder: str) -> Report:
    """A text of its own, its pictures in `folder`."""
    report = Report(folder)
    report.heading(1, "Secondsight: camera streams")
    report.paragraph(f"Model {as_code(figures['model'])}. Written by {as_code(figures['command'])}.")
    tell_streams(report, figures, 2)
    return report


def tell_streams(report: Report, figures: Mapping[str, Any], level: int) -> None:
    """All clips, under headings of a level."""
    group = ", ".join(f"{name} {value}" for name, value in figures["group"].items())
    report.paragraph(
        "Bits are those of the bytes really written for all frames of a clip. PSNR (in RGB, of the mean squared error "
        "over the frames), MS-SSIM and detections are of frames spread evenly over it. x264 and x265 begin a group "
        f"every {figures['keyint']} frames; ours: {escaped(group)}. Agreement is the average precision (overlap 0.5) "
        "of what a detector sees in decoded frames, with what it sees in the originals "
        f"(score {figures['truth_score']:g} or better) as truth; categories weigh as much as they have truths. JPEG "
        "and key frames alone are coded on those frames only, for there no frame depends on another."
    )
    for clip in figures["clips"]:
        _clip(report, clip, level)


def _clip(report: Report, clip: Mapping[str, Any], level: int) -> None:
    name = clip["clip"]
    report.heading(level, escaped(name))
    truths = ", ".join(f"{count} of {detector}" for detector, count in clip["truths"].items())
    report.paragraph(
        f"{clip['width']}x{clip['height']} pixels, {clip['frames_per_second']:.4g} frames per second, {clip['frames']} "
        f"frames, {clip['judged']} of them looked at; {clip['camera']} camera. Truths: {escaped(truths)}."
    )
    report.heading(level + 1, "Where H.265 is better, and where not")
    report.paragraph(
        "x265's rate at the same PSNR of the human view is read off its curve, linear over the logarithm of the rate, "
        "and left out where its ladder does not reach around ours."
    )
    report.table(
        ("question", "ours", LIMITS.anchor, "fewer bits"),
        [tuple(map(escaped, (c.question, c.ours, c.theirs, c.better))) for c in contests(clip)],
    )
    tell_goals(report, stream_goals(clip))
    _plots(report, clip)
    report.heading(level + 1, "Costs of human views at equal PSNR")
    report.paragraph(
        "Ours over x265's bits when people look at a share of the frames, drawn at random, in the mean over the draws; "
        "enhancement layers of key "
        "frames that these need are counted. The last column is the share up to which ours costs no more."
    )
    _costs(report, clip)
    report.heading(level + 1, "All points")
    _points(report, clip)


def _plots(report: Report, clip: Mapping[str, Any]) -> None:
    name = Path(clip["clip"]).stem
    wanted = clip["bits_per_pixel_at_agreement"]["agreement"]
    for detector in rates_at_agreement(clip):
        lines = [
            _line(curve, "machine", [point["agreement"][detector]["at_half"] for point in curve["points"]])
            for curve in clip["curves"]
        ]
        label = f"agreement of {detector} (AP, overlap 0.5)"
        plot = line_plot(
            lines, _RATE, label, around=_near(lines), levels=[Level(f"{100 * wanted:g} %", wanted, ":")]
        )
        report.picture(f"{name}-{detector}.svg", plot, in_words(f"{label} over {_RATE}", lines))
    lines = [
        _line(curve, "both", [point["human_view"]["psnr_db"] for point in curve["points"]])
        for curve in clip["curves"]
    ]
    label = "PSNR of the human view, dB"
    plot = line_plot(lines, f"{_RATE}, human views of every frame", label, around=_near(lines))
    report.picture(f"{name}-psnr.svg", plot, in_words(f"{label}, over {_RATE}", lines))
    lines = [
        Line(
            f"ours, {point['setting']} ({point['psnr_db']:.1f} dB)",
            [float(share.removesuffix(" %")) for share in point["share_ratios"]],
            list(point["share_ratios"].values()),
            Style(_SHADES[number % 5], "osD^v"[number % 5], "-", 2.0),
        )
        for number, point in enumerate(against(clip, LIMITS.anchor))
    ]
    if lines:
        label = f"bits over {LIMITS.anchor}'s at equal PSNR"
        plot = line_plot(
            lines,
            "frames with human views, %",
            label,
            around=lines,
            levels=[Level(f"{LIMITS.anchor}, which has them all", 1.0)],
            columns=2,
        )
        report.picture(f"{name}-cost.svg", plot, in_words(f"{label} over the share of human views", lines))


def _line(curve: Mapping[str, Any], rate: str, values: Sequence[float]) -> Line:
    style = _STYLES.get(curve["name"]) or peer_style(curve["name"], "peer", 0)
    label = f"ours, {curve['name']}" if curve["kind"] == "ours" else short(curve["name"])
    return Line(
        label, [point[rate]["bits_per_second"] / 1000.0 for point in curve["points"]], list(values), style
    )


def _near(lines: Sequence[Line]) -> list[Line]:
    """Those whose range is shown: groups and video streams; the others cost many times as much."""
    wanted = (f"ours, {GROUPS}", "x26")
    return [line for line in lines if line.label.startswith(wanted)] or list(lines)


def _costs(report: Report, clip: Mapping[str, Any]) -> None:
    points = against(clip, LIMITS.anchor)
    if not points:
        report.paragraph("x265 was not measured around the PSNR of our settings.")
        return
    report.table(
        ("setting", "PSNR, dB", *points[0]["share_ratios"], "break-even"),
        [
            (
                escaped(point["setting"]),
                f"{point['psnr_db']:.2f}",
                *(f"{ratio:.2f}" for ratio in point["share_ratios"].values()),
                "none" if point["break_even"] is None else f"{100 * point['break_even']:.1f} %",
            )
            for point in points
        ],
    )


def _points(report: Report, clip: Mapping[str, Any]) -> None:
    detectors = list(rates_at_agreement(clip))
    rows = []
    for curve in clip["curves"]:
        for point in curve["points"]:
            rows.append(
                (
                    escaped(short(curve["name"])),
                    escaped(point["setting"]),
                    f"{point['machine']['bits_per_pixel']:.4f}",
                    f"{point['both']['bits_per_pixel']:.4f}",
                    f"{point['machine']['bits_per_second'] / 1000:.0f}",
                    f"{point['both']['bits_per_second'] / 1000:.0f}",
                    or_dash(point["machine_view"]["psnr_db"], ".2f"),
                    or_dash(point["human_view"]["psnr_db"], ".2f"),
                    or_dash(point["human_view"]["ms_ssim_db"], ".2f"),
                    *(
                        f"{point['agreement'][detector][key]:.3f}"
                        for detector in detectors
                        for key in ("at_half", "mean")
                    ),
                    or_dash(point.get("keys"), "d"),
                    or_dash(point.get("changed"), ".3f"),
                )
            )
    report.table(
        (
            "curve",
            "setting",
            "bit/pixel, machines",
            "bit/pixel, both",
            "kbit/s, machines",
            "kbit/s, both",
            "PSNR, machine view",
            "PSNR, human view",
            "MS-SSIM, dB",
            *(f"{detector}, {which}" for detector in detectors for which in ("AP50", "AP")),
            "keys",
            "changed",
        ),
        rows,
    )
