"""Options that several commands have in common."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def file_to_write(path: Path | None) -> Path | None:
    """Refuse a file that cannot be written, before the work that is to fill it; nothing is made yet.

    Folders on the way to it may be missing: who writes makes them.

    Raises:
        typer.BadParameter: it is a folder, or nothing can be written there.
    """
    if path is None:
        return None
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder: name a file in it")
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if there != path and not there.is_dir():
        raise typer.BadParameter(f"{path} cannot be made: {there} is a file")
    if not os.access(there, os.W_OK):
        raise typer.BadParameter(f"{path} cannot be written: {there} is read-only here")
    return path


FiguresFile = Annotated[Path | None, typer.Option(help="JSON file for all figures.", callback=file_to_write)]
WeightsFile = Annotated[
    Path | None, typer.Option(dir_okay=False, help="A weights file; the shipped one when left out.")
]
Profile = Annotated[str, typer.Option(help="Profile of the codec: lite, or paper with --weights.")]
PhotoCount = Annotated[int | None, typer.Option(min=1, help="Only so many photos, the first by name.")]
EightBit = Annotated[
    bool,
    typer.Option(
        help="Let the analyses compute in 8-bit integers, where the processor has instructions for it."
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Photos coded at a time; one per CPU when left out.")
]
