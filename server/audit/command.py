"""Look after the audit: who saw whom, when and why."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.errors import AuditError

if TYPE_CHECKING:
    from server.audit.record import Record

app = typer.Typer(add_completion=False, no_args_is_help=True)

Data = Annotated[
    Path, typer.Option(envvar="SECONDSIGHT_DATA_FOLDER", help="The server's folder, with the audit in it.")
]
_DATA = Path("data")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Format(StrEnum):
    """What records are exported as."""

    JSONL = "jsonl"
    CSV = "csv"


@app.command("verify")
def verify_audit(
    anchor: Annotated[
        list[str] | None,
        typer.Option(metavar="SEQUENCE:HASH", help="A last record noted earlier; may be repeated."),
    ] = None,
    data: Data = _DATA,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Follow the chain of records and tell where it was changed. Exits with 1 when it was.

    The last line names the last record. Noted elsewhere, it proves later (--anchor) that nothing up to it was changed.
    """
    from server.audit.verify import Anchor, verify

    found = verify(_folder(data), tuple(Anchor.parse(text) for text in anchor or ()))
    if as_json:
        told = {
            "unchanged": not found.faults,
            "records": found.records,
            "first": found.first,
            "last": str(found.last),
            "notices": list(map(str, found.notices)),
            "faults": list(map(str, found.faults)),
        }
        typer.echo(json.dumps(told))
        raise typer.Exit(1 if found.faults else 0)
    for notice in found.notices:
        typer.echo(f"note: {notice}")
    for fault in found.faults:
        typer.echo(f"CHANGED: {fault}", err=True)
    typer.echo(f"{found.records} records, from {found.first} to {found.last.sequence}")
    typer.echo(f"last: {found.last}")
    if found.faults:
        raise typer.Exit(1)


@app.command("export")
def export_audit(
    since: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First day or moment, UTC, ISO 8601.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Last day, or moment before which, UTC.")
    ] = None,
    camera: Annotated[str | None, typer.Option(help="Records of this camera alone.")] = None,
    format: Annotated[Format, typer.Option(help="What to write.")] = Format.JSONL,
    as_json: Annotated[bool, typer.Option("--json", help="As --format jsonl: a record a line.")] = False,
    data: Data = _DATA,
) -> None:
    """Write records to standard output, oldest first."""
    from server.audit.chain import records

    folder = _folder(data)
    first, end = _moment(since, time.min), _moment(until, time.max)
    wanted = (
        record
        for record in records(folder)
        if (first is None or datetime.fromisoformat(record.at) >= first)
        and (end is None or datetime.fromisoformat(record.at) <= end)
        and camera in (None, record.event.camera)
    )
    (_write_csv if format is Format.CSV and not as_json else _write_jsonl)(wanted)


def _write_jsonl(records: Iterable[Record]) -> None:
    for record in records:
        sys.stdout.write(json.dumps(record.fields(), ensure_ascii=False) + "\n")


def _write_csv(records: Iterable[Record]) -> None:
    from server.audit.record import FIELDS

    writer = csv.writer(sys.stdout)
    writer.writerow(FIELDS)
    for record in records:
        writer.writerow([_inert(value) for value in record.fields().values()])


def _inert(value: str | int) -> str | int:
    """Spreadsheets would compute what begins like a formula, and reasons are typed by people."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _folder(data: Path) -> Path:
    from server.config import ServerConfig

    folder = ServerConfig(data=data).audit_folder
    if not folder.is_dir():
        raise AuditError(f"there is no audit in {str(folder)!r}; --data names the server's folder")
    return folder


def _moment(text: str | None, of_day: time) -> datetime | None:
    if text is None:
        return None
    try:
        if len(text) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(text), of_day, UTC)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise AuditError(f"{text!r} is no day or moment; use 2026-01-31 or 2026-01-31T12:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
