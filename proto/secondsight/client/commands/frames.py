"""List frames of a camera, and what was recognised in them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

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
from secondsight.client.commands.unknown import note_unknown_task

if TYPE_CHECKING:
    from secondsight.client import Frame

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
            recognised = False
            for frame in found:
                print_json(frame)
                recognised |= frame.result is not None
            if not recognised:
                note_unknown_task(client, task)
            return
        listed = list(found)
        recognised = any(frame.result is not None for frame in listed)
        unknown = not recognised and note_unknown_task(client, task)
        table = Table("frame", "captured", "machine layer", "human view", "recognised")
        for frame in listed:
            table.add_row(
                frame.frame,
                local(frame.captured_at),
                f"{frame.machine_bytes} bytes",
                frame.enhancement.state.replace("_", " "),
                escape(_seen(frame, of_unknown_task=unknown)),
            )
    print_table(table)


def _seen(frame: Frame, *, of_unknown_task: bool) -> str:
    if frame.result is not None:
        return seen_in(frame.result)
    return "no such task" if of_unknown_task else "not yet"
