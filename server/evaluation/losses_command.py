"""Measure where outlines of persons suffer in machine views: in which stage, of which persons, from what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from server.evaluation.comparison import Estimate
from server.evaluation.config import EVALUATION
from server.evaluation.person_losses import Losses, PersonLosses
from server.evaluation.photos import AnnotatedPhotos
from server.recognition import load_recogniser
from server.recognition.persons import Persons
from shared_models import load_codec, use_threads
from shared_models.command.as_typed import as_typed
from shared_models.command.options import FiguresFile, WeightsFile
from shared_models.command.printing import AsJson, console_for, progress_for, put_figures


def losses(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Annotated photos: images/ and COCO's instances.json.")],
    level: Annotated[list[int] | None, typer.Option(help="Of the machine layer; repeat it for more.")] = None,
    weights: WeightsFile = None,
    detector: Annotated[str, typer.Option(help="Address of the detector of the persons.")] = "ssd-mobilenet",
    images: Annotated[int | None, typer.Option(min=1, help="Only the first photos, for a quick try.")] = None,
    resamples: Annotated[
        int, typer.Option(min=0, help="Of the photos, for the intervals.")
    ] = EVALUATION.resamples,
    threads: Annotated[int, typer.Option(min=1, help="Threads of codec and recogniser.")] = 1,
    out: FiguresFile = None,
    as_json: AsJson = False,
) -> None:
    """Mask AP of the persons recogniser, kept when the machine view takes the original's place in one respect alone."""
    console = console_for(as_json)
    use_threads(threads)
    codec = load_codec(weights=weights)
    photos = AnnotatedPhotos.load(folder, images)
    persons = load_recogniser(f"persons:{detector}", minimum_score=EVALUATION.minimum_score, threads=threads)
    assert isinstance(persons, Persons)
    measurement = PersonLosses(photos, persons, resamples=resamples, seed=EVALUATION.seed)
    levels = level or range(codec.config.machine.levels)
    found = []
    with progress_for() as progress:
        bar = progress.add_task("", total=len(photos.photos) * len(levels))
        for each in levels:
            progress.update(bar, description=f"level {each}")
            found.append(measurement.measure(codec, each, lambda: progress.advance(bar)))
    for of_level in found:
        _print(console, of_level)
    figures = {
        "command": as_typed(context, "eval", "losses"),
        "model": codec.model_id.hex(),
        "recogniser": persons.name,
        "photos": len(photos.photos),
        "resamples": resamples,
        "coverage": EVALUATION.coverage,
        "levels": [of_level.as_dict() for of_level in found],
    }
    put_figures(figures, out, as_json, indent=2)


def _print(console: Console, found: Losses) -> None:
    told = Table(
        "what is the machine view's",
        "mask AP, of the original's",
        title=f"level {found.level}, {found.bits_per_pixel:.3f} bit/pixel",
    )
    for name, share in found.shares.items():
        told.add_row(name, _percent(share))
    console.print(told)
    persons = Table("persons", "", "found", "still found", "overlap", "in the machine view", "kept")
    for name, group in found.groups.items():
        persons.add_row(
            name,
            str(group["persons"]),
            str(group["found"]),
            _percent(group["still_found"]),
            _number(group["overlap"]),
            _number(group["overlap_in_machine_view"]),
            _percent(group["overlap_kept"]),
        )
    console.print(persons)


def _number(value: Estimate | None) -> str:
    return "" if value is None else f"{value.value:.2f}"


def _percent(share: Estimate | None) -> str:
    if share is None:
        return ""
    return f"{100 * share.value:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f})"
