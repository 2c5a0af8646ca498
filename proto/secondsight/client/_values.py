"""What the server tells, as values. Times are aware, in UTC; boxes and points are pixels from the upper left corner."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from secondsight import store_keys

if TYPE_CHECKING:
    from PIL import Image

CameraState = Literal["live", "stale", "offline"]
ViewName = Literal["machine", "human"]
LayerName = Literal["machine", "enhancement"]
ImageFormat = Literal["jpeg", "webp", "png", "avif"]
Verdict = Literal["right", "wrong", "missed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """Encoded frames on the disk of a camera's host."""

    frames: int
    bytes: int
    limit_bytes: int
    oldest_seconds: float | None
    full: bool
    failing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What a camera's edge told of itself in the last minute."""

    source: str
    spool: Spool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A camera that has stored a frame.

    Attributes:
        last_frame_at: by the server's clock.
        state, since: how it does, and since when; None from a server that does not say.
        slow: the part that is slow: camera, encoder, network or server; None for none.
        awaiting: frames that are stored and not yet recognised.
    """

    camera: str
    last_frame_at: datetime
    session: int
    edge: Edge | None = None
    state: CameraState | None = None
    since: datetime | None = None
    slow: str | None = None
    awaiting: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Corners."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """Pixels of one thing, as COCO's compressed run lengths: ``pycocotools.mask.decode(asdict(mask))``.

    Attributes:
        size: height and width of the whole picture.
    """

    size: tuple[int, int]
    counts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keypoint:
    """A named place of a thing."""

    name: str
    x: float
    y: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One thing that was seen.

    Attributes:
        score: 0 to 1.
        track: its name, the same from frame to frame; None when it is not tracked.
        zones: of the camera, that it is in.
    """

    label: str
    score: float
    box: Box
    track: str | None = None
    zones: tuple[str, ...] = ()
    mask: Mask | None = None
    keypoints: tuple[Keypoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that a tracked thing did. `kind` is new, update or end."""

    kind: str
    track: str
    detection: Detection
    first_seen_at: datetime
    last_seen_at: datetime
    alert: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The pixels of one number of a frame's map."""

    number: int
    label: str
    is_thing: bool
    score: float
    pixels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one recognition task saw in one frame.

    Attributes:
        captured_at: by the camera host's clock.
        alert: somebody has to look at this frame, by the server's rules.
        failure: why nothing could be recognised, when that is so.
        missed: results of the camera before this one were no longer kept when they were to be sent; with subscribed
            results only.
        numbers_png: a PNG of one channel, the number of each pixel's segment; with subscribed results only.
    """

    camera: str
    frame: str
    captured_at: datetime
    recogniser: str
    recognised_at: datetime
    width: int
    height: int
    detections: tuple[Detection, ...]
    task: str = store_keys.DEFAULT_TASK
    segments: tuple[Segment, ...] = ()
    events: tuple[Event, ...] = ()
    alert: bool = False
    failure: str | None = None
    decode_us: int = 0
    recognise_us: int = 0
    missed: bool = False
    numbers_png: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enhancement:
    """The enhancement layer. `state` is kept, expired, evicted, at_edge, unreachable or not_stored."""

    state: str
    bytes: int
    slices: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame. `result` is None until it is recognised.

    Attributes:
        frame: its name, SESSION-SEQUENCE.
        key_frame: what it is predicted from; None in a key frame.
    """

    frame: str
    camera: str
    session: int
    sequence: int
    captured_at: datetime
    pts_us: int
    key_frame: str | None
    machine_bytes: int
    enhancement: Enhancement
    result: Result | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where bytes came from.

    Attributes:
        request: of a human view, its name in the server's audit.
        etag: of exactly these bytes.
        told: all headers of the server about it, by their names in lower case without ``secondsight-``.
    """

    camera: str
    frame: str
    view: str
    media_type: str
    key_frame: str | None = None
    machine_bytes: int | None = None
    enhancement_bytes: int | None = None
    request: str | None = None
    etag: str | None = None
    told: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A picture of a frame, compressed as `provenance.media_type` says."""

    content: bytes = field(repr=False)
    provenance: Provenance

    def picture(self) -> Image.Image:
        """The picture, RGB."""
        from PIL import Image

        with Image.open(io.BytesIO(self.content)) as image:
            return image.convert("RGB")

    def save(self, path: Path | str) -> Path:
        """Write the bytes as they came."""
        written = Path(path)
        written.write_bytes(self.content)
        return written


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBytes:
    """A raw bitstream. That of a predicted frame takes the same layer of `provenance.key_frame` to be decoded."""

    content: bytes = field(repr=False)
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Frames, newest first, and the address of the next page; None on the last one."""

    frames: tuple[Frame, ...]
    next: str | None


Document = dict[str, Any]
"""An answer that has no value of its own yet, as the server wrote it."""
