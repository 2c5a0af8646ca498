"""Draw up the paper's tables and figures for our models."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from shared_models.codec import Codec
from shared_models.command.as_typed import as_typed
from shared_models.command.options import PhotoCount, WeightsFile, Workers, file_to_write
from shared_models.command.printing import AsJson, console_for, progress_for, put_figures
from shared_models.config import LITE
from shared_models.device import use_threads
from shared_models.errors import ResultsError
from shared_models.evaluation.paper import paper_figures
from shared_models.evaluation.published import published_curves
from shared_models.evaluation.rate_distortion import Curve, curves_of, layered, photos_of, side_by_side
from shared_models.evaluation.results import curves_in, read_results, same_model
from shared_models.photo_folder import photo_paths
from shared_models.weights import Weights, shipped_weights


def paper(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Photos, for example the 24 Kodak images.")],
    weights: WeightsFile = None,
    rd: Annotated[
        Path | None,
        typer.Option(
            help="What `eval rd` measured on these photos; measured anew, without peers, if left out."
        ),
    ] = None,
    images: PhotoCount = None,
    workers: Workers = None,
    out: Annotated[Path, typer.Option(help="JSON file for all figures.", callback=file_to_write)] = Path(
        "docs/results/paper.json"
    ),
    as_json: AsJson = False,
) -> None:
    """Parameters against m, PSNR against lambda and m, rate and distortion: with the values that the paper prints."""
    console = console_for(as_json)
    loaded = Weights.load(shipped_weights(LITE.name) if weights is None else weights)
    model = loaded.model_id.hex()
    if rd is None:
        curves, count = _measured(loaded, folder, images, workers)
    else:
        curves, count = _read(rd, model, folder, images)
    figures: dict[str, Any] = {
        "command": as_typed(context, "eval", "paper"),
        "model": model,
        "photos": count,
        **paper_figures(loaded, curves, f"{count} photos of {folder.resolve().name}"),
    }
    put_figures(figures, out, as_json)
    console.print(_table_1(figures["table_1"]))
    console.print(_table_2(figures["table_2"]))
    console.print(f"{out}: model {model}")


def _measured(
    weights: Weights, folder: Path, images: int | None, workers: int | None
) -> tuple[list[Curve], int]:
    use_threads(1)
    codec = Codec(weights)
    photos = photos_of(folder, images)
    with progress_for() as progress:
        bar = progress.add_task("coding", total=len(photos))
        measured = side_by_side(
            [partial(layered, codec, photo) for photo in photos],
            workers or len(os.sched_getaffinity(0)),
            lambda: progress.advance(bar),
        )
    published = published_curves([Path(photo.name).stem for photo in photos])
    return [*curves_of(measured), *published], len(photos)


def _read(rd: Path, model: str, folder: Path, images: int | None) -> tuple[list[Curve], int]:
    figures = read_results(rd, "secondsight eval rd FOLDER --out", ("model", "curves", "images"))
    same_model({rd.name: figures["model"], "the weights": model})
    measured = [image["photo"] for image in figures["images"]]
    there = [path.name for path in photo_paths(folder)][:images]
    if measured != there:
        raise ResultsError(
            f"{rd} was measured on {len(measured)} photos that are not the {len(there)} of {folder}: name the folder "
            "and the number of --images that `eval rd` had, or leave out --rd"
        )
    return curves_in(figures), len(measured)


def _table_1(figures: dict[str, Any]) -> Table:
    table = Table("m", *map(str, figures["m"]), title="Table I: parameters of the enhancement model, million")
    ours, theirs = figures["ours"], figures["paper"]
    table.add_row("channels", *map(str, ours["channels"]))
    table.add_row("ours", *(f"{count / 1e6:.2f}" for count in ours["parameters"]))
    table.add_row("channels, paper", *map(str, theirs["channels"]))
    table.add_row("paper", *map(str, theirs["parameters_million"]))
    return table


def _table_2(figures: dict[str, Any]) -> Table:
    table = Table(
        "lambda", "", *(f"m = {m}" for m in figures["m"]), title="Table II: PSNR of the human view, dB"
    )
    for row in figures["rows"]:
        for whose, key in (("ours", "psnr_db"), ("paper", "paper_psnr_db")):
            told = ("-" if value is None else f"{value:.2f}" for value in row[key])
            table.add_row(f"{row['lambda']:g}", whose, *told)
    return table
