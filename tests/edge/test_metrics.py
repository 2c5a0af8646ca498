from __future__ import annotations

import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge.errors import ConfigError
from edge.metrics import DropReason, Tally, serve_metrics


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
    with serve_metrics(f"127.0.0.1:{free_port}", "door", tally):
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


def test_an_address_for_metrics_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"), serve_metrics("9410", "door", Tally()):
        pass
