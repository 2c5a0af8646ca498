"""What the server counts, for Prometheus. The label `camera` is bounded: only stored cameras are counted under it."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

FRAMES_STORED: Final = Counter(
    "secondsight_frames_stored",
    "Frames appended to the store: key frames and predicted ones.",
    ["camera", "type"],
)
FRAMES_REPEATED: Final = Counter(
    "secondsight_frames_repeated", "Frames that were stored already.", ["camera"]
)
FRAMES_REFUSED: Final = Counter("secondsight_frames_refused", "Frames answered with a Nack.", ["reason"])
KEY_REQUESTS: Final = Counter(
    "secondsight_key_requests", "Key frames asked for, by what was lacking.", ["reason"]
)
FRAMES_RECOGNISED: Final = Counter("secondsight_frames_recognised", "Results published.", ["camera"])
FRAMES_FAILED: Final = Counter("secondsight_frames_failed", "Results that carry a failure.", ["camera"])
LAYER_BYTES: Final = Counter(
    "secondsight_layer_bytes", "Bytes of layers taken in or fetched.", ["camera", "layer"]
)
BACKLOG: Final = Gauge("secondsight_backlog_frames", "Stored frames that await recognition.", ["camera"])
UPLINKS: Final = Gauge("secondsight_uplinks", "Open ingest streams.")
SUBSCRIPTIONS: Final = Gauge("secondsight_subscriptions", "Open Subscribe calls.")
STORE_RETRIES: Final = Counter("secondsight_store_retries", "Attempts at the store that failed.")
REFERENCES: Final = Counter(
    "secondsight_references", "Looks for a decoded key frame in memory: hit or miss.", ["outcome"]
)
DECODE_SECONDS: Final = Histogram("secondsight_decode_seconds", "Machine layer to picture.", buckets=_SECONDS)
REFERENCE_SECONDS: Final = Histogram(
    "secondsight_reference_seconds",
    "Layers of a key frame to what others are decoded against.",
    buckets=_SECONDS,
)
RECOGNISE_SECONDS: Final = Histogram(
    "secondsight_recognise_seconds", "Picture to detections.", buckets=_SECONDS
)
HUMAN_VIEW_SECONDS: Final = Histogram(
    "secondsight_human_view_seconds", "Both layers to picture.", buckets=_SECONDS
)
CAPTURE_TO_RESULT_SECONDS: Final = Histogram(
    "secondsight_capture_to_result_seconds",
    "Capture to published result, across two clocks.",
    buckets=_SECONDS,
)
CALLERS_REFUSED: Final = Counter(
    "secondsight_callers_refused", "Requests and calls without credentials that would do.", ["protocol"]
)
AUDIT_FAILURES: Final = Counter("secondsight_audit_failures", "Records of the audit that could not be written.")
