"""Options that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WeightsFile = Annotated[Path | None, typer.Option(help="A weights file; the shipped one when left out.")]
Profile = Annotated[str, typer.Option(help="Profile of the codec: lite, or paper with --weights.")]
PhotoCount = Annotated[int | None, typer.Option(min=1, help="Only so many photos, the first by name.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Photos coded at a time; one per CPU when left out.")
]
