import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EnhancementPlace(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENHANCEMENT_PLACE_UNSPECIFIED: _ClassVar[EnhancementPlace]
    ENHANCEMENT_PLACE_STORE: _ClassVar[EnhancementPlace]
    ENHANCEMENT_PLACE_EDGE: _ClassVar[EnhancementPlace]

class Retention(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETENTION_UNSPECIFIED: _ClassVar[Retention]
    RETENTION_ROUTINE: _ClassVar[Retention]
    RETENTION_DETECTION: _ClassVar[Retention]
    RETENTION_ALERT: _ClassVar[Retention]
ENHANCEMENT_PLACE_UNSPECIFIED: EnhancementPlace
ENHANCEMENT_PLACE_STORE: EnhancementPlace
ENHANCEMENT_PLACE_EDGE: EnhancementPlace
RETENTION_UNSPECIFIED: Retention
RETENTION_ROUTINE: Retention
RETENTION_DETECTION: Retention
RETENTION_ALERT: Retention

class FrameId(_message.Message):
    __slots__ = ("camera_id", "session", "sequence")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    session: int
    sequence: int
    def __init__(self, camera_id: _Optional[str] = ..., session: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class EnhancementReceipt(_message.Message):
    __slots__ = ("bytes", "expires_at", "slices", "place", "retention")
    BYTES_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    bytes: int
    expires_at: _timestamp_pb2.Timestamp
    slices: int
    place: EnhancementPlace
    retention: Retention
    def __init__(self, bytes: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., slices: _Optional[int] = ..., place: _Optional[_Union[EnhancementPlace, str]] = ..., retention: _Optional[_Union[Retention, str]] = ...) -> None: ...

class EdgeTiming(_message.Message):
    __slots__ = ("encode_us", "queue_us")
    ENCODE_US_FIELD_NUMBER: _ClassVar[int]
    QUEUE_US_FIELD_NUMBER: _ClassVar[int]
    encode_us: int
    queue_us: int
    def __init__(self, encode_us: _Optional[int] = ..., queue_us: _Optional[int] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("id", "captured_at", "pts_us", "machine_layer", "enhancement", "timing", "traceparent", "reference_sequence", "reference_session", "stored_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    PTS_US_FIELD_NUMBER: _ClassVar[int]
    MACHINE_LAYER_FIELD_NUMBER: _ClassVar[int]
    ENHANCEMENT_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_SESSION_FIELD_NUMBER: _ClassVar[int]
    STORED_AT_FIELD_NUMBER: _ClassVar[int]
    id: FrameId
    captured_at: _timestamp_pb2.Timestamp
    pts_us: int
    machine_layer: bytes
    enhancement: EnhancementReceipt
    timing: EdgeTiming
    traceparent: str
    reference_sequence: int
    reference_session: int
    stored_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[_Union[FrameId, _Mapping]] = ..., captured_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., pts_us: _Optional[int] = ..., machine_layer: _Optional[bytes] = ..., enhancement: _Optional[_Union[EnhancementReceipt, _Mapping]] = ..., timing: _Optional[_Union[EdgeTiming, _Mapping]] = ..., traceparent: _Optional[str] = ..., reference_sequence: _Optional[int] = ..., reference_session: _Optional[int] = ..., stored_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class EdgeReport(_message.Message):
    __slots__ = ("spool", "source", "dropped", "dropped_last_minute", "reconnects_last_hour", "verdict")
    class DroppedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class DroppedLastMinuteEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SPOOL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_LAST_MINUTE_FIELD_NUMBER: _ClassVar[int]
    RECONNECTS_LAST_HOUR_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    spool: SpoolState
    source: str
    dropped: _containers.ScalarMap[str, int]
    dropped_last_minute: _containers.ScalarMap[str, int]
    reconnects_last_hour: int
    verdict: str
    def __init__(self, spool: _Optional[_Union[SpoolState, _Mapping]] = ..., source: _Optional[str] = ..., dropped: _Optional[_Mapping[str, int]] = ..., dropped_last_minute: _Optional[_Mapping[str, int]] = ..., reconnects_last_hour: _Optional[int] = ..., verdict: _Optional[str] = ...) -> None: ...

class SpoolState(_message.Message):
    __slots__ = ("frames", "bytes", "limit_bytes", "oldest", "full", "failing")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    FAILING_FIELD_NUMBER: _ClassVar[int]
    frames: int
    bytes: int
    limit_bytes: int
    oldest: _duration_pb2.Duration
    full: bool
    failing: bool
    def __init__(self, frames: _Optional[int] = ..., bytes: _Optional[int] = ..., limit_bytes: _Optional[int] = ..., oldest: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., full: _Optional[bool] = ..., failing: _Optional[bool] = ...) -> None: ...
