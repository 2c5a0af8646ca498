"""Try a recogniser: whether it keeps to what the server asks of it, and what it sees in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image, UnidentifiedImageError
from rich.console import Console
from rich.table import Table

from server.errors import RecogniserError
from server.recognition import load_recogniser
from server.recognition.conformance import faults_of
from shared_models.picture import Picture

app = typer.Typer(add_completion=False, no_args_is_help=True)

Address = Annotated[
    str, typer.Argument(help="As for secondsight server --recogniser, for example onnx:model.onnx")
]
Threads = Annotated[int, typer.Option(min=1, help="Threads that recognise.")]


@app.callback()
def recogniser() -> None:
    """Try a recogniser before the server runs it."""


@app.command()
def check(
    address: Address,
    pictures: Annotated[
        list[Path] | None, typer.Argument(help="Pictures to try it on, beside noise.")
    ] = None,
    minimum_score: Annotated[float, typer.Option(min=0, max=1)] = 0.05,
    threads: Threads = 1,
) -> None:
    """Try every promise that a recogniser makes to the server. Exit code 1 when one is not kept."""
    tried = load_recogniser(address, minimum_score=minimum_score, threads=threads)
    faults = faults_of(tried, [_read(path) for path in pictures or ()])
    for fault in faults:
        typer.echo(f"not kept: {fault.promise}: {fault.told}")
    typer.echo(
        f"{tried.name}: {len(tried.labels)} labels, {tried.most_at_once} pictures at once, "
        + ("every promise kept" if not faults else f"{len(faults)} faults")
    )
    raise typer.Exit(1 if faults else 0)


@app.command()
def look(
    address: Address,
    picture: Annotated[Path, typer.Argument(help="A picture file.")],
    minimum_score: Annotated[float, typer.Option(min=0, max=1)] = 0.3,
    threads: Threads = 1,
) -> None:
    """Print what a recogniser sees in a picture."""
    looking = load_recogniser(address, minimum_score=minimum_score, threads=threads)
    (seen,) = looking.recognise([_read(picture)])
    table = Table("label", "score", "box", "mask", title=looking.name)
    for detection in seen.detections:
        box = f"{detection.x_min:.0f}, {detection.y_min:.0f} to {detection.x_max:.0f}, {detection.y_max:.0f}"
        mask = "" if detection.mask is None else f"{detection.mask.area} pixels"
        table.add_row(detection.label, f"{detection.score:.2f}", box, mask)
    if seen.segmentation is not None:
        for segment in seen.segmentation.segments:
            share = float((seen.segmentation.numbers == segment.number).mean())
            kind = "thing" if segment.is_thing else "stuff"
            table.add_row(segment.label, f"{segment.score:.2f}", kind, f"{share:.1%} of the picture")
    Console().print(table)


def _read(path: Path) -> Picture:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise RecogniserError(f"{path} cannot be read as a picture: {error}") from error
