"""Show what runs and how it does: cameras, store, workers, and what is slow.

Exit codes:

0: all is well.

1: something is wrong, or cannot be asked.

2: wrong options.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from secondsight.status.report import Status, report
from secondsight.status.scrape import scrape
from secondsight.status.table import rendered

_DEFAULT_SERVER = "http://127.0.0.1:8080"
_PLAIN_WIDTH = 200

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def status(
    server: Annotated[
        str | None,
        typer.Option(
            envvar=["SECONDSIGHT_STATUS_SERVER", "SECONDSIGHT_URL"],
            help="HTTP address of the server.",
            show_default=f"{_DEFAULT_SERVER} if no edge is named",
        ),
    ] = None,
    edge: Annotated[
        list[str] | None,
        typer.Option(help="Address of an edge's metrics, http://HOST:PORT. May be given several times."),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="SECONDSIGHT_API_KEY", help="For a server that asks for one.", show_envvar=True),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(envvar="SECONDSIGHT_CA", help="Certificate authority of an https:// server, PEM."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again.")] = False,
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks of --watch.")] = 2.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print it as JSON; with --watch, line by line.")
    ] = False,
) -> None:
    if server is None and not edge:
        server = _DEFAULT_SERVER

    def look() -> Status:
        # Edges ask for no key, so they are sent none.
        return report(
            None if server is None else scrape(server, api_key, ca),
            [scrape(address, None, ca) for address in edge or ()],
        )

    console = Console(highlight=False)
    if not console.is_terminal:
        # A file or a mail has no edge at which a row would have to be broken.
        console.width = _PLAIN_WIDTH
    seen = look()
    if as_json:
        print(_json(seen), flush=True)
        while watch:
            time.sleep(interval)
            print(_json(look()), flush=True)
    elif watch:
        with Live(rendered(seen), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                live.update(rendered(look()), refresh=True)
    else:
        console.print(rendered(seen), soft_wrap=not console.is_terminal)
    raise typer.Exit(1 if seen.wrong else 0)


def _json(seen: Status) -> str:
    return json.dumps(dataclasses.asdict(seen))
