"""Fetch a picture of a frame into a file."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from secondsight.client.commands.options import (
    ApiKeyOption,
    CameraArgument,
    CaOption,
    JsonOption,
    ReasonOption,
    ServerOption,
    asking,
    parsed_moment,
    print_json,
)

app = typer.Typer(add_completion=False)


class Format(StrEnum):
    """What the picture is compressed as."""

    JPEG = "jpeg"
    WEBP = "webp"
    PNG = "png"
    AVIF = "avif"


_SUFFIXES = {".jpg": Format.JPEG, ".jpeg": Format.JPEG, **{f".{each}": each for each in Format}}


@app.command()
def view(
    camera: CameraArgument,
    frame: Annotated[
        str | None, typer.Argument(help="Name of the frame, SESSION-SEQUENCE.", show_default="the newest")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="The frame captured nearest to this moment, instead.")
    ] = None,
    human: Annotated[
        bool, typer.Option("--human", help="The human view, from both layers; the machine view otherwise.")
    ] = False,
    reason: ReasonOption = None,
    slices: Annotated[
        int | None,
        typer.Option(min=1, max=5, help="First slices of the enhancement layer.", show_default="all"),
    ] = None,
    width: Annotated[
        int | None, typer.Option(min=1, help="At most so many pixels wide.", show_default="as captured")
    ] = None,
    format: Annotated[
        Format | None, typer.Option(help="Of the picture.", show_default="by --out, else jpeg")
    ] = None,
    wait: Annotated[
        float | None, typer.Option(min=0, help="Seconds that layers may take to come from the camera's edge.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write.", show_default="CAMERA-FRAME-VIEW.FORMAT here")
    ] = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch the machine view or the human view of a frame into a file, and print where it is."""
    if frame is not None and at is not None:
        raise typer.BadParameter("name the frame, or the moment by --at")
    if slices is not None and not human:
        raise typer.BadParameter("--slices are of the human view: give --human, too")
    chosen = format or (Format.JPEG if out is None else _SUFFIXES.get(out.suffix.lower()))
    if chosen is None:
        raise typer.BadParameter(f"{out} does not say its format: give --format, or .jpg, .webp, .png, .avif")
    # Every view is put on record and counted: none is asked for that could not be kept.
    folder = Path() if out is None else out.parent
    if (out is not None and out.is_dir()) or not os.access(folder, os.W_OK):
        raise typer.BadParameter(
            f"{out or folder.absolute()} cannot be written: name a file in a folder that is there and may be written"
        )
    with asking(server, api_key, ca) as client:
        moment = parsed_moment(at)
        if moment is not None:
            frame = client.frame_at(camera, moment).frame
        elif frame is None:
            newest = next(client.frames(camera, page_size=1), None)
            if newest is None:
                raise typer.BadParameter(f"no frame of camera {camera} is stored")
            frame = newest.frame
        fetched = client.view(
            camera,
            frame,
            "human" if human else "machine",
            reason=reason,
            slices=slices,
            width=width,
            format=chosen.value,
            wait=wait,
        )
    told = fetched.provenance
    file = fetched.save(out or Path(f"{camera}-{frame}-{told.view}.{chosen}"))
    if as_json:
        print_json({"file": str(file), "bytes": len(fetched.content), "provenance": told})
    else:
        typer.echo(f"{file}: {told.view} view of frame {frame} of {camera}, {len(fetched.content)} bytes")
