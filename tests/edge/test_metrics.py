from __future__ import annotations

import re
import socket
import time
import urllib.request
from contextlib import ExitStack

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge import exposition
from edge.errors import ConfigError
from edge.exposition import serve_metrics
from edge.metrics import DropReason, KeyCause, RateReport, Stage, Tally
from edge.spending import Spending
from secondsight.verdict import Cause, Verdict


def test_the_summary_has_every_count_and_encode_times_in_milliseconds() -> None:
    tally = Tally(captured=5, sent=3, acked=2, unacknowledged=1, machine_bytes=30)
    tally.drop(DropReason.UPLINK_SLOW)
    tally.drop(DropReason.refused("NACK_REASON_ORDER"))
    tally.encode_us.extend([1000, 2000, 3000])
    summary = tally.summary()
    assert summary["dropped"] == {"nack_order": 1, "uplink_slow": 1}
    assert summary["encode_ms"] == {"p50": 2.0, "p95": 2.9}
    assert (summary["captured"], summary["sent"], summary["acked"]) == (5, 3, 2)


def test_a_tally_without_frames_has_no_encode_times() -> None:
    assert Tally().summary()["encode_ms"] == {"p50": None, "p95": None}
    assert "not connected" in Tally().status_line()


def test_prometheus_sees_the_tally_as_it_stands(free_port: int) -> None:
    tally = Tally(captured=7, machine_bytes=100, connected=True)
    tally.drop(DropReason.ENCODER_SLOW)
    with serve_metrics(f"127.0.0.1:{free_port}", {"door": tally}):
        tally.captured = 8
        with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/metrics") as response:
            text = response.read().decode()
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    camera = ("camera", "door")
    assert samples["secondsight_edge_frames_captured_total", camera] == 8
    assert samples["secondsight_edge_frames_dropped_total", camera, ("reason", "encoder_slow")] == 1
    assert samples["secondsight_edge_layer_bytes_total", camera, ("layer", "machine")] == 100
    assert samples["secondsight_edge_connected", camera] == 1


def test_what_was_asked_for_and_what_was_spent_stand_side_by_side(free_port: int) -> None:
    # Clocks that stand still: neither a day nor the minute ends in between.
    tally = Tally(spending=Spending(wall=lambda: 1_700_049_600.0, clock=lambda: 0.0))
    tally.spending.machine(750_000)
    assert "last minute 100.0 kbit/s, today 0.75 MB" in tally.status_line()
    tally.rate = RateReport(80.0, 5_000_000, 64.0, machine_level=1, human_level=3)
    tally.key_requests[KeyCause.SERVER] += 1
    assert "last minute 100.0 of 64.0 kbit/s, today 0.75 of 5.00 MB, levels 1 and 3" in tally.status_line()
    summary = tally.summary()
    assert summary["key_requests"] == {"server": 1}
    assert summary["uplink"] == {
        "last_minute_kbit_s": 100.0,
        "peak_minute_kbit_s": 100.0,
        "bytes_by_day": tally.spending.days,
        "target_kbit_s": 80.0,
        "daily_budget_bytes": 5_000_000,
    }
    with (
        serve_metrics(f"127.0.0.1:{free_port}", {"door": tally}),
        urllib.request.urlopen(f"http://127.0.0.1:{free_port}/metrics") as response,
    ):
        text = response.read().decode()
    for line in (
        'secondsight_edge_uplink_minute_bits{camera="door"} 6e+06',
        'secondsight_edge_uplink_today_bytes{camera="door"} 750000.0',
        'secondsight_edge_rate_target_bits{camera="door"} 80000.0',
        'secondsight_edge_rate_allowed_bits{camera="door"} 64000.0',
        'secondsight_edge_daily_budget_bytes{camera="door"} 5e+06',
        'secondsight_edge_key_requests_total{camera="door",cause="server"} 1.0',
    ):
        assert line in text


def test_an_address_for_metrics_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"), serve_metrics("9410", {}):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "198.51.100.1"])
def test_an_address_for_metrics_that_cannot_be_had_is_refused_with_its_remedy(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"{host}:{taken.getsockname()[1]}"
        told = rf"{re.escape(address)} \(.*\): give a free HOST:PORT .*--metrics"
        with pytest.raises(ConfigError, match=told), serve_metrics(address, {}):
            pass


def test_connections_to_the_metrics_that_stay_silent_are_closed(
    free_port: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exposition._Scrape, "timeout", 0.2)
    with serve_metrics(f"127.0.0.1:{free_port}", {"door": Tally(captured=3)}), ExitStack() as held:
        address = ("127.0.0.1", free_port)
        silent = [held.enter_context(socket.create_connection(address)) for _ in range(5)]
        silent[0].sendall(b"GET /metrics HT")
        assert [connection.recv(1) for connection in silent] == [b""] * 5
        with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/metrics") as response:
            assert b'frames_captured_total{camera="door"} 3.0' in response.read()
    assert capfd.readouterr().err == ""


def test_stages_clocks_and_verdicts_are_shown_by_camera(free_port: int) -> None:
    door, gate = Tally(), Tally()
    door.spent(Stage.ENCODE, 0.2)
    door.spent(Stage.ENCODE, 3.0)
    gate.spent(Stage.ROUND_TRIP, 0.01)
    gate.hear_clock(time.time() - 5.0)
    gate.verdict = Verdict(Cause.NO_CREDITS)
    for _ in range(2):
        gate.connect()
    with (
        serve_metrics(f"127.0.0.1:{free_port}", {"door": door, "gate": gate}),
        urllib.request.urlopen(f"http://127.0.0.1:{free_port}/metrics") as response,
    ):
        text = response.read().decode()
    for line in (
        'secondsight_edge_stage_seconds_bucket{camera="door",le="0.25",stage="encode"} 1.0',
        'secondsight_edge_stage_seconds_count{camera="door",stage="encode"} 2.0',
        'secondsight_edge_stage_seconds_count{camera="gate",stage="round_trip"} 1.0',
        'secondsight_edge_verdict{camera="gate",cause="no_credits",part="server"} 1.0',
        'secondsight_edge_verdict{camera="door",cause="none",part="none"} 1.0',
        'secondsight_edge_reconnects_total{camera="gate"} 1.0',
        'secondsight_edge_reconnects_last_hour{camera="gate"} 1.0',
    ):
        assert line in text
    assert gate.clock_offset == pytest.approx(5.0, abs=0.5)


def test_a_clock_that_is_set_is_followed() -> None:
    tally = Tally()
    for _ in range(5):
        tally.hear_clock(time.time())
    for _ in range(60):
        tally.hear_clock(time.time() - 10.0)
    assert tally.clock_offset == pytest.approx(10.0, abs=0.5)
    tally.hear_clock(time.time() + 3.0)
    assert tally.clock_offset == pytest.approx(-3.0, abs=0.5)
