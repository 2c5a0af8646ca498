"""Make TLS certificates for a server and its cameras, for trials and small sites."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


@app.callback()
def _certificates() -> None:
    """A callback keeps `make` a command of its own."""


@app.command()
def make(
    folder: Annotated[Path, typer.Argument(help="Where the authority and its certificates lie.")],
    host: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or address by which edges and browsers reach the server; several times for several.",
            show_default="those of the present certificate",
        ),
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(help="Also a certificate for this camera or subscriber; several times for several."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="For which the certificates hold.")] = 397,
    as_json: Annotated[bool, typer.Option("--json", help="Print the files as JSON.")] = False,
) -> None:
    """Make a server's certificate, and cameras'; the authority that signs them at first use.

    Call it again to renew them; a server that runs shows the new one at the next connection. ca.pem goes to every edge
    and browser. ca-key.pem stays where it is: who has it can be any server and any camera.
    """
    from secondsight.certificates.authority import Authority, CertificatesError

    try:
        authority = Authority(folder)
        made = [authority.make_server(host or [], days)]
        made += [authority.make_client(name, days) for name in camera or []]
    except (CertificatesError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    if as_json:
        pairs = [{"certificate": str(file), "key": str(key_of(file))} for file in made]
        typer.echo(json.dumps({"authority": str(authority.certificate_file), "made": pairs}))
        return
    typer.echo(f"authority {authority.certificate_file}")
    for file in made:
        typer.echo(f"made {file} and {key_of(file)}")


def key_of(certificate: Path) -> Path:
    """The file of its key."""
    return certificate.with_name(f"{certificate.stem}-key.pem")
