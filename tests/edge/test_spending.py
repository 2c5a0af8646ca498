from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.spending import Ledger, Spending, day_of

NOON = 1_700_049_600.0
TODAY = "2023-11-15"


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def on_file(path: Path) -> dict[str, int]:
    days: dict[str, int] = json.loads(path.read_text())["days"]
    return days


def test_a_minute_and_a_day_are_added_up_and_the_peak_is_kept() -> None:
    wall, clock = Clock(NOON), Clock(0.0)
    spending = Spending(wall, clock, counts_enhancement=False)
    for _ in range(120):
        clock.now += 1
        wall.now += 1
        spending.machine(100)
        spending.enhancement(1000)
    assert (spending.minute_bytes, spending.peak_minute_bytes, spending.today_bytes) == (6000, 6000, 12_000)
    clock.now += 30
    assert spending.minute_bytes == 3000
    clock.now += 60
    assert (spending.minute_bytes, spending.peak_minute_bytes) == (0, 6000)
    assert spending.left_of_day_s == 43_200 - 120
    wall.now = NOON + 43_200
    assert spending.today_bytes == 0
    spending.machine(7)
    assert spending.days == {TODAY: 12_000, "2023-11-16": 7}


def test_enhancement_layers_count_where_their_store_lies_across_the_uplink() -> None:
    spending = Spending(Clock(NOON), Clock(0.0), counts_enhancement=True)
    spending.machine(1)
    spending.enhancement(10)
    assert spending.today_bytes == 11


def test_a_restart_goes_on_with_what_the_day_has_cost(tmp_path: Path) -> None:
    path = tmp_path / "state" / "door.json"
    first = Spending(Clock(NOON), ledger=Ledger(path, step_bytes=1000))
    for _ in range(37):
        first.machine(100)
    first.close()
    assert on_file(path) == {TODAY: 3700}
    second = Spending(Clock(NOON + 60), ledger=Ledger(path, step_bytes=1000))
    assert second.today_bytes == 3700
    second.machine(1)
    assert second.days == {TODAY: 3701}


def test_an_edge_that_is_killed_has_counted_too_much_rather_than_too_little(tmp_path: Path) -> None:
    path = tmp_path / "door.json"
    spending = Spending(Clock(NOON), ledger=Ledger(path, step_bytes=1000))
    for sent in range(100, 5000, 100):
        spending.machine(100)
        assert sent <= on_file(path)[TODAY] <= sent + 1000


def test_the_file_is_written_now_and_then_and_not_for_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "door.json"
    spending = Spending(Clock(NOON), ledger=Ledger(path, step_bytes=1000))
    versions = set()
    for _ in range(1000):
        spending.machine(10)
        versions.add(path.stat().st_ino)
        versions.add(path.read_text())
    assert len({version for version in versions if isinstance(version, str)}) <= 11


def test_old_days_are_forgotten(tmp_path: Path) -> None:
    path, wall = tmp_path / "door.json", Clock(NOON)
    spending = Spending(wall, ledger=Ledger(path, step_bytes=1, days_kept=3))
    for _ in range(5):
        spending.machine(1)
        wall.now += 86_400
    spending.close()
    assert list(on_file(path)) == ["2023-11-17", "2023-11-18", "2023-11-19"]


def test_today_is_remembered_after_a_time_in_which_the_clock_was_ahead(tmp_path: Path) -> None:
    path, wall = tmp_path / "door.json", Clock(NOON)
    spending = Spending(wall, ledger=Ledger(path, step_bytes=1, days_kept=3))
    spending.machine(10)
    for ahead in range(400, 405):
        wall.now = NOON + 86_400 * ahead
        spending.machine(1)
    wall.now = NOON
    spending.machine(20)
    spending.close()
    assert Spending(wall, ledger=Ledger(path, step_bytes=1, days_kept=3)).today_bytes == 30
    assert len(on_file(path)) == 3


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"days": 3}', '{"days": {"2023-11-15": "much"}}'])
def test_a_file_that_cannot_be_read_is_begun_anew(
    tmp_path: Path, torn: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "door.json"
    path.write_text(torn)
    spending = Spending(Clock(NOON), ledger=Ledger(path, step_bytes=1))
    assert "begun anew" in caplog.text
    spending.machine(5)
    spending.close()
    assert on_file(path) == {TODAY: 5}


def test_a_folder_that_cannot_be_made_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match="state folder"):
        Ledger(tmp_path / "file" / "door.json", step_bytes=1)


def test_a_file_that_can_no_longer_be_written_stops_no_frame(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    spending = Spending(Clock(NOON), ledger=Ledger(folder / "door.json", step_bytes=1))
    (folder / "door.json").unlink()
    folder.rmdir()
    for _ in range(5):
        spending.machine(10)
    assert spending.today_bytes == 50
    assert caplog.text.count("cannot be written") == 1


def test_days_end_at_midnight_utc() -> None:
    assert [day_of(NOON + 43_199), day_of(NOON + 43_200)] == [TODAY, "2023-11-16"]
