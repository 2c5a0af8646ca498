"""List frames of a camera, and what was recognised in them."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from secondsight.client.commands.options import (
    ApiKeyOption,
    CameraArgument,
    CaOption,
    JsonLinesOption,
    ServerOption,
    asking,
    local,
    parsed_moment,
    print_json,
    print_table,
)
from secondsight.client.commands.seen import seen_in

app = typer.Typer(add_completion=False)


@app.command()
def frames(
    camera: CameraArgument,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Captured from then on.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Captured before.")] = None,
    task: Annotated[
        str | None, typer.Option(help="Whose results.", show_default="those of the default task")
    ] = None,
    kept: Annotated[
        bool,
        typer.Option("--kept", help="Only those kept because of an alert, or because somebody said so."),
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 20,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    ca: CaOption = None,
    as_json: JsonLinesOption = False,
) -> None:
    """List frames of a camera with what was recognised in them, newest first."""
    from rich.markup import escape
    from rich.table import Table

    with asking(server, api_key, ca) as client:
        found = islice(
            client.frames(
                camera,
                since=parsed_moment(since),
                until=parsed_moment(until),
                task=task,
                page_size=min(limit, 100),
                kept=kept,
            ),
            limit,
        )
        if as_json:
            for frame in found:
                print_json(frame)
            return
        table = Table("frame", "captured", "machine layer", "human view", "recognised")
        for frame in found:
            table.add_row(
                frame.frame,
                local(frame.captured_at),
                f"{frame.machine_bytes} bytes",
                frame.enhancement.state.replace("_", " "),
                "not yet" if frame.result is None else escape(seen_in(frame.result)),
            )
    print_table(table)
