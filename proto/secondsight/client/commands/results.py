"""Follow what is recognised, as it comes."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secondsight.client.commands.options import (
    ApiKeyOption,
    CaOption,
    GrpcOption,
    JsonLinesOption,
    ServerOption,
    asking,
    local,
    print_json,
)
from secondsight.client.commands.seen import seen_in
from secondsight.client.commands.unknown import note_waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(add_completion=False)


@app.command()
def results(
    camera: Annotated[list[str] | None, typer.Argument(help="Only these cameras; all when left out.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Only detections of this label. Repeatable.")
    ] = None,
    minimum_score: Annotated[float, typer.Option(min=0, max=1, help="Only detections of this score.")] = 0.0,
    task: Annotated[str, typer.Option(help="Whose results.", show_default="the default task")] = "",
    earliest: Annotated[
        bool, typer.Option("--earliest", help="Begin with the oldest result that is kept, not with the next.")
    ] = False,
    positions: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="File that keeps how far one is: go on from there, so that no result is missed.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="End after so many.", show_default="until Ctrl-C")
    ] = None,
    server: ServerOption = None,
    grpc: GrpcOption = None,
    api_key: ApiKeyOption = None,
    ca: CaOption = None,
    as_json: JsonLinesOption = False,
) -> None:
    """Print results as they come, a line each. A lost connection is made again, and what was missed comes then.

    A camera or a task that nobody has had so far may still come: it is waited for, and standard error says so.
    """
    with asking(server, api_key, ca, grpc) as client:
        resume_after = _read(positions)
        if camera or task:
            note_waiting(client, camera or (), task)
        with client.subscribe(
            camera or (),
            labels=label or (),
            minimum_score=minimum_score,
            task=task,
            start="earliest" if earliest else "latest",
            resume_after=resume_after,
        ) as following:
            for _ in count() if limit is None else range(limit):
                result = next(following)
                if as_json:
                    print_json(result)
                else:
                    print(local(result.captured_at), result.camera, result.frame, seen_in(result), flush=True)
                if positions is not None:
                    following.done()
                    _write(positions, following.positions)


def _read(path: Path | None) -> Mapping[str, str]:
    if path is None or not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
        if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()):
            return found
    except ValueError:
        pass
    raise typer.BadParameter(f"{path} does not hold positions: name another file, or remove it")


def _write(path: Path, positions: Mapping[str, str]) -> None:
    """At once or not at all."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(json.dumps(positions) + "\n")
    beside.replace(path)
