"""Options that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WeightsFile = Annotated[Path | None, typer.Option(help="A weights file; the shipped one when left out.")]
PhotoCount = Annotated[int | None, typer.Option(min=1, help="Only so many photos, the first by name.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Photos coded at a time; one per CPU when left out.")
]
