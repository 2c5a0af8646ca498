"""`secondsight audit` at a terminal."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from server.audit.chain import Chain
from server.audit.command import app
from server.audit.record import FIELDS, Event, Outcome, Subject
from server.config import ServerConfig
from server.errors import AuditError


def audit(data: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(app, [*arguments, "--data", str(data)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def data(tmp_path: Path) -> Path:
    appending = Chain.of(ServerConfig(data=tmp_path))
    for camera, reason in (("gate", "a parcel"), ("yard", "=HYPERLINK(1)"), ("gate", "a cat")):
        appending.append(
            Event(subject=Subject.HUMAN_VIEW, outcome=Outcome.DELIVERED, camera=camera, reason=reason)
        )
    return tmp_path


def test_verify_tells_the_last_record_and_whether_anything_was_changed(data: Path) -> None:
    sound = audit(data, "verify")
    assert sound.exit_code == 0
    assert "3 records, from 1 to 3" in sound.stdout
    anchor = sound.stdout.splitlines()[-1].removeprefix("last: ")
    assert audit(data, "verify", "--anchor", anchor).exit_code == 0
    (segment,) = (data / "audit").glob("*.jsonl")
    segment.write_bytes(segment.read_bytes().replace(b"a cat", b"a dog"))
    changed = audit(data, "verify")
    assert changed.exit_code == 1
    assert "CHANGED: 000000000001.jsonl line 3" in changed.stderr


def test_export_by_camera_and_day(data: Path) -> None:
    exported = [json.loads(line) for line in audit(data, "export", "--camera", "gate").stdout.splitlines()]
    assert [record["reason"] for record in exported] == ["a parcel", "a cat"]
    # One day, unless midnight lies between them.
    first, last = (record["at"][:10] for record in exported)
    assert len(audit(data, "export", "--from", first, "--to", last).stdout.splitlines()) == 3
    assert audit(data, "export", "--to", "2020-01-01").stdout == ""
    assert audit(data, "export", "--from", "2999-01-01T12:00:00Z").stdout == ""
    with pytest.raises(AuditError, match="2026-01-31"):
        audit(data, "export", "--from", "yesterday")


def test_export_for_a_spreadsheet_that_computes_nothing(data: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(audit(data, "export", "--format", "csv").stdout)))
    assert tuple(rows[0]) == FIELDS
    assert [row["reason"] for row in rows] == ["a parcel", "'=HYPERLINK(1)", "a cat"]


def test_where_there_is_no_audit_that_is_told(tmp_path: Path) -> None:
    for command in ("verify", "export"):
        with pytest.raises(AuditError, match="--data"):
            audit(tmp_path, command)
