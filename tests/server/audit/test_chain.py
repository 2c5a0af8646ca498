"""The audit on disk: what is written, what survives, and what is noticed."""

from __future__ import annotations

import json
import multiprocessing
import random
import shutil
import stat
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from server.audit import chain as chain_module
from server.audit.chain import HEAD, Chain, records, segments
from server.audit.record import Event, Outcome, Record, Subject
from server.audit.verify import Anchor, verify
from server.errors import AuditError


def view(request: str = "", outcome: Outcome = Outcome.REFUSED, **fields: str) -> Event:
    return Event(subject=Subject.HUMAN_VIEW, outcome=outcome, principal="anna", request=request, **fields)


def chain(folder: Path, segment_bytes: int = 2000, keep: timedelta | None = None) -> Chain:
    return Chain(folder, segment_bytes=segment_bytes, keep=keep)


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty records in several segments."""
    folder = tmp_path_factory.mktemp("twenty") / "audit"
    appending = chain(folder)
    for number in range(20):
        appending.append(view(reason=f"reason {number}"))
    assert len(segments(folder)) > 3
    return folder


@pytest.fixture
def audit(twenty: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(twenty, tmp_path / "audit"))


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_records_follow_one_another_through_segments_and_restarts(audit: Path) -> None:
    chain(audit).append(view(camera="gate", frame="1-1", reason="a parcel — «lost»\n"))
    read = list(records(audit))
    assert [record.sequence for record in read] == list(range(1, 22))
    assert all(after.previous == before.hash for before, after in pairwise(read))
    assert read[-1].event.reason == "a parcel — «lost»\n"
    found = verify(audit)
    assert (found.faults, found.notices, found.records) == ([], [], 21)
    assert found.last == Anchor(21, read[-1].hash)
    for path in (audit, *audit.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def _append(folder: Path, times: int) -> None:
    appending = chain(folder)
    for _ in range(times):
        appending.append(view())


def test_processes_append_side_by_side(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    writers = [
        multiprocessing.get_context("fork").Process(target=_append, args=(folder, 8)) for _ in range(3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    found = verify(folder)
    assert (found.faults, found.notices, found.records) == ([], [], 24)


def test_a_writer_that_is_killed_leaves_a_sound_audit(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    chain(folder).append(view())
    chance = random.Random(7)
    for _ in range(6):
        writer = multiprocessing.get_context("fork").Process(target=_append, args=(folder, 10_000))
        writer.start()
        before = verify(folder).records
        while (found := verify(folder)).last.sequence <= before:
            assert found.faults == []
        time.sleep(chance.uniform(0, 0.02))
        writer.kill()
        writer.join()
        chain(folder).append(view())
        assert verify(folder).faults == []


def change_a_reason(folder: Path) -> None:
    path = folder / segments(folder)[1]
    path.write_bytes(path.read_bytes().replace(b"reason ", b"season ", 1))


def change_a_reason_and_its_hash(folder: Path) -> None:
    path = folder / segments(folder)[1]
    first, *others = lines(path)
    record = Record.from_line(first)
    forged = Record.after(record.sequence - 1, record.previous, view(reason="forged"))
    path.write_bytes(b"".join([forged.line(), *others]))


def remove_a_record(folder: Path) -> None:
    path = folder / segments(folder)[1]
    first, _, *others = lines(path)
    path.write_bytes(b"".join([first, *others]))


def swap_two_records(folder: Path) -> None:
    path = folder / segments(folder)[1]
    first, second, *others = lines(path)
    path.write_bytes(b"".join([second, first, *others]))


def repeat_a_record(folder: Path) -> None:
    path = folder / segments(folder)[1]
    first, *others = lines(path)
    path.write_bytes(b"".join([first, first, *others]))


def remove_a_segment(folder: Path) -> None:
    (folder / segments(folder)[1]).unlink()


def remove_the_first_segment(folder: Path) -> None:
    (folder / segments(folder)[0]).unlink()


def cut_off_the_last_record(folder: Path) -> None:
    path = folder / segments(folder)[-1]
    path.write_bytes(b"".join(lines(path)[:-1]))


def cut_off_the_last_segment(folder: Path) -> None:
    (folder / segments(folder)[-1]).unlink()


def remove_the_head(folder: Path) -> None:
    (folder / HEAD).unlink()


TAMPERING = [
    change_a_reason,
    change_a_reason_and_its_hash,
    remove_a_record,
    swap_two_records,
    repeat_a_record,
    remove_a_segment,
    remove_the_first_segment,
    cut_off_the_last_record,
    cut_off_the_last_segment,
    remove_the_head,
]


@pytest.mark.parametrize("tamper", TAMPERING, ids=lambda tamper: tamper.__name__)
def test_what_was_changed_is_found(audit: Path, tamper: Callable[[Path], None]) -> None:
    tamper(audit)
    assert verify(audit).faults


@pytest.mark.parametrize("tamper", TAMPERING[:-1], ids=lambda tamper: tamper.__name__)
def test_what_was_changed_is_found_also_after_more_records(
    audit: Path, tamper: Callable[[Path], None]
) -> None:
    tamper(audit)
    for _ in range(3):
        chain(audit).append(view())
    assert verify(audit).faults


def test_a_chain_that_was_written_anew_is_found_by_an_anchor_alone(audit: Path, tmp_path: Path) -> None:
    noted = verify(audit).last
    forged = tmp_path / "forged"
    for number in range(22):
        chain(forged).append(view(reason=f"reason {number + 1}"))
    assert verify(forged).faults == []
    assert verify(forged, (noted,)).faults
    assert verify(audit, (noted,)).faults == []
    assert verify(audit, (Anchor.parse(f"30:{'0' * 64}"),)).faults == [
        "records 21 to 30 were cut off at the end"
    ]
    with pytest.raises(AuditError, match="no anchor"):
        Anchor.parse("30")


@pytest.mark.parametrize("left", [b"", b'{"sequence":', b"\0" * 300, b"\n\n"])
def test_what_a_crash_leaves_behind_the_head_is_dropped_and_told(audit: Path, left: bytes) -> None:
    last = audit / segments(audit)[-1]
    with last.open("ab") as file:
        file.write(left)
    chain(audit).append(view())
    found = verify(audit)
    assert found.faults == []
    assert found.records == (22 if left else 21)
    assert len(found.notices) == bool(left)


def test_a_whole_record_behind_the_head_is_taken_in(audit: Path) -> None:
    head = (audit / HEAD).read_bytes()
    chain(audit).append(view(reason="written, and then the power failed"))
    (audit / HEAD).write_bytes(head)
    chain(audit).append(view())
    found = verify(audit)
    assert found.faults == []
    assert "written, and then the power failed" in [record.event.reason for record in records(audit)]


def test_a_first_record_that_a_crash_cut_off_is_begun_again(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    chain(folder).append(view())
    (folder / HEAD).unlink()
    (path,) = folder.glob("*.jsonl")
    path.write_bytes(path.read_bytes()[:40])
    chain(folder).append(view())
    chain(folder).append(view())
    subjects = [record.event.subject for record in records(folder)]
    assert subjects == [Subject.RECOVERED, Subject.HUMAN_VIEW, Subject.HUMAN_VIEW]
    (fault,) = verify(folder).faults
    assert "set aside" in fault


def test_a_scrambled_segment_is_never_written_into(audit: Path) -> None:
    last = audit / segments(audit)[-1]
    scrambled = last.read_bytes()[::-1]
    last.write_bytes(scrambled)
    (audit / HEAD).unlink()
    for number in range(3):
        chain(audit).append(view(reason=f"after {number}"))
    assert [record.event.reason for record in records(audit)][-3:] == ["after 0", "after 1", "after 2"]
    (aside,) = audit.glob("*.unreadable")
    assert aside.read_bytes() == scrambled
    assert any("set aside" in fault for fault in verify(audit).faults)


def test_a_missing_head_is_on_record(audit: Path) -> None:
    (audit / HEAD).unlink()
    chain(audit).append(view())
    found = verify(audit)
    assert found.faults == []
    assert any("head was missing" in notice for notice in found.notices)


def test_requests_that_nothing_ended_are_noted(audit: Path) -> None:
    chain(audit).append(view("one", Outcome.ASKED))
    chain(audit).append(view("two", Outcome.ASKED))
    chain(audit).append(view("one", Outcome.DELIVERED))
    (notice,) = verify(audit).notices
    assert "1 requests were granted" in notice and "22" in notice


def test_old_records_go_and_the_chain_tells_so(audit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anchor = verify(audit).last
    at = next(iter(records(audit))).at

    class Later(chain_module.datetime):  # type: ignore[name-defined,misc]
        @classmethod
        def now(cls, tz: object = None) -> object:
            return chain_module._moment(at) + timedelta(days=11)

    monkeypatch.setattr(chain_module, "datetime", Later)
    kept = Chain(audit, segment_bytes=2000, keep=timedelta(days=10))
    kept.append(view(reason="late"))
    found = verify(audit, (Anchor(1, "0" * 64), anchor))
    assert found.faults == []
    assert found.first > 1
    assert any("older than what is kept" in notice for notice in found.notices)
    retained = [record for record in records(audit) if record.event.subject is Subject.RETENTION]
    assert [record.event.detail for record in retained] == [f"records before {found.first} are removed"]
    # What goes beyond what retention says is found all the same.
    (audit / segments(audit)[0]).unlink()
    assert verify(audit).faults


def test_what_cannot_be_written_is_not_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.write_text("a file where the folder should be")
    with pytest.raises(OSError, match="audit"):
        chain(folder).append(view())
    with pytest.raises(AuditError, match="no audit"):
        verify(folder)


def test_a_line_is_plain_json(audit: Path) -> None:
    first = json.loads(lines(audit / segments(audit)[0])[0])
    assert first["subject"] == "human_view"
    assert first["previous"] == "0" * 64


def test_a_changed_first_record_does_not_end_the_audit(audit: Path) -> None:
    last = segments(audit)[-1]
    (audit / last).write_bytes((audit / last).read_bytes().replace(b"anna", b"emma", 1))
    going_on = chain(audit, keep=timedelta(days=1))
    for number in range(3):
        going_on.append(view(reason=f"afterwards {number}"))
    assert [record.event.reason for record in records(audit)][-1] == "afterwards 2"
    (fault,) = [fault for fault in verify(audit).faults if "hash" in fault]
    assert last in fault


def test_a_record_that_could_not_be_read_again_is_not_written(audit: Path) -> None:
    with pytest.raises(ValueError, match="could not be read again"):
        chain(audit).append(view(detail="x" * 70_000))
    chain(audit).append(view(detail="x" * 60_000))
    assert verify(audit).faults == []
