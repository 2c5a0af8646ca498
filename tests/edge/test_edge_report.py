"""What an edge tells its server of itself."""

from __future__ import annotations

from edge.metrics import DropReason, SourceState, SpoolReport, Tally
from edge.uplink import edge_report
from secondsight.verdict import Cause, Verdict


def test_losses_reconnects_and_the_verdict_are_told() -> None:
    tally = Tally(source=SourceState.GIVING, verdict=Verdict(Cause.ENCODER_SLOW, "3 of 50 frames"))
    tally.spool = SpoolReport(frames=2, bytes=900, limit_bytes=1000, oldest_s=1.5, full=False, failing=True)
    tally.drop(DropReason.ENCODER_SLOW, 3)
    tally.drop(DropReason.RATE)
    for _ in range(3):
        tally.connect()
    report = edge_report(tally)
    assert (report.source, report.verdict, report.reconnects_last_hour) == ("giving", "encoder_slow", 2)
    assert dict(report.dropped) == dict(report.dropped_last_minute) == {"encoder_slow": 3, "rate": 1}
    assert (report.spool.frames, report.spool.failing, report.spool.oldest.ToMilliseconds()) == (
        2,
        True,
        1500,
    )


def test_an_edge_that_does_well_tells_little() -> None:
    report = edge_report(Tally(source=SourceState.GIVING))
    assert report.SerializeToString() == type(report)(source="giving").SerializeToString()


def test_what_was_lost_long_ago_is_told_of_the_whole_time_alone() -> None:
    tally = Tally()
    tally.dropped[DropReason.SPOOL_FULL] = 9
    report = edge_report(tally)
    assert dict(report.dropped) == {"spool_full": 9}
    assert not report.dropped_last_minute
