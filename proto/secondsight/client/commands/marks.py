"""What operators said of results: list it, sum it up, export it as a COCO dataset of human views."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from secondsight.client.commands.options import (
    ApiKeyOption,
    CaOption,
    JsonOption,
    ReasonOption,
    ServerOption,
    asking,
    parsed_moment,
    print_json,
    print_table,
)

app = typer.Typer(add_completion=False, no_args_is_help=True)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOOK_S: Final = 0.5

SomeCamera = Annotated[
    str | None, typer.Option("--camera", help="Only of this camera.", show_default="all that one may see")
]
SinceOption = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="Only frames captured then or later.")
]
UntilOption = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only frames captured before.")]


@app.callback()
def marks() -> None:
    """What operators said of results on human views: right, wrong, missed."""


@app.command(name="list")
def list_(
    camera: SomeCamera = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List marks, newest frames first, camera by camera."""
    from rich.table import Table

    with asking(server, api_key, ca) as client:
        told = list(client.marks(camera))
    if as_json:
        print_json({"marks": told})
        return
    table = Table("camera", "frame", "seen", "verdict", "label", "by", "note")
    for mark in told:
        seen = "" if mark.seen is None else mark.seen.label
        table.add_row(mark.camera, mark.frame, seen, mark.verdict, mark.label or "", mark.by, mark.note)
    print_table(table)


@app.command()
def summary(
    camera: SomeCamera = None,
    since: SinceOption = None,
    until: UntilOption = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how often results were right, by label, as far as operators have looked."""
    from rich.table import Table

    with asking(server, api_key, ca) as client:
        told = client.marks_summary(camera, since=parsed_moment(since), until=parsed_moment(until))
    if as_json:
        print_json(told)
        return
    table = Table("label", "right", "wrong", "missed", "precision", title=f"{told.frames} frames")
    for each in told.labels:
        precision = (
            ""
            if each.precision is None or each.precision_low is None or each.precision_high is None
            else f"{each.precision:.0%} ({each.precision_low:.0%} to {each.precision_high:.0%})"
        )
        table.add_row(each.label, str(each.right), str(each.wrong), str(each.missed), precision)
    print_table(table)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A folder to make, or an empty one.")],
    camera: Annotated[
        list[str] | None,
        typer.Option(help="Of this camera. May be given again.", show_default="all that one may see"),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    reason: ReasonOption = None,
    png: Annotated[bool, typer.Option("--png", help="Human views as PNG; JPEG otherwise.")] = False,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export marked frames as a COCO dataset of human views: images/ and instances.json.

    `secondsight eval recognition FOLDER` measures recognisers on it.
    """
    from rich.console import Console
    from rich.progress import Progress

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise typer.BadParameter(f"{folder} is there already, and is no empty folder")
    with (
        asking(server, api_key, ca) as client,
        Progress(console=Console(stderr=True), disable=as_json) as shown,
    ):
        bar = shown.add_task("human views", total=1.0)
        job = client.make_export(
            "marks",
            camera or [each.camera for each in client.cameras()],
            parsed_moment(since) or _EPOCH,
            parsed_moment(until) or datetime.now(UTC),
            view="human",
            format="png" if png else "jpeg",
            reason=reason,
        )
        job = client.wait_for(
            job, progress=lambda now: shown.update(bar, completed=now.progress), every=_LOOK_S
        )
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
            _unpack(client.download(job, Path(beside, "marks.zip")), folder)
    if as_json:
        print_json({"folder": str(folder), "frames": job.frames, "left_out": job.left_out_by_reason})
        return
    typer.echo(f"{folder}: {job.frames - job.left_out} human views, {job.left_out} left out")
    for why, count in job.left_out_by_reason.items():
        typer.echo(f"  {count}: {why}")


def _unpack(file: Path, folder: Path) -> None:
    """The dataset alone. Names within it are not trusted."""
    with zipfile.ZipFile(file) as packed:
        for name in packed.namelist():
            within = Path(name)
            if name == "instances.json" or (len(within.parts) == 2 and within.parts[0] == "images"):
                target = folder / ("images" if len(within.parts) == 2 else "") / within.name
                target.parent.mkdir(exist_ok=True)
                with packed.open(name) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
