"""Options that the client's commands share, and what they print."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from secondsight.client import Client

ServerOption = Annotated[
    str | None,
    typer.Option(
        envvar="SECONDSIGHT_URL", help="HTTP address of the server.", show_default="http://127.0.0.1:8080"
    ),
]
GrpcOption = Annotated[
    str | None,
    typer.Option(
        envvar="SECONDSIGHT_SERVER",
        help="The server's gRPC address, HOST:PORT.",
        show_default="port 50051 of the server",
    ),
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(envvar="SECONDSIGHT_API_KEY", help="For a server that asks for one.", show_envvar=True),
]
CaOption = Annotated[
    Path | None,
    typer.Option(
        envvar="SECONDSIGHT_CA",
        help="Certificate authority of an https:// server, PEM.",
        show_default="those of the web",
    ),
]
ReasonOption = Annotated[
    str | None,
    typer.Option(
        help="What it is for, in one line; the server's audit keeps it. Servers with users want one."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="Print JSON, one document a line.")]
CameraArgument = Annotated[str, typer.Argument(help="Name of the camera.")]

_PLAIN_WIDTH: Final = 200


@contextmanager
def asking(
    server: str | None, api_key: str | None, ca: Path | None, grpc: str | None = None
) -> Iterator[Client]:
    """A client with these options, over those of the environment."""
    from secondsight.client import Client, Settings

    told = Settings.from_environment()
    settings = replace(
        told, server=server or told.server, api_key=api_key or told.api_key, grpc=grpc or told.grpc
    )
    if ca is not None:
        settings = replace(settings, tls=replace(settings.tls, ca=ca))
    with Client(settings) as client:
        yield client


def print_json(value: Any) -> None:
    """A value as one line of JSON; whoever reads lines gets it at once."""
    from secondsight.client._documents import document_of

    sys.stdout.write(json.dumps(document_of(value), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_table(table: Table) -> None:
    """A table; in a file it is not folded to the width of a terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    console.print(table)


def parsed_moment(text: str | None) -> datetime | None:
    """A moment as people type it: ISO 8601; this machine's time when it names no zone."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time: give 2026-01-31T12:00:00Z, or 2026-01-31 12:00"
        ) from error


def local(moment: datetime) -> str:
    """A moment in this machine's time."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
