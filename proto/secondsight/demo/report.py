"""What the demo leaves behind: a table, summary.json and a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.table import Table

from secondsight.demo.demonstration import Look, Witnessed
from secondsight.demo.quality import Picture, psnr_db, source_frames
from secondsight.v1 import analytics_pb2

_COLOURS: Final = ("#ff595e", "#ffca3a", "#8ac926", "#1982c4", "#c77dff", "#ff924c")
_MARGIN: Final = 28
_NEAREST_DB: Final = 100.0

Summary = dict[str, int | float | None]


def summarise(witnessed: Witnessed, sources: dict[int, Picture]) -> Summary:
    """The numbers of one demo.

    Args:
        sources: source frames by presentation time, as far as they are known; PSNRs are means over these.
    """
    edge = witnessed.edge
    known = [look for look in witnessed.looks if look.pts_us in sources]
    capture_to_result = [received.capture_to_result_ms for received in witnessed.results]
    human_view = [look.human.took_ms for look in witnessed.looks]
    return {
        "captured": edge["captured"],
        "sent": edge["sent"],
        "acked": edge["acked"],
        "recognised": sum(not received.result.failure for received in witnessed.results),
        "dropped": sum(edge["dropped"].values()),
        "machine_bytes": edge["machine_bytes"],
        "enhancement_bytes": edge["enhancement_bytes"],
        "human_views": len(witnessed.looks),
        "detections": sum(len(received.result.detections) for received in witnessed.results),
        "psnr_machine_db": _mean([_psnr(look.machine.image, sources[look.pts_us]) for look in known]),
        "psnr_human_db": _mean([_psnr(look.human.image, sources[look.pts_us]) for look in known]),
        "encode_p50_ms": edge["encode_ms"]["p50"],
        "encode_p95_ms": edge["encode_ms"]["p95"],
        "capture_to_result_p50_ms": _percentile(capture_to_result, 50),
        "capture_to_result_p95_ms": _percentile(capture_to_result, 95),
        "human_view_p50_ms": _percentile(human_view, 50),
        "human_view_p95_ms": _percentile(human_view, 95),
    }


def write_report(witnessed: Witnessed, recording: Path | None, out: Path) -> Summary:
    """Write summary.json and side-by-side.png to `out`.

    Args:
        recording: the source as a file; without one nothing is compared with it.

    Raises:
        ClipError: `recording` cannot be read.
    """
    times = [look.pts_us for look in witnessed.looks]
    sources = {} if recording is None else source_frames(recording, times)
    summary = summarise(witnessed, sources)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    if (best := best_look(witnessed)) is not None:
        look, result = best
        side_by_side(sources.get(look.pts_us), look, result).save(out / "side-by-side.png")
    return summary


def table(summary: Summary, witnessed: Witnessed, keep_all: bool) -> Table:
    """`summary` for the terminal.

    Args:
        keep_all: the source waited for the edge, so that its pace is the one at which all was measured.
    """

    def milliseconds(name: str) -> str:
        return f"{_text(summary[f'{name}_p50_ms'], '.0f')} / {_text(summary[f'{name}_p95_ms'], '.0f')} ms"

    frames = max(1, int(summary["sent"] or 0))
    machine, enhancement = int(summary["machine_bytes"] or 0), int(summary["enhancement_bytes"] or 0)
    sizes = [received.result for received in witnessed.results if received.result.width]
    pixels = sizes[0].width * sizes[0].height if sizes else 0
    per_frame = "{:,.1f} kB a frame, {:.3f} bit per pixel"
    result = Table(title="From a camera to a human view", show_header=False, title_justify="left")
    result.add_column(style="bold")
    result.add_column()
    result.add_row(
        "frames",
        f"captured {summary['captured']}, sent {summary['sent']}, acknowledged {summary['acked']}, "
        f"recognised {summary['recognised']}, dropped {summary['dropped']}",
    )
    result.add_row(
        "pace",
        f"{_text(frames_a_second(witnessed), '.1f')} frames a second, "
        f"{'every frame' if keep_all else 'the newest frames'} kept",
    )
    for name, count in (("machine layer", machine), ("enhancement layer", enhancement)):
        result.add_row(name, per_frame.format(count / frames / 1e3, 8 * count / frames / max(1, pixels)))
    result.add_row("detections", str(summary["detections"]))
    result.add_row("human views", str(summary["human_views"]))
    result.add_row("PSNR machine view", f"{_text(summary['psnr_machine_db'], '.2f')} dB")
    result.add_row("PSNR human view", f"{_text(summary['psnr_human_db'], '.2f')} dB")
    result.add_row("encode, p50 / p95", milliseconds("encode"))
    result.add_row("capture to result, p50 / p95", milliseconds("capture_to_result"))
    result.add_row("human view, p50 / p95", milliseconds("human_view"))
    return result


def frames_a_second(witnessed: Witnessed) -> float | None:
    """Rate at which the recognised frames were captured; None of fewer than two."""
    times = [received.result.captured_at.ToNanoseconds() for received in witnessed.results]
    span_ns = max(times, default=0) - min(times, default=0)
    return (len(times) - 1) * 1e9 / span_ns if span_ns else None


def best_look(witnessed: Witnessed) -> tuple[Look, analytics_pb2.RecognitionResult] | None:
    """The frame looked at in which one thing was seen most surely."""
    results = {received.name: received.result for received in witnessed.results}
    pairs = [(look, results[look.frame]) for look in witnessed.looks if look.frame in results]
    return max(
        pairs, key=lambda pair: max((seen.score for seen in pair[1].detections), default=0.0), default=None
    )


def side_by_side(source: Picture | None, look: Look, result: analytics_pb2.RecognitionResult) -> Image.Image:
    """Source (if known), machine view with boxes, human view; each with its title, in one row."""
    machine = Image.fromarray(look.machine.image)
    _draw_boxes(machine, result)
    panels = [("machine view", machine), ("human view", Image.fromarray(look.human.image))]
    if source is not None:
        panels.insert(0, ("source", Image.fromarray(source).resize(machine.size, Image.Resampling.LANCZOS)))
    width, height = machine.size
    picture = Image.new("RGB", (len(panels) * width + (len(panels) - 1) * 4, height + _MARGIN), "white")
    draw = ImageDraw.Draw(picture)
    for index, (title, panel) in enumerate(panels):
        left = index * (width + 4)
        picture.paste(panel, (left, _MARGIN))
        if source is not None and title != "source":
            view = look.machine.image if title == "machine view" else look.human.image
            title += f", {_psnr(view, source):.2f} dB"
        draw.text((left + 6, 5), title, fill="black", font=ImageFont.load_default(16))
    return picture


def _draw_boxes(image: Image.Image, result: analytics_pb2.RecognitionResult) -> None:
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(13)
    labels = sorted({seen.label for seen in result.detections})
    for seen in result.detections:
        colour = _COLOURS[labels.index(seen.label) % len(_COLOURS)]
        box = seen.box
        draw.rectangle((box.x_min, box.y_min, box.x_max, box.y_max), outline=colour, width=2)
        text = f"{seen.label} {seen.score:.2f}"
        where = (box.x_min + 2, max(0.0, box.y_min - 16))
        draw.rectangle(draw.textbbox(where, text, font=font), fill=colour)
        draw.text(where, text, fill="black", font=font)


def _psnr(view: Picture, source: Picture) -> float:
    # JSON knows no infinity.
    return min(_NEAREST_DB, psnr_db(view, source))


def _mean(values: list[float]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None


def _percentile(values: list[float], percentile: float) -> float | None:
    return round(float(np.percentile(values, percentile)), 1) if values else None


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
