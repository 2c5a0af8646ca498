import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from secondsight.v1 import frame_pb2 as _frame_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CameraState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAMERA_STATE_UNSPECIFIED: _ClassVar[CameraState]
    CAMERA_STATE_LIVE: _ClassVar[CameraState]
    CAMERA_STATE_STALE: _ClassVar[CameraState]
    CAMERA_STATE_OFFLINE: _ClassVar[CameraState]

class StartFrom(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    START_FROM_UNSPECIFIED: _ClassVar[StartFrom]
    START_FROM_LATEST: _ClassVar[StartFrom]
    START_FROM_EARLIEST: _ClassVar[StartFrom]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_NEW: _ClassVar[EventKind]
    EVENT_KIND_UPDATE: _ClassVar[EventKind]
    EVENT_KIND_END: _ClassVar[EventKind]
CAMERA_STATE_UNSPECIFIED: CameraState
CAMERA_STATE_LIVE: CameraState
CAMERA_STATE_STALE: CameraState
CAMERA_STATE_OFFLINE: CameraState
START_FROM_UNSPECIFIED: StartFrom
START_FROM_LATEST: StartFrom
START_FROM_EARLIEST: StartFrom
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_NEW: EventKind
EVENT_KIND_UPDATE: EventKind
EVENT_KIND_END: EventKind

class ListCamerasRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCamerasResponse(_message.Message):
    __slots__ = ("cameras",)
    CAMERAS_FIELD_NUMBER: _ClassVar[int]
    cameras: _containers.RepeatedCompositeFieldContainer[Camera]
    def __init__(self, cameras: _Optional[_Iterable[_Union[Camera, _Mapping]]] = ...) -> None: ...

class Camera(_message.Message):
    __slots__ = ("camera_id", "last_frame_at", "session", "edge", "state", "since", "slow", "slow_detail", "awaiting")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_FRAME_AT_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    SLOW_FIELD_NUMBER: _ClassVar[int]
    SLOW_DETAIL_FIELD_NUMBER: _ClassVar[int]
    AWAITING_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    last_frame_at: _timestamp_pb2.Timestamp
    session: int
    edge: _frame_pb2.EdgeReport
    state: CameraState
    since: _timestamp_pb2.Timestamp
    slow: str
    slow_detail: str
    awaiting: int
    def __init__(self, camera_id: _Optional[str] = ..., last_frame_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., session: _Optional[int] = ..., edge: _Optional[_Union[_frame_pb2.EdgeReport, _Mapping]] = ..., state: _Optional[_Union[CameraState, str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., slow: _Optional[str] = ..., slow_detail: _Optional[str] = ..., awaiting: _Optional[int] = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("camera_ids", "labels", "minimum_score", "resume_after", "start_from", "task")
    class ResumeAfterEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CAMERA_IDS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_SCORE_FIELD_NUMBER: _ClassVar[int]
    RESUME_AFTER_FIELD_NUMBER: _ClassVar[int]
    START_FROM_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    camera_ids: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.RepeatedScalarFieldContainer[str]
    minimum_score: float
    resume_after: _containers.ScalarMap[str, str]
    start_from: StartFrom
    task: str
    def __init__(self, camera_ids: _Optional[_Iterable[str]] = ..., labels: _Optional[_Iterable[str]] = ..., minimum_score: _Optional[float] = ..., resume_after: _Optional[_Mapping[str, str]] = ..., start_from: _Optional[_Union[StartFrom, str]] = ..., task: _Optional[str] = ...) -> None: ...

class SubscribeResponse(_message.Message):
    __slots__ = ("result", "offset", "missed")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    result: RecognitionResult
    offset: str
    missed: bool
    def __init__(self, result: _Optional[_Union[RecognitionResult, _Mapping]] = ..., offset: _Optional[str] = ..., missed: _Optional[bool] = ...) -> None: ...

class RecognitionResult(_message.Message):
    __slots__ = ("frame", "captured_at", "recognised_at", "recogniser", "width", "height", "detections", "machine_bytes", "enhancement", "timing", "failure", "key_frame", "task", "traceparent", "segmentation", "events", "alert", "pts_us")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    RECOGNISED_AT_FIELD_NUMBER: _ClassVar[int]
    RECOGNISER_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    DETECTIONS_FIELD_NUMBER: _ClassVar[int]
    MACHINE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ENHANCEMENT_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    KEY_FRAME_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    SEGMENTATION_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    ALERT_FIELD_NUMBER: _ClassVar[int]
    PTS_US_FIELD_NUMBER: _ClassVar[int]
    frame: _frame_pb2.FrameId
    captured_at: _timestamp_pb2.Timestamp
    recognised_at: _timestamp_pb2.Timestamp
    recogniser: str
    width: int
    height: int
    detections: _containers.RepeatedCompositeFieldContainer[Detection]
    machine_bytes: int
    enhancement: _frame_pb2.EnhancementReceipt
    timing: ServerTiming
    failure: str
    key_frame: _frame_pb2.FrameId
    task: str
    traceparent: str
    segmentation: Segmentation
    events: _containers.RepeatedCompositeFieldContainer[Event]
    alert: bool
    pts_us: int
    def __init__(self, frame: _Optional[_Union[_frame_pb2.FrameId, _Mapping]] = ..., captured_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., recognised_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., recogniser: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., detections: _Optional[_Iterable[_Union[Detection, _Mapping]]] = ..., machine_bytes: _Optional[int] = ..., enhancement: _Optional[_Union[_frame_pb2.EnhancementReceipt, _Mapping]] = ..., timing: _Optional[_Union[ServerTiming, _Mapping]] = ..., failure: _Optional[str] = ..., key_frame: _Optional[_Union[_frame_pb2.FrameId, _Mapping]] = ..., task: _Optional[str] = ..., traceparent: _Optional[str] = ..., segmentation: _Optional[_Union[Segmentation, _Mapping]] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., alert: _Optional[bool] = ..., pts_us: _Optional[int] = ...) -> None: ...

class Detection(_message.Message):
    __slots__ = ("label", "score", "box", "mask", "keypoints", "track", "zones")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    KEYPOINTS_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    ZONES_FIELD_NUMBER: _ClassVar[int]
    label: str
    score: float
    box: Box
    mask: Mask
    keypoints: _containers.RepeatedCompositeFieldContainer[Keypoint]
    track: str
    zones: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, label: _Optional[str] = ..., score: _Optional[float] = ..., box: _Optional[_Union[Box, _Mapping]] = ..., mask: _Optional[_Union[Mask, _Mapping]] = ..., keypoints: _Optional[_Iterable[_Union[Keypoint, _Mapping]]] = ..., track: _Optional[str] = ..., zones: _Optional[_Iterable[str]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("kind", "track", "detection", "first_seen_at", "last_seen_at", "alert")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    DETECTION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEEN_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_AT_FIELD_NUMBER: _ClassVar[int]
    ALERT_FIELD_NUMBER: _ClassVar[int]
    kind: EventKind
    track: str
    detection: Detection
    first_seen_at: _timestamp_pb2.Timestamp
    last_seen_at: _timestamp_pb2.Timestamp
    alert: bool
    def __init__(self, kind: _Optional[_Union[EventKind, str]] = ..., track: _Optional[str] = ..., detection: _Optional[_Union[Detection, _Mapping]] = ..., first_seen_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_seen_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., alert: _Optional[bool] = ...) -> None: ...

class Mask(_message.Message):
    __slots__ = ("height", "width", "counts")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    counts: bytes
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ..., counts: _Optional[bytes] = ...) -> None: ...

class Keypoint(_message.Message):
    __slots__ = ("name", "x", "y", "score")
    NAME_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    name: str
    x: float
    y: float
    score: float
    def __init__(self, name: _Optional[str] = ..., x: _Optional[float] = ..., y: _Optional[float] = ..., score: _Optional[float] = ...) -> None: ...

class Segmentation(_message.Message):
    __slots__ = ("numbers_png", "segments")
    NUMBERS_PNG_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    numbers_png: bytes
    segments: _containers.RepeatedCompositeFieldContainer[Segment]
    def __init__(self, numbers_png: _Optional[bytes] = ..., segments: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("number", "label", "is_thing", "score", "pixels")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    IS_THING_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    number: int
    label: str
    is_thing: bool
    score: float
    pixels: int
    def __init__(self, number: _Optional[int] = ..., label: _Optional[str] = ..., is_thing: _Optional[bool] = ..., score: _Optional[float] = ..., pixels: _Optional[int] = ...) -> None: ...

class Box(_message.Message):
    __slots__ = ("x_min", "y_min", "x_max", "y_max")
    X_MIN_FIELD_NUMBER: _ClassVar[int]
    Y_MIN_FIELD_NUMBER: _ClassVar[int]
    X_MAX_FIELD_NUMBER: _ClassVar[int]
    Y_MAX_FIELD_NUMBER: _ClassVar[int]
    x_min: float
    y_min: float
    x_max: float
    y_max: float
    def __init__(self, x_min: _Optional[float] = ..., y_min: _Optional[float] = ..., x_max: _Optional[float] = ..., y_max: _Optional[float] = ...) -> None: ...

class ServerTiming(_message.Message):
    __slots__ = ("decode_us", "recognise_us")
    DECODE_US_FIELD_NUMBER: _ClassVar[int]
    RECOGNISE_US_FIELD_NUMBER: _ClassVar[int]
    decode_us: int
    recognise_us: int
    def __init__(self, decode_us: _Optional[int] = ..., recognise_us: _Optional[int] = ...) -> None: ...
