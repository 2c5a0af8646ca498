"""Print the description of the server's REST interface, an OpenAPI document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from server.rest.app import bare_app
from shared_models.command.options import file_to_write

app = typer.Typer(add_completion=False)


@app.command()
def openapi(
    out: Annotated[
        Path | None, typer.Option(help="Write it into this file instead.", callback=file_to_write)
    ] = None,
) -> None:
    """Print the description of the server's REST interface, an OpenAPI document.

    It is the same that a running server has at /openapi.json.
    """
    text = json.dumps(bare_app().openapi(), indent=1, sort_keys=True)
    if out is None:
        print(text)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n")
