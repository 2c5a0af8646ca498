"""List the cameras of a server, and how they do."""

from __future__ import annotations

import typer

from secondsight.client.commands.options import (
    ApiKeyOption,
    CaOption,
    JsonOption,
    ServerOption,
    asking,
    local,
    print_json,
    print_table,
)

app = typer.Typer(add_completion=False)


@app.command()
def cameras(
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the cameras of a server, and how they do."""
    from rich.markup import escape
    from rich.table import Table

    with asking(server, api_key, ca) as client:
        found = client.cameras()
    if as_json:
        print_json({"cameras": found})
        return
    table = Table("camera", "state", "since", "last frame", "slow", "await recognition", "source")
    for camera in found:
        table.add_row(
            camera.camera,
            camera.state or "",
            "" if camera.since is None else local(camera.since),
            local(camera.last_frame_at),
            camera.slow or "",
            "" if camera.awaiting is None else str(camera.awaiting),
            "" if camera.edge is None else escape(camera.edge.source),
        )
    print_table(table)
