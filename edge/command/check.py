"""`secondsight edge check`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.command.given import Given
from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.site_check import Finding


def check(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="SECONDSIGHT_CONFIG",
            help="A site file; without one, the camera of the options before `check`.",
        ),
    ] = None,
    secrets: Annotated[
        Path | None,
        typer.Option(envvar=["SECONDSIGHT_SECRETS", "CREDENTIALS_DIRECTORY"], help="Folder of secrets."),
    ] = None,
    patience: Annotated[
        float, typer.Option(help="Seconds for one answer of a camera, a server or a store.", min=0.1)
    ] = 15.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Tell what is wrong with a site and how to mend it, without starting it. Exit code 1 if anything is."""
    findings = asyncio.run(_findings(context.find_object(Given), config, secrets, patience))
    wrong = any(finding.level == "error" for finding in findings)
    if as_json:
        typer.echo(
            json.dumps({"ok": not wrong, "findings": [asdict(finding) for finding in findings]}, indent=2)
        )
    else:
        _print(findings)
    raise typer.Exit(1 if wrong else 0)


async def _findings(
    given: Given | None, config: Path | None, secrets: Path | None, patience_s: float
) -> list[Finding]:
    from edge.site_check import Finding, Level, check_site, halves
    from edge.site_file import read_site

    given = given or Given()
    path = config or given.config
    try:
        if path is None:
            site, found = given.one_camera(), "the options of one camera"
        else:
            site = read_site(path, secrets or given.secrets)
            found = f"{path}: {len(site.cameras)} cameras"
    except ConfigError as error:
        faults = (halves(line) for line in str(error).splitlines())
        return [Finding(Level.ERROR, "configuration", problem, remedy) for problem, remedy in faults]
    return [Finding(Level.OK, "configuration", found), *await check_site(site, patience_s)]


def _print(findings: list[Finding]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    colours = {"ok": "green", "warning": "yellow", "error": "bold red"}
    table = Table(box=box.SIMPLE_HEAD)
    for title in ("", "part", "found", "to do"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        level = f"[{colours[finding.level]}]{finding.level}[/]"
        table.add_row(level, *(escape(text) for text in (finding.about, finding.found, finding.remedy)))
    console = Console()
    # In a file or a journal it is not folded to the width of a terminal.
    (console if console.is_terminal else Console(width=240)).print(table)
