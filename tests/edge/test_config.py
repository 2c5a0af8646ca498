from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import pytest

from edge.config import CaptureConfig, EdgeConfig, EnhancementConfig, RateConfig, SpoolConfig
from edge.errors import ConfigError

NAN: Final = math.nan


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"camera_id": "Front Door"}, "camera name"),
        ({"server": "localhost"}, "HOST:PORT"),
        ({"server": "localhost:0"}, "HOST:PORT"),
        ({"server": "127.0.0.1:²"}, "HOST:PORT"),
        ({"server": "127.0.0.1:" + 5000 * "1"}, "HOST:PORT"),
        ({"server": "http://127.0.0.1:50051"}, "HOST:PORT"),
        ({"max_unacknowledged": 0}, "at least 1"),
        ({"backoff_cap_s": 0.0}, "above 0"),
        ({"status_interval_s": 0.0}, "status_interval_s is 0.0: give seconds above 0"),
        ({"status_interval_s": -1.0}, "above 0"),
        ({"status_interval_s": NAN}, "above 0"),
        ({"keepalive_time_s": 0.0}, "above 0"),
        ({"keepalive_timeout_s": -1.0}, "above 0"),
        ({"store_backoff_base_s": 0.0}, "above 0"),
        ({"grace_s": -1.0}, "grace_s is -1.0: give seconds, 0 or more"),
        ({"flush_timeout_s": -1.0}, "0 or more"),
        ({"flush_timeout_s": NAN}, "0 or more"),
        ({"drain_timeout_s": -1.0}, "0 or more"),
        ({"trace_share": 1.1}, "0 to 1"),
        ({"trace_share": -0.1}, "0 to 1"),
        ({"trace_share": NAN}, "0 to 1"),
        ({"longest_group": 0}, "at least 1"),
        ({"rate": RateConfig(kbit_s=1), "keep_all": True}, "--keep-all"),
        ({"rate": RateConfig(daily_mb=1)}, "--state"),
        ({"rate": RateConfig(kbit_s=1, both_layers=True)}, "--store"),
        ({"delivery": "complete"}, "--spool"),
        ({"keep_all": True, "spool": SpoolConfig(Path("spool"))}, "--delivery complete"),
        (
            {"rate": RateConfig(kbit_s=1, least_frame_rate=5), "capture": CaptureConfig(frame_rate=2)},
            "--least-frame-rate",
        ),
    ],
)
def test_an_impossible_option_is_named_with_its_remedy(options: dict[str, Any], named: str) -> None:
    good: dict[str, Any] = {"camera_id": "door", "source": "clip.mp4", "server": "127.0.0.1:1"}
    EdgeConfig(**good)
    with pytest.raises(ConfigError, match=named):
        EdgeConfig(**(good | options))


@pytest.mark.parametrize(
    "options",
    [
        {"speed": -1.0},
        {"speed": NAN},
        {"speed": math.inf},
        {"frame_rate": 0.0},
        {"frame_rate": NAN},
        {"max_frames": 0},
        {"max_side": 8},
        {"max_side": 9000},
        {"hidden": (((0.0, 0.0), (1.0, 1.0)),)},
        {"hidden": (((0.0, 0.0), (640.0, 0.0), (640.0, 480.0)),)},
        {"hidden": (((0.0, 0.0), (float("nan"), 0.0), (1.0, 1.0)),)},
    ],
)
def test_an_impossible_capture_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        CaptureConfig(**options)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "bit rate or a daily budget"),
        ({"kbit_s": 0.0}, "kilobits per second above 0"),
        ({"kbit_s": NAN}, "kilobits per second above 0"),
        ({"daily_mb": NAN}, "megabytes above 0"),
        ({"daily_mb": -1.0}, "megabytes above 0"),
        ({"kbit_s": 1.0, "least_frame_rate": 0.0}, "frames per second above 0"),
        ({"kbit_s": 1.0, "bucket_s": 0.0}, "bucket_s of rate control is 0.0: give seconds above 0"),
        ({"kbit_s": 1.0, "key_memory_s": 0.0}, "seconds above 0"),
        ({"kbit_s": 1.0, "least_spread_s": 0.0}, "seconds above 0"),
        ({"kbit_s": 1.0, "down_dwell_s": -1.0}, "seconds, 0 or more"),
        ({"kbit_s": 1.0, "up_dwell_s": 9.0, "longest_dwell_s": 8.0}, "at least the 9 s of up_dwell_s"),
        ({"kbit_s": 1.0, "still_room": 1.5}, "share of the bucket"),
        ({"kbit_s": 1.0, "still_room": NAN}, "share of the bucket"),
        ({"kbit_s": 1.0, "full_change": 0.0}, "share of the picture"),
        ({"kbit_s": 1.0, "margin": -0.1}, "share of the rate"),
        ({"kbit_s": 1.0, "margin": 1.0}, "share of the rate"),
        ({"kbit_s": 1.0, "step_ratio": 1.0}, "number above 1"),
        ({"kbit_s": 1.0, "settle_frames": 0}, "at least 1"),
    ],
)
def test_an_impossible_rate_is_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        RateConfig(**options)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"nth": 0}, "at least 1"),
        ({"verdict_s": 0.0}, "above 0"),
        ({"reply_patience_s": -1.0}, "0 or more"),
        ({"routine_s": 7200, "detection_s": 3600}, "no class may live shorter"),
    ],
)
def test_an_impossible_life_of_enhancement_layers_is_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        EnhancementConfig(**options)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"max_bytes": 0}, "65536"), ({"max_age_s": 0.0}, "max_age_s"), ({"retry_s": -1.0}, "retry_s")],
)
def test_an_impossible_spool_is_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        SpoolConfig(Path("spool"), **options)


@pytest.mark.parametrize(
    ("delivery", "max_age_s", "expected"),
    [("live", None, 60.0), ("complete", None, None), ("live", 5.0, 5.0), ("complete", 5.0, 5.0)],
)
def test_a_live_camera_does_not_send_what_is_old(
    delivery: Any, max_age_s: float | None, expected: float | None
) -> None:
    spool = SpoolConfig(Path("spool"), max_age_s=max_age_s)
    assert (
        EdgeConfig("door", "clip.mp4", "127.0.0.1:1", spool=spool, delivery=delivery).spool_age_s == expected
    )
