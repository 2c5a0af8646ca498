"""What the server counts, for Prometheus.

The label `camera` is bounded: cameras of which frames are stored are counted under it, until the store forgets them.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from server.flow import Flows

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
FRAMES_BEYOND_PACE: Final = Counter(
    "secondsight_frames_beyond_pace", "Frames that came faster than a camera may send."
)
STREAMS_REFUSED: Final = Counter(
    "secondsight_streams_refused",
    "Ingest streams ended with RESOURCE_EXHAUSTED: too many streams, hellos or frames (flood).",
    ["limit"],
)
BACKLOG: Final = Gauge("secondsight_backlog_frames", "Stored frames that await recognition.", ["camera"])
UPLINKS: Final = Gauge("secondsight_uplinks", "Open ingest streams.")
SUBSCRIPTIONS: Final = Gauge("secondsight_subscriptions", "Open Subscribe calls.")
EVENT_STREAMS: Final = Gauge("secondsight_event_streams", "Open event streams (SSE).")
EVENT_STREAMS_STUCK: Final = Counter(
    "secondsight_event_streams_stuck", "Event streams ended because their reader took nothing for long."
)
EVENTS_DROPPED: Final = Counter(
    "secondsight_events_dropped", "Results that event streams passed over because their reader was slow."
)
STORE_RETRIES: Final = Counter("secondsight_store_retries", "Attempts at the store that failed.")
STORE_FAILING: Final = Gauge(
    "secondsight_store_failing",
    "1 while the store does not do this: away, full, read_only, not_replicated, or refuses for another reason.",
    ["operation", "reason"],
)
STORE_SECONDS: Final = Histogram(
    "secondsight_store_seconds",
    "Until the store has done this, all attempts together. A claim waits for frames.",
    ["operation"],
    buckets=_SECONDS,
)
STORE_LET_GO: Final = Counter(
    "secondsight_store_let_go", "Frames and results that a full store let go of before their time."
)
BATCH_PICTURES: Final = Histogram(
    "secondsight_batch_pictures", "Pictures of one call of the recogniser.", buckets=(1, 2, 4, 8, 16, 32)
)
FRAMES_PASSED_OVER: Final = Counter(
    "secondsight_frames_passed_over",
    "Frames that the store let go of before a task other than the default one had recognised them.",
    ["camera"],
)
FRAMES_GIVEN_UP: Final = Counter(
    "secondsight_frames_given_up", "Frames that ended worker after worker.", ["camera", "task"]
)
RECOGNISER: Final = Gauge(
    "secondsight_recogniser", "1 for what this worker recognises with.", ["task", "recogniser", "device"]
)
LEASES: Final = Gauge("secondsight_leases", "Cameras that this worker has.", ["task"])
LEASES_LOST: Final = Counter(
    "secondsight_leases_lost", "Cameras that this worker lost, because it was too slow to say it is there."
)
REFERENCES: Final = Counter(
    "secondsight_references", "Looks for a decoded key frame in memory: hit or miss.", ["outcome"]
)
UPLINK_SECONDS: Final = Histogram(
    "secondsight_uplink_seconds",
    "First write at the edge to acceptance here, across two clocks.",
    buckets=_SECONDS,
)
WAIT_SECONDS: Final = Histogram(
    "secondsight_wait_seconds", "From the store until a worker takes the frame up.", buckets=_SECONDS
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
ENHANCEMENT_REPLIES: Final = Counter(
    "secondsight_enhancement_replies", "Answers of edges to requests for enhancement layers.", ["answer"]
)
ENHANCEMENT_SECONDS: Final = Histogram(
    "secondsight_enhancement_seconds",
    "From a request on an uplink to the enhancement layer.",
    buckets=(*_SECONDS, 30.0),
)
ENHANCEMENTS_RETAINED: Final = Counter(
    "secondsight_enhancements_retained",
    "Frames whose enhancement layers were to be kept for longer.",
    ["camera", "retention"],
)
CALLERS_REFUSED: Final = Counter(
    "secondsight_callers_refused", "Requests and calls without credentials that would do.", ["protocol"]
)
AUDIT_FAILURES: Final = Counter(
    "secondsight_audit_failures", "Records of the audit that could not be written."
)
JOBS: Final = Gauge("secondsight_jobs", "Clips and exports that are kept, by state.", ["state"])
JOBS_BYTES: Final = Gauge("secondsight_jobs_bytes", "Of their files.")
JOB_SECONDS: Final = Histogram(
    "secondsight_job_seconds",
    "From the beginning of a clip or an export to its end.",
    ["kind", "state"],
    buckets=(1, 5, 15, 60, 300, 900, 3600, 14400),
)

STORE_UP: Final = Gauge("secondsight_store_up", "1 when the store answered at the last look.")
STORE_MEMORY: Final = Gauge(
    "secondsight_store_memory_bytes", "Memory that the store uses, all nodes together."
)
STORE_MEMORY_LIMIT: Final = Gauge(
    "secondsight_store_memory_limit_bytes", "Memory that it may use; 0 when it has no limit."
)
STORE_EVICTED: Final = Gauge(
    "secondsight_store_evicted_keys", "Keys that it gave up for want of memory, since its start."
)
CAMERAS: Final = Gauge("secondsight_cameras", "Cameras that the store knows.")
WORKERS: Final = Gauge("secondsight_workers", "Workers that are there.", ["task"])
LAG: Final = Gauge(
    "secondsight_lag_frames", "Stored frames that await a task, as the store counts them.", ["camera", "task"]
)
DEAD_LETTERS: Final = Gauge("secondsight_dead_letters", "Frames given up that are kept.", ["camera", "task"])

CERTIFICATE_EXPIRY: Final = Gauge(
    "secondsight_certificate_expiry_timestamp_seconds", "When the server's certificate ends; 0 without TLS."
)

FLOWS: Final = Flows()
REGISTRY.register(FLOWS)

_BY_CAMERA: Final = (
    FRAMES_STORED,
    FRAMES_REPEATED,
    FRAMES_RECOGNISED,
    FRAMES_FAILED,
    LAYER_BYTES,
    ENHANCEMENTS_RETAINED,
    BACKLOG,
    FRAMES_PASSED_OVER,
    FRAMES_GIVEN_UP,
    LAG,
    DEAD_LETTERS,
)


def forget_camera(camera_id: str) -> None:
    """Let go of all series of a camera."""
    FLOWS.forget(camera_id)
    for metric in _BY_CAMERA:
        metric.remove_by_labels({"camera": camera_id})
