"""Measure camera streams: bits, human views and detections of our layers beside x264, x265 and JPEG."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from server.errors import RecogniserNotInstalledError
from server.evaluation.cache import Cache
from server.evaluation.config import EVALUATION, STREAM
from server.evaluation.stream import StreamMeasurement
from server.evaluation.stream_clip import clips_of
from server.evaluation.stream_codings import (
    Groups,
    KeysAlone,
    Levels,
    SingleFiles,
    StreamCoding,
    VideoStream,
)
from server.recognition import Recogniser, load_recogniser
from shared_models import Codec, load_codec, use_threads
from shared_models.command.as_typed import as_typed
from shared_models.command.options import EightBit, WeightsFile, file_to_write
from shared_models.command.printing import AsJson, console_for, print_json, progress_for
from shared_models.evaluation.peers import JPEG
from shared_models.evaluation.report_page import PICTURE_TYPES
from shared_models.evaluation.stream import ClipFindings, StreamPoint
from shared_models.evaluation.stream_goals import contests
from shared_models.evaluation.stream_report import stream_report
from shared_models.evaluation.video_peers import X264_STREAM, X265_STREAM
from shared_models.group import GROUP

_LEVELS: Final = re.compile(r"(\d+)/(\d+)")
_JPEG_RUNGS: Final = (5, 15, 40, 75)


def _report_to_write(path: Path | None) -> Path | None:
    """Refuse a file for the figures that the text or the folder of its pictures would take the place of."""
    if path is not None and path.suffix in ("", ".md"):
        raise typer.BadParameter(f"{path}: end it in .json; a text and a folder of pictures go beside it")
    return file_to_write(path)


def stream(
    context: typer.Context,
    clips: Annotated[Path, typer.Argument(help="A video, or a folder of videos.")],
    weights: WeightsFile = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            help="Levels of machine layer and human view, for example 1/2; repeat it for more. All machine levels with "
            "the human levels of the same rank when left out."
        ),
    ] = None,
    detector: Annotated[
        list[str] | None,
        typer.Option(help="A recogniser's name; repeat it for more. All that are installed when left out."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Only curves whose name holds this text: groups, keys alone, x264, x265, JPEG. Repeatable."
        ),
    ] = None,
    moving: Annotated[
        list[str] | None,
        typer.Option(help="Clips whose name holds this text were taken by a moving camera. Repeatable."),
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Only the first frames of each clip.")] = None,
    judged: Annotated[
        int, typer.Option(min=1, help="Frames of each clip that are looked at, spread evenly.")
    ] = STREAM.judged,
    every: Annotated[int, typer.Option(min=1, help="Only every N-th setting of each codec.")] = 1,
    keyint: Annotated[
        int, typer.Option(min=1, help="Frames between key frames of x264 and x265.")
    ] = STREAM.keyint,
    threads: Annotated[int, typer.Option(min=1, help="Threads of codec and recognisers.")] = 1,
    eight_bit: EightBit = False,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps all figures, for another run or the rest of this one."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="JSON file for all figures; beside it a text of the same name (.md) and its pictures.",
            callback=_report_to_write,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bits per second of machine layers and of human views, whole or for a share of the frames, beside other codecs."""
    console = console_for(as_json)
    use_threads(threads)
    codec = load_codec(weights=weights, eight_bit=eight_bit)
    wanted = clips_of(clips, frames)
    recognisers = _recognisers(detector, threads, console)
    codings = _codings(codec, _levels(setting, codec), keyint, every, only)
    with Cache(cache) as kept, progress_for() as progress:
        bar = progress.add_task("", total=len(wanted) * len(codings))
        measurement = StreamMeasurement(codings, recognisers, kept, judged)
        findings = []
        for clip in wanted:
            progress.update(bar, description=clip.path.name)

            def advance(coding: StreamCoding, point: StreamPoint, name: str = clip.path.name) -> None:
                progress.advance(bar)
                progress.console.print(f"{name}: {_told(coding, point)}", soft_wrap=True)

            moves = any(text in clip.path.name for text in moving or ())
            findings.append(measurement.measure(clip, advance, moving=moves))
    figures = {
        "command": as_typed(context, "eval", "stream"),
        "model": codec.model_id.hex(),
        "eight_bit": codec.eight_bit,
        "keyint": keyint,
        "group": asdict(GROUP),
        "seed": STREAM.seed,
        "draws": STREAM.draws,
        "truth_score": STREAM.truth_score,
        "clips": [found.as_dict() for found in findings],
    }
    for found in findings:
        console.print(_contests(found))
    if out is not None:
        _write(figures, out)
    if as_json:
        print_json(figures)


def _recognisers(names: Sequence[str] | None, threads: int, console: Console) -> dict[str, Recogniser]:
    """Those that were named; else all that are there, at least the one that comes with the installation."""
    recognisers = {}
    for name in names or EVALUATION.detectors:
        try:
            recognisers[name] = load_recogniser(name, minimum_score=EVALUATION.minimum_score, threads=threads)
        except RecogniserNotInstalledError as error:
            if names or name == EVALUATION.detectors[0]:
                raise
            console.print(f"without {name}: {error}", soft_wrap=True)
    return recognisers


def _levels(settings: Sequence[str] | None, codec: Codec) -> list[Levels]:
    machine, human = codec.config.machine.levels, codec.config.enhancement.levels
    if not settings:
        return [Levels(level, round(level * (human - 1) / max(1, machine - 1))) for level in range(machine)]
    levels = []
    for text in settings:
        match = _LEVELS.fullmatch(text)
        if match is None:
            raise typer.BadParameter(f"--setting {text}: give machine level and human level, for example 1/2")
        chosen = Levels(*map(int, match.groups()))
        if chosen.machine >= machine or chosen.human >= human:
            raise typer.BadParameter(
                f"--setting {text}: this model has machine levels 0 to {machine - 1}, human levels 0 to {human - 1}"
            )
        levels.append(chosen)
    return levels


def _codings(
    codec: Codec, levels: Sequence[Levels], keyint: int, every: int, only: Sequence[str] | None
) -> list[StreamCoding]:
    """All settings of the curves that are wanted."""
    curves: list[list[StreamCoding]] = [
        [Groups(codec, each, GROUP) for each in levels],
        [KeysAlone(codec, each) for each in levels],
        [VideoStream(X264_STREAM, rung, keyint) for rung in X264_STREAM.ladder],
        [VideoStream(X265_STREAM, rung, keyint) for rung in X265_STREAM.ladder],
        [SingleFiles(JPEG, rung) for rung in _JPEG_RUNGS],
    ]
    names = [curve[0].series.name for curve in curves]
    for text in only or ():
        if not any(text.casefold() in name.casefold() for name in names):
            raise typer.BadParameter(f"--only {text}: no curve is called so; there are {'; '.join(names)}")
    return [
        coding
        for name, curve in zip(names, curves, strict=True)
        if not only or any(text.casefold() in name.casefold() for text in only)
        for coding in curve[::every]
    ]


def _told(coding: StreamCoding, point: StreamPoint) -> str:
    """A point in one line."""
    agreement = ", ".join(f"{name} {found.at_half:.3f}" for name, found in point.agreement.items())
    both = "" if point.both_bytes == point.machine_bytes else f", both {point.both_bytes / point.frames:.0f}"
    return (
        f"{coding.series.name}, {coding.setting}: {point.machine_bytes / point.frames:.0f} bytes a frame{both}; "
        f"{point.human_view.psnr_db:.2f} dB; agreement {agreement or 'not measured: nothing was seen'}"
    )


def _contests(found: ClipFindings) -> Table:
    table = Table("question", "ours", "x265", "fewer bits", title=found.clip)
    for contest in contests(found.as_dict()):
        table.add_row(contest.question, contest.ours, contest.theirs, contest.better)
    return table


def _write(figures: dict[str, object], out: Path) -> None:
    """The figures, and the text with its pictures beside them; pictures of an earlier text go."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=1, allow_nan=False) + "\n")
    report = stream_report(figures, out.stem)
    folder = out.parent / out.stem
    folder.mkdir(exist_ok=True)
    for stale in (path for path in folder.iterdir() if path.suffix in PICTURE_TYPES):
        if f"{out.stem}/{stale.name}" not in report.pictures:
            stale.unlink()
    for name, data in report.pictures.items():
        (out.parent / name).write_bytes(data)
    out.with_suffix(".md").write_text(report.text)
