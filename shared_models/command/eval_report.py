"""Make one page of everything that was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from shared_models.codec import load_codec
from shared_models.command.as_typed import as_typed
from shared_models.command.printing import AsJson, print_json
from shared_models.device import use_threads
from shared_models.errors import ResultsError
from shared_models.evaluation.contact_sheet import views_of
from shared_models.evaluation.rate_distortion import photos_of
from shared_models.evaluation.report import FILES, PICTURES, Results, Sheet, report_of
from shared_models.evaluation.report_page import PICTURE_TYPES, page_of
from shared_models.evaluation.results import same_model

_MOST_BYTES: Final = 4 * 2**20


def report(
    context: typer.Context,
    results: Annotated[
        Path, typer.Option(help="Folder of the result files; the report is written there, too.")
    ] = Path("docs/results"),
    photos: Annotated[
        Path | None, typer.Option(help="Photos for contact sheets; none are made when left out.")
    ] = None,
    sheets: Annotated[int, typer.Option(min=1, help="How many of them, evenly over the folder.")] = 4,
    weights: Annotated[
        Path | None,
        typer.Option(help="A weights file, for the contact sheets; the shipped one when left out."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write report.html, which needs nothing beside it, and report.md with its pictures in report/."""
    held = Results.read(results)
    if not held.figures:
        raise ResultsError(f"{results} holds no result file: make one, for example with `{FILES[0].made_by}`")
    made = [] if photos is None else _sheets(photos, sheets, weights, held)
    drawn = report_of(held, made, as_typed(context, "eval", "report"))
    page = page_of(drawn).encode()
    if len(page) > _MOST_BYTES:
        raise ResultsError(f"the page has {len(page)} bytes, {_MOST_BYTES} at most: ask for fewer --sheets")
    pictures = results / PICTURES
    pictures.mkdir(exist_ok=True)
    for stale in (path for path in pictures.iterdir() if path.suffix in PICTURE_TYPES):
        if f"{PICTURES}/{stale.name}" not in drawn.pictures:
            stale.unlink()
    for name, data in drawn.pictures.items():
        (results / name).write_bytes(data)
    (results / "report.md").write_text(drawn.text)
    (results / "report.html").write_bytes(page)
    if as_json:
        print_json(
            {"file": str(results / "report.html"), "bytes": len(page), "pictures": len(drawn.pictures)}
        )
    else:
        Console().print(
            f"{results / 'report.html'}: {len(page) / 2**20:.2f} MiB, {len(drawn.pictures)} pictures"
        )


def _sheets(folder: Path, count: int, weights: Path | None, held: Results) -> list[Sheet]:
    use_threads(1)
    codec = load_codec(weights=weights)
    same_model({**held.models, "the weights": codec.model_id.hex()})
    photos = photos_of(folder)
    step = max(1, len(photos) // count)
    return [Sheet(photo.name, views_of(codec, photo)) for photo in photos[step // 2 :: step][:count]]
