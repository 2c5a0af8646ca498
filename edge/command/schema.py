"""`secondsight edge schema`."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON Schema of site files."""
    from edge.site_schema import site_schema

    typer.echo(json.dumps(site_schema(), indent=2))
