"""What the server tells, as values. Times are aware, in UTC; boxes and points are pixels from the upper left corner."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from secondsight import store_keys
from secondsight.client._documents import named

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")

CameraState = Literal["live", "stale", "offline"]
ViewName = Literal["machine", "human"]
LayerName = Literal["machine", "enhancement"]
ExportKind = Literal["results", "views", "layers", "marks"]
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
    """What a camera's edge told of itself in the last minute. Dropped frames are counted by reason."""

    source: str
    spool: Spool | None
    dropped: dict[str, int] = field(default_factory=dict)
    dropped_last_minute: dict[str, int] = field(default_factory=dict)
    reconnects_last_hour: int = 0


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
    slow_detail: str | None = None
    awaiting: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recogniser:
    """What a task recognises with, as the worker of it that began last has told.

    Attributes:
        recogniser: name and version of the model.
        labels: all that it may give.
        device: where it runs, cpu or cuda.
        inputs: what becomes of a picture before the model sees it, in words.
    """

    task: str
    recogniser: str
    labels: tuple[str, ...]
    device: str
    inputs: str


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
        captured_at: by the camera host's clock.
        model: of the codec.
        slices: of the enhancement layer, that a human view is made from.
        request: of a human view, its name in the server's audit.
        etag: of exactly these bytes.
        told: all headers of the server about it, by their names in lower case without ``secondsight-``.
    """

    camera: str
    frame: str
    view: str
    media_type: str
    captured_at: datetime | None = None
    model: str | None = None
    slices: int | None = None
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
class Page(Generic[T]):
    """Some of a list, and the address of the next page; None on the last one."""

    items: tuple[T, ...]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A stretch of time in which frames were captured.

    Attributes:
        labels: the most of each label in one frame.
        label_frames: in how many frames each label was.
        alerts: frames that somebody has to look at.
        viewable: which views there still are: human (and machine), machine, or none.
    """

    start: datetime
    seconds: int
    frames: int
    machine_bytes: int
    enhancement_bytes: int
    labels: dict[str, int]
    label_frames: dict[str, int]
    alerts: int
    first_frame: str
    last_frame: str
    viewable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time in which frames were due and none was captured."""

    since: datetime = field(metadata=named("from"))
    until: datetime = field(metadata=named("to"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A camera's history. Buckets without a frame are left out.

    Attributes:
        oldest, newest: of the whole history.
        bucket_s: length of a bucket, seconds.
    """

    camera: str
    task: str
    since: datetime = field(metadata=named("from"))
    until: datetime = field(metadata=named("to"))
    oldest: datetime | None
    newest: datetime | None
    bucket_s: int
    buckets: tuple[Bucket, ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Something that was seen for a while; without tracking, all of a label that was seen without a break.

    Attributes:
        best_frame: the frame that shows it best.
        frames, most: in how many frames it was, and how many there were at once.
    """

    thing: str
    track: str | None
    label: str
    first_seen_at: datetime
    last_seen_at: datetime
    zones: tuple[str, ...]
    alert: bool
    best_score: float
    best_frame: str
    frames: int
    most: int
    viewable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenThing:
    """The detection that a mark is about, as it was then."""

    label: str
    score: float
    recogniser: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What one person said of one thing in a frame.

    Attributes:
        verdict: right, wrong or missed.
        label: what it is; None where there is nothing.
        detection: its place in the result's detections; None when it was missed.
    """

    id: str
    camera: str
    frame: str
    captured_at: datetime
    verdict: Verdict
    label: str | None
    box: Box
    detection: int | None
    seen: SeenThing | None
    note: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSummary:
    """What was said of one label.

    Attributes:
        corrected: of the wrong ones those that are something else.
        precision, precision_low, precision_high: share of the judged detections that were right, and the ends of its
            95 % interval; None where none was judged.
    """

    label: str
    right: int
    wrong: int
    corrected: int
    missed: int
    precision: float | None
    precision_low: float | None
    precision_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarksSummary:
    """How often results were right, as far as operators have looked."""

    frames: int
    labels: tuple[LabelSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A clip or an export.

    Attributes:
        kind: clip, results, views, layers or marks.
        state: queued, running, done, failed, or another way in which it has ended.
        progress: 0 to 1.
        left_out: frames that could not be shown; nothing is put in their place.
        bytes, media_type, file_name: of the file; None until it is there.
    """

    id: str
    kind: str
    state: str
    progress: float
    cameras: tuple[str, ...]
    since: datetime = field(metadata=named("from"))
    until: datetime = field(metadata=named("to"))
    view: str
    owner: str
    asked_at: datetime
    ended_at: datetime | None
    kept_until: datetime | None
    frames: int
    left_out: int
    left_out_by_reason: dict[str, int]
    failure: str | None
    bytes: int | None
    media_type: str | None
    file_name: str | None
    links: dict[str, str]

    @property
    def has_ended(self) -> bool:
        """Whether it is neither waiting nor being made."""
        return self.state not in ("queued", "running")


Document = dict[str, Any]
"""An answer that has no value of its own yet, as the server wrote it."""
