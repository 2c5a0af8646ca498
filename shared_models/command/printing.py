"""What a command prints: facts on standard output, as tables or as JSON, and all else on standard error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, ProgressColumn

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the facts as JSON; tables go to standard error then.")
]


def console_for(as_json: bool) -> Console:
    """Where tables go."""
    return Console(stderr=as_json)


def progress_for(*columns: ProgressColumn, still: bool = False) -> Progress:
    """Bars on a terminal; elsewhere nothing is drawn.

    Args:
        still: drawn by `refresh` alone, so that drawing takes no time from what is measured.
    """
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal, auto_refresh=not still)


def print_json(document: Any) -> None:
    """One document on a line."""
    typer.echo(json.dumps(document, allow_nan=False))


def put_figures(figures: Any, out: Path | None, as_json: bool, indent: int = 1) -> None:
    """Write figures to the file that is wanted, with the folders on the way to it, and print them if that is."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(figures, indent=indent, allow_nan=False) + "\n")
    if as_json:
        print_json(figures)
