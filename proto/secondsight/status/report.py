"""From metrics to what people want to know: each camera, the store, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from secondsight.status.scrape import Scrape
from secondsight.verdict import Cause, Part

SILENT_S: Final = 60.0
"""A camera whose last frame is older is said to be silent, as the alert on it does."""

MEMORY_SHARE: Final = 0.85
SPOOL_SHARE: Final = 0.8

# When edge and server disagree: who measures at the place itself is believed. An edge cannot tell a slow store from a
# slow network, the server can; the server cannot tell a still scene from a camera that is away, the edge can.
_BELIEVED: Final = (
    ("edge", Cause.SOURCE_SILENT),
    ("edge", Cause.NO_CREDITS),
    ("server", Cause.BACKLOG),
    ("server", Cause.STORE_SLOW),
    ("edge", Cause.NOT_CONNECTED),
    ("edge", Cause.SLOW_ANSWERS),
    ("edge", Cause.ENCODER_SLOW),
    ("edge", Cause.FEW_FRAMES),
)


@dataclass(frozen=True)
class CameraStatus:
    """One camera. Rates are over the last minute; None is not known from what was asked."""

    camera: str
    state: str
    frames_in_per_second: float | None
    frames_out_per_second: float | None
    kbit_s: float | None
    lag_frames: int | None
    dropped_last_minute: dict[str, int]
    last_frame_age_s: float | None
    slow_part: Part
    cause: Cause


@dataclass(frozen=True)
class StoreStatus:
    """The store, as the server sees it."""

    up: bool
    memory_bytes: int
    memory_limit_bytes: int
    evicted_keys: int


@dataclass(frozen=True)
class Status:
    """Everything at one moment. `wrong` is empty when all is well."""

    cameras: list[CameraStatus] = field(default_factory=list)
    store: StoreStatus | None = None
    workers: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def report(server: Scrape | None, edges: Sequence[Scrape]) -> Status:
    """What the metrics of a server, of edges, or of both tell."""
    asked = [scrape for scrape in (server, *edges) if scrape is not None]
    wrong = [f"{scrape.address} {scrape.failure}" for scrape in asked if scrape.failure]
    at_edge = {
        camera: scrape for scrape in edges for camera in scrape.by("secondsight_edge_connected", "camera")
    }
    at_server = {} if server is None else server.by("secondsight_camera_connected", "camera")
    cameras = [
        _camera(camera, at_edge.get(camera), server if camera in at_server else None)
        for camera in sorted({*at_edge, *at_server})
    ]
    for camera in cameras:
        wrong += _wrong_with_camera(camera)
    for camera_id, scrape in sorted(at_edge.items()):
        wrong += _wrong_with_spool(camera_id, scrape)
    store, workers = None, {}
    if server is not None and not server.failure:
        store = _store(server)
        workers = {task: round(count) for task, count in server.by("secondsight_workers", "task").items()}
        wrong += _wrong_with_server(server, store, workers)
    return Status(cameras, store, workers, wrong)


def _camera(camera: str, edge: Scrape | None, server: Scrape | None) -> CameraStatus:
    def at_edge(name: str) -> float | None:
        return None if edge is None else edge.value(f"secondsight_edge_{name}", camera=camera)

    def at_server(name: str) -> float | None:
        return None if server is None else server.value(f"secondsight_{name}", camera=camera)

    captured, stored = at_edge("captured_per_second"), at_server("stored_per_second")
    bits = at_server("stored_bits_per_second")
    if bits is None and (minute := at_edge("uplink_minute_bits")) is not None:
        bits = minute / 60
    lag = at_server("backlog_frames")
    recognised = at_server("recognised_per_second")
    cause = _cause(camera, edge, server)
    return CameraStatus(
        camera=camera,
        state=_state(camera, edge, server),
        frames_in_per_second=stored if captured is None else captured,
        frames_out_per_second=at_edge("acked_per_second") if recognised is None else recognised,
        kbit_s=None if bits is None else bits / 1e3,
        lag_frames=None if lag is None else round(lag),
        dropped_last_minute=_dropped(camera, edge, server),
        last_frame_age_s=_age(camera, edge, server),
        slow_part=cause.part,
        cause=cause,
    )


def _state(camera: str, edge: Scrape | None, server: Scrape | None) -> str:
    if edge is not None:
        source = edge.one("secondsight_edge_source_state", "state", camera=camera)
        if source not in (None, "giving"):
            return f"source {source}"
        if edge.value("secondsight_edge_connected", camera=camera) != 1:
            return "not connected"
    if server is not None and server.value("secondsight_camera_connected", camera=camera) != 1:
        return "offline"
    return "running"


def _cause(camera: str, edge: Scrape | None, server: Scrape | None) -> Cause:
    said = {
        "edge": None if edge is None else edge.one("secondsight_edge_verdict", "cause", camera=camera),
        "server": None if server is None else server.one("secondsight_verdict", "cause", camera=camera),
    }
    for who, cause in _BELIEVED:
        if said[who] == cause:
            return cause
    if edge is not None or said["server"] is None:
        return Cause.NONE
    return Cause(said["server"])


def _dropped(camera: str, edge: Scrape | None, server: Scrape | None) -> dict[str, int]:
    dropped: Counter[str] = Counter()
    if edge is not None:
        # What the server refused is counted by the edge, too.
        dropped.update(
            {
                reason: round(count)
                for reason, count in edge.by(
                    "secondsight_edge_frames_dropped_last_minute", "reason", camera=camera
                ).items()
            }
        )
    elif server is not None:
        refused = server.by("secondsight_frames_refused_last_minute", "reason", camera=camera)
        for reason, count in refused.items():
            dropped["nack_" + reason.removeprefix("NACK_REASON_").lower()] += round(count)
    return {reason: count for reason, count in sorted(dropped.items()) if count}


def _age(camera: str, edge: Scrape | None, server: Scrape | None) -> float | None:
    """Against the clock of whoever noted the time."""
    for scrape, prefix in ((server, "secondsight"), (edge, "secondsight_edge")):
        if scrape is None:
            continue
        last = scrape.value(f"{prefix}_last_frame_timestamp_seconds", camera=camera)
        now = scrape.value(f"{prefix}_time_seconds")
        if last is not None and now is not None:
            return max(0.0, now - last)
    return None


def _store(server: Scrape) -> StoreStatus:
    return StoreStatus(
        up=server.value("secondsight_store_up") == 1,
        memory_bytes=round(server.value("secondsight_store_memory_bytes") or 0),
        memory_limit_bytes=round(server.value("secondsight_store_memory_limit_bytes") or 0),
        evicted_keys=round(server.value("secondsight_store_evicted_keys") or 0),
    )


def _wrong_with_camera(camera: CameraStatus) -> list[str]:
    if camera.state == "source ended":
        return []
    if camera.cause is not Cause.NONE:
        return [f"camera {camera.camera}: {camera.slow_part} is slow: {camera.cause.meaning}"]
    if camera.state == "offline":
        return [f"camera {camera.camera}: no uplink is open"]
    if camera.last_frame_age_s is not None and camera.last_frame_age_s > SILENT_S:
        return [f"camera {camera.camera}: no frame for {camera.last_frame_age_s:.0f} s"]
    return []


def _wrong_with_spool(camera: str, edge: Scrape) -> list[str]:
    wrong = []
    if edge.value("secondsight_edge_spool_failing", camera=camera) == 1:
        wrong.append(f"camera {camera}: the spool's disk takes nothing")
    held = edge.value("secondsight_edge_spool_bytes", camera=camera)
    limit = edge.value("secondsight_edge_spool_limit_bytes", camera=camera)
    if held is not None and limit and held > SPOOL_SHARE * limit:
        wrong.append(f"camera {camera}: the spool is {held / limit:.0%} full")
    return wrong


def _wrong_with_server(server: Scrape, store: StoreStatus, workers: dict[str, int]) -> list[str]:
    wrong = []
    if not store.up:
        wrong.append("the store does not answer")
    elif store.memory_limit_bytes and store.memory_bytes > MEMORY_SHARE * store.memory_limit_bytes:
        wrong.append(f"the store's memory is {store.memory_bytes / store.memory_limit_bytes:.0%} used")
    for task, waiting in sorted(server.by("secondsight_lag_frames", "task").items()):
        if waiting and not workers.get(task):
            wrong.append(f"{waiting:.0f} frames await the task {task}, and no worker of it is there")
    if dead := server.total("secondsight_dead_letters"):
        wrong.append(f"{dead:.0f} frames were given up by workers")
    if failures := server.total("secondsight_audit_failures_total"):
        wrong.append(f"the audit could not be written {failures:.0f} times")
    return wrong
