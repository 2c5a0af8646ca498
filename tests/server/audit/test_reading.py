"""The audit read back: newest first, page by page, a bounded stretch at a time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.audit import chain as chain_module
from server.audit import reading
from server.audit.chain import Chain, records, segments
from server.audit.reading import AuditPage, Place, Sought, read_back, sought_records
from server.audit.record import Event, Outcome, Record, Subject
from server.errors import InvalidCursorError

COUNT = 60
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


class _Clock(datetime):
    """A minute goes by from record to record."""

    minutes = 0

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        cls.minutes += 1
        return BEGAN + timedelta(minutes=cls.minutes - 1)


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty records in several segments, a minute apart, lines of very different lengths."""
    folder = tmp_path_factory.mktemp("sixty") / "audit"
    appending = Chain(folder, segment_bytes=12_000)
    lengths = random.Random(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.audit.record.datetime", _Clock)
        for number in range(COUNT):
            appending.append(
                Event(
                    subject=Subject.HUMAN_VIEW if number % 3 else Subject.LOGIN,
                    outcome=Outcome.ASKED if number % 2 else Outcome.REFUSED,
                    principal="anna" if number % 5 else "otto",
                    camera="gate" if number % 4 else "yard",
                    reason="é" * lengths.randrange(800),
                )
            )
    assert len(segments(folder)) > 3
    return folder


def pages(folder: Path, sought: Sought, limit: int, most: int = reading.MOST_LOOKED_AT) -> list[AuditPage]:
    found = [read_back(folder, sought, limit=limit, most=most)]
    while (further := found[-1].further) is not None:
        found.append(read_back(folder, sought, limit=limit, before=Place.parse(str(further)), most=most))
    return found


def numbers(found: list[AuditPage]) -> list[int]:
    return [record.sequence for page in found for record in page.records]


@pytest.mark.parametrize("block", [700, 1000, 4096, 64 * 1024])
@pytest.mark.parametrize("limit", [1, 7, 60, 500])
def test_pages_tell_every_record_once(
    audit: Path, monkeypatch: pytest.MonkeyPatch, block: int, limit: int
) -> None:
    longest = max(len(line) for line in chain_module.lines(audit) for line in [line[2]])
    monkeypatch.setattr(reading, "_BLOCK", max(block, longest))
    found = pages(audit, Sought(), limit)
    assert numbers(found) == list(range(COUNT, 0, -1))
    assert all(len(page.records) <= limit for page in found)


@pytest.mark.parametrize(
    "sought",
    [
        Sought(principal="otto"),
        Sought(camera="yard", outcome=Outcome.REFUSED),
        Sought(subject=Subject.LOGIN),
        Sought(since=BEGAN + timedelta(minutes=20)),
        Sought(until=BEGAN + timedelta(minutes=20)),
        Sought(since=BEGAN + timedelta(minutes=13), until=BEGAN + timedelta(minutes=31), principal="anna"),
        Sought(principal="nobody"),
    ],
    ids=str,
)
def test_what_is_sought_is_found_as_reading_everything_finds_it(audit: Path, sought: Sought) -> None:
    def means(record: Record) -> bool:
        event, at = record.event, BEGAN + timedelta(minutes=record.sequence - 1)
        return (
            (sought.principal is None or event.principal == sought.principal)
            and (sought.camera is None or event.camera == sought.camera)
            and (sought.subject is None or event.subject == sought.subject)
            and (sought.outcome is None or event.outcome == sought.outcome)
            and (sought.since is None or at >= sought.since)
            and (sought.until is None or at < sought.until)
        )

    expected = [record.sequence for record in records(audit) if means(record)]
    assert numbers(pages(audit, sought, 4)) == expected[::-1]
    assert [record.sequence for record in sought_records(audit, sought)] == expected


def test_one_page_looks_at_a_bounded_number_of_records(audit: Path) -> None:
    found = pages(audit, Sought(principal="nobody"), 10, most=16)
    assert len(found) == 4
    assert [page.back_to for page in found] == [
        (BEGAN + timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for minutes in (44, 28, 12)
    ] + [None]
    assert (
        numbers(pages(audit, Sought(principal="otto"), 3, most=16))
        == [record.sequence for record in records(audit) if record.event.principal == "otto"][::-1]
    )


def test_what_is_unreadable_is_counted_and_what_is_being_written_is_not(audit: Path, tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    for name in segments(audit):
        (folder / name).write_bytes((audit / name).read_bytes())
    first, *_, last = segments(folder)
    (folder / first).write_bytes((folder / first).read_bytes().replace(b"anna", b"emma", 1))
    with (folder / last).open("ab") as file:
        file.write(b'{"sequence": 61, "at"')
    page = read_back(folder, Sought(), limit=500)
    assert (len(page.records), page.unreadable) == (COUNT - 1, 1)


def test_a_segment_that_went_meanwhile_ends_the_search(audit: Path, tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    for name in segments(audit)[-2:]:
        (folder / name).write_bytes((audit / name).read_bytes())
    gone = Place(segments(audit)[0].partition(".")[0], 10_000)
    assert read_back(folder, Sought(), limit=5, before=gone) == AuditPage([], None, None, 0)
    assert read_back(tmp_path / "none", Sought(), limit=5) == AuditPage([], None, None, 0)


@pytest.mark.parametrize("cursor", ["", "x", "!!!!", "MTox", str(Place("0" * 12, 5))[:-2] + "=="])
def test_cursors_of_others_are_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursorError):
        Place.parse(cursor)
