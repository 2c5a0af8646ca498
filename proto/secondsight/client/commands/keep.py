"""Have a frame kept, with what its human view takes."""

from __future__ import annotations

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
    local,
    print_json,
)

app = typer.Typer(add_completion=False)


@app.command()
def keep(
    camera: CameraArgument,
    frame: Annotated[str, typer.Argument(help="Name of the frame, SESSION-SEQUENCE.")],
    reason: ReasonOption = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a frame kept with both layers, as long as what somebody has to look at is kept."""
    with asking(server, api_key, ca) as client:
        kept = client.keep(camera, frame, reason=reason)
    if as_json:
        print_json(kept)
        return
    until = kept.enhancement.expires_at
    typer.echo(
        f"frame {kept.frame} of {kept.camera} is kept" + ("" if until is None else f" until {local(until)}")
    )
