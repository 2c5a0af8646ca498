from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.config import CaptureConfig, EdgeConfig, EnhancementConfig, RateConfig, SpoolConfig
from edge.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"camera_id": "Front Door"}, "camera name"),
        ({"server": "localhost"}, "HOST:PORT"),
        ({"server": "localhost:0"}, "HOST:PORT"),
        ({"max_unacknowledged": 0}, "at least 1"),
        ({"backoff_cap_s": 0.0}, "above 0"),
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
        {"frame_rate": 0.0},
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
        ({"daily_mb": -1.0}, "megabytes above 0"),
        ({"kbit_s": 1.0, "least_frame_rate": 0.0}, "frames per second above 0"),
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
