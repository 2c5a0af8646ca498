"""Measure what recognisers see in machine and human views and in other codecs' pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.evaluation.cache import Cache
from server.evaluation.codings import CONTESTANTS, Coding, HumanView, MachineView, Original
from server.evaluation.comparison import Curve
from server.evaluation.config import EVALUATION
from server.evaluation.errors import EvaluationError
from server.evaluation.findings import Findings
from server.evaluation.photos import AnnotatedPhotos
from server.evaluation.recognition import Measured, RecognitionMeasurement
from server.recognition import load_recogniser
from shared_models import Codec, load_codec, use_threads
from shared_models.command.as_typed import as_typed
from shared_models.command.options import FiguresFile, WeightsFile
from shared_models.command.printing import AsJson, console_for, progress_for, put_figures
from shared_models.evaluation.rate_distortion import BOTH, MACHINE


def recognition(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Annotated photos: images/ and COCO's instances.json.")],
    weights: WeightsFile = None,
    detector: Annotated[
        list[str] | None, typer.Option(help="A recogniser's name; repeat it for more.")
    ] = None,
    peers: Annotated[bool, typer.Option(help="Other codecs beside ours.")] = True,
    every_human_view: Annotated[
        bool,
        typer.Option("--every-human-view", help="Human views of all qualities, not of the default alone."),
    ] = False,
    images: Annotated[int | None, typer.Option(min=1, help="Only the first photos, for a quick try.")] = None,
    resamples: Annotated[
        int, typer.Option(min=0, help="Of the photos, for the intervals.")
    ] = EVALUATION.resamples,
    threads: Annotated[int, typer.Option(min=1, help="Threads of codec and recognisers.")] = 1,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps peers' streams and detections for another run.")
    ] = None,
    out: FiguresFile = None,
    as_json: AsJson = False,
) -> None:
    """Average precision (COCO's) over bits per pixel, with paired bootstrap intervals over the photos."""
    console = console_for(as_json)
    use_threads(threads)
    codec = load_codec(weights=weights)
    photos = AnnotatedPhotos.load(folder, images)
    recognisers = {
        name: load_recogniser(name, minimum_score=EVALUATION.minimum_score, threads=threads)
        for name in detector or EVALUATION.recognisers
    }
    with Cache(cache) as kept:
        measurement = RecognitionMeasurement(
            photos, recognisers, kept, resamples=resamples, seed=EVALUATION.seed
        )
        ours = _ours(codec, every_human_view)
        theirs = {each.codec.name: each.views(kept) for each in CONTESTANTS} if peers else {}
        codings = sum(map(len, [*ours.values(), *theirs.values()]), 1)
        with progress_for() as progress:
            bar = progress.add_task("", total=len(photos.photos) * codings)

            def measured(name: str, coding: Coding) -> dict[str, Measured]:
                progress.update(bar, description=f"{name}, {coding.setting}")
                found = measurement.measure(coding, lambda: progress.advance(bar))
                for detector, point in found.items():
                    progress.console.print(
                        f"{name}, {coding.setting}: {point.bits_per_pixel[0]:.3f} bit/pixel, "
                        f"{detector} AP {point.precision.mean[0]:.3f}, AP50 {point.precision.at_half[0]:.3f}",
                        soft_wrap=True,
                    )
                return found

            original = measured("original", Original())
            for name, point in original.items():
                if not point.precision.mean[0] > 0:
                    raise EvaluationError(
                        f"{name} finds nothing of what is annotated in {folder}: measure on more photos, "
                        "or on photos whose categories are among its labels"
                    )
            points = {
                (name, kind): [measured(name, coding) for coding in settings]
                for kind, group in (("ours", ours), ("peer", theirs))
                for name, settings in group.items()
            }
    findings = [
        Findings(
            recogniser,
            original[recogniser],
            [
                Curve.of(name, kind, [point[recogniser] for point in curve])
                for (name, kind), curve in points.items()
            ],
        )
        for recogniser in recognisers
    ]
    for found in findings:
        found.print(console)
    figures = {
        "command": as_typed(context, "eval", "recognition"),
        "model": codec.model_id.hex(),
        "photos": len(photos.photos),
        "resamples": resamples,
        "coverage": EVALUATION.coverage,
        "detectors": {found.recogniser: found.as_dict() for found in findings},
    }
    put_figures(figures, out, as_json, indent=2)


def _ours(codec: Codec, every_human_view: bool) -> dict[str, list[Coding]]:
    config = codec.config
    qualities = range(config.enhancement.levels) if every_human_view else [config.default_quality]
    return {
        MACHINE: [MachineView(codec, level) for level in range(config.machine.levels)],
        BOTH: [HumanView(codec, quality) for quality in qualities],
    }
