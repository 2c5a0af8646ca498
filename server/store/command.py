"""Run an embedded store (Valkey) in the foreground."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from secondsight.logs import LogFormat, set_up_logging
from server.store.config import StoreConfig, parse_size
from server.store.embedded import EmbeddedStore

app = typer.Typer(add_completion=False)


@app.command()
def store(
    data: Annotated[
        Path, typer.Option(file_okay=False, help="Folder of the store's files. One store owns it.")
    ] = Path("data/store"),
    port: Annotated[int, typer.Option(help="TCP port on 127.0.0.1; 0 takes a free one.")] = 6379,
    unix_socket: Annotated[
        Path | None, typer.Option(help="Listen on this socket, open to this user alone, in place of a port.")
    ] = None,
    max_memory: Annotated[
        str, typer.Option(help="Above this, the layers with the shortest time to live go first.")
    ] = "512mb",
) -> None:
    """Run a store until it is told to end (SIGTERM, or Ctrl-C)."""
    set_up_logging(LogFormat.TEXT)
    config = StoreConfig(data=data, port=port, unix_socket=unix_socket, max_memory=parse_size(max_memory))
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_end.set())
    with EmbeddedStore(config) as running:
        typer.echo(f"store ready at {running.url} (data in {data})")
        told_to_end.wait()
    typer.echo("store ended")
