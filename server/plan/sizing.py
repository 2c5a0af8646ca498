"""The arithmetic of a plan. Sizes in bytes, times in seconds.

Memory of the store per camera = frames kept x (machine layer + fields + entry) + results kept x (result + entry)
+ frames per second x time to live x share kept x (enhancement layer + key) + minutes of history + things kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from secondsight.v1 import analytics_pb2, frame_pb2
from server.config import ServerConfig

ENTRY_BYTES: Final = 80
"""What an entry of a stream takes beside its value, in Valkey 9.1 (measured; tests/server/plan holds it)."""
KEY_ENTRY_BYTES: Final = 26
"""An entry of the stream of key frames."""
STRING_BYTES: Final = 120
"""What a key with a time to live takes beside its value."""
MINUTE_BYTES: Final = 98
"""What a camera's history takes for a minute in which three labels were seen, its share of the hours included."""
THING_BYTES: Final = 183
"""A thing or an alert in it."""
HEADROOM: Final = 1.25
"""Of the memory to be given, over the memory in use: buffers, fragmentation, the rewrite of the append-only file."""

_GRPC_BYTES: Final = 5 + 9 + 9  # gRPC's prefix, and the HTTP/2 frames of a message and of its Ack
_ACK_BYTES: Final = 40  # one Ack, coming back
_MOMENT_MS: Final = 1_800_000_000_500
"""A time whose protobuf is as long as most are: the present one's varies with its fraction of a second."""
_PACKET_BYTES: Final = 20 + 20 + 12  # IPv4, TCP with time stamps
_SEGMENT_BYTES: Final = 1448
_SPOOL_PAGE_BYTES: Final = 4096  # SQLite's: a row's last page is half full in the mean
_SPOOL_ROW_BYTES: Final = 150

Policy = Literal["every", "nth", "detection", "off"]


@dataclass(frozen=True)
class Load:
    """What is planned for.

    Attributes:
        enhancement_share: of the frames whose enhancement layer is kept.
        enhancement_at_edge: it is kept at the camera's site, not in the server's store.
        retention: seconds for which it is kept.
        outage: seconds without an uplink that a spool is to bridge.
        detections: in a frame, in the mean.
        longest_group: frames from one key frame to the next, at most.
    """

    cameras: int
    frames_per_second: float
    machine_bytes: float
    enhancement_bytes: float
    enhancement_share: float
    enhancement_at_edge: bool
    retention: float
    outage: float
    detections: float
    longest_group: int = 250


@dataclass(frozen=True)
class Plan:
    """What that takes. Of the whole site where it does not say per camera."""

    frames_held: int
    """Per camera."""
    results_held: int
    enhancements_held: int
    store_bytes: int
    """In use."""
    store_memory: int
    """To be given (--store-memory)."""
    edge_store_bytes: int
    """Per camera, where enhancement layers stay at the edge."""
    uplink_kbit_s: float
    """Per camera, with all headers."""
    uplink_machine_kbit_s: float
    """Per camera, of machine layers alone."""
    spool_bytes: int
    """Per camera."""
    connections: int
    """To the server's store, from one server with its worker and the edges."""


def plan(load: Load, config: ServerConfig) -> Plan:
    """Work it out, for a server of this configuration."""
    # A group goes as a whole: just before it does, there is one more than has to be.
    frames = config.frames_kept + min(load.longest_group, config.group_frames)
    kept_per_second = load.frames_per_second * load.enhancement_share
    enhancements = math.ceil(kept_per_second * load.retention)
    frame_bytes = load.machine_bytes + _frame_fields() + ENTRY_BYTES
    streams = (
        frames * frame_bytes
        + math.ceil(frames / load.longest_group) * KEY_ENTRY_BYTES
        + config.results_kept * (result_bytes(load.detections) + ENTRY_BYTES)
    )
    streams += history_bytes(config)
    layers = enhancements * (load.enhancement_bytes + STRING_BYTES)
    in_use = load.cameras * (streams + (0 if load.enhancement_at_edge else layers))
    sent = load.machine_bytes + _frame_fields()
    if not load.enhancement_at_edge:
        sent += load.enhancement_share * (load.enhancement_bytes + STRING_BYTES)
    headers = _GRPC_BYTES + _ACK_BYTES + _PACKET_BYTES * (math.ceil(sent / _SEGMENT_BYTES) + 1)
    spooled = load.machine_bytes + load.enhancement_bytes + _SPOOL_ROW_BYTES + _SPOOL_PAGE_BYTES / 2
    edges = 0 if load.enhancement_at_edge or not load.enhancement_share else load.cameras
    return Plan(
        frames_held=frames,
        results_held=config.results_kept,
        enhancements_held=enhancements,
        store_bytes=round(in_use),
        store_memory=math.ceil(in_use * HEADROOM),
        edge_store_bytes=round(layers) if load.enhancement_at_edge else 0,
        uplink_kbit_s=(sent + headers) * load.frames_per_second * 8 / 1e3,
        uplink_machine_kbit_s=load.machine_bytes * load.frames_per_second * 8 / 1e3,
        spool_bytes=math.ceil(spooled * load.frames_per_second * load.outage),
        # A worker waits for each of its cameras on one; an append takes one for a moment.
        connections=2 * load.cameras + edges,
    )


def history_bytes(config: ServerConfig) -> int:
    """What the timeline of a camera takes in the store, of one task, once it is full."""
    if not config.history_days:
        return 0
    return config.history_days * 24 * 60 * MINUTE_BYTES + 2 * config.things_kept * THING_BYTES


def share_kept(policy: Policy, nth: int, detection_share: float) -> float:
    """Of the frames whose enhancement layer a policy keeps."""
    return {"every": 1.0, "nth": 1.0 / nth, "detection": detection_share, "off": 0.0}[policy]


def _frame_fields() -> int:
    """Bytes of a stored frame beside its machine layer, names and times of usual length."""
    frame = frame_pb2.Frame(
        id=frame_pb2.FrameId(camera_id="warehouse-door", session=1000, sequence=10**6),
        pts_us=10**11,
        machine_layer=bytes(5000),
        enhancement=frame_pb2.EnhancementReceipt(
            bytes=20_000,
            slices=5,
            place=frame_pb2.ENHANCEMENT_PLACE_STORE,
            retention=frame_pb2.RETENTION_ROUTINE,
        ),
        timing=frame_pb2.EdgeTiming(encode_us=100_000, queue_us=150_000),
        reference_session=1000,
        reference_sequence=10**6,
    )
    for moment in (frame.captured_at, frame.stored_at, frame.enhancement.expires_at):
        moment.FromMilliseconds(_MOMENT_MS)
    return frame.ByteSize() - 5000


def result_bytes(detections: float) -> float:
    """Bytes of a stored result with so many detections."""
    result = analytics_pb2.RecognitionResult(
        frame=frame_pb2.FrameId(camera_id="warehouse-door", session=1000, sequence=10**6),
        recogniser="ssd-mobilenet-v1",
        width=1920,
        height=1080,
        machine_bytes=5000,
        timing=analytics_pb2.ServerTiming(decode_us=50_000, recognise_us=50_000),
        key_frame=frame_pb2.FrameId(camera_id="warehouse-door", session=1000, sequence=10**6),
        enhancement=frame_pb2.EnhancementReceipt(bytes=20_000, slices=5),
    )
    for moment in (result.captured_at, result.recognised_at, result.enhancement.expires_at):
        moment.FromMilliseconds(_MOMENT_MS)
    bare = result.ByteSize()
    box = analytics_pb2.Box(x_min=100.5, y_min=100.5, x_max=200.5, y_max=200.5)
    result.detections.add(label="person", score=0.9, box=box)
    return bare + detections * (result.ByteSize() - bare)
