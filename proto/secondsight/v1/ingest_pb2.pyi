import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from secondsight.v1 import frame_pb2 as _frame_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NackReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NACK_REASON_UNSPECIFIED: _ClassVar[NackReason]
    NACK_REASON_BITSTREAM: _ClassVar[NackReason]
    NACK_REASON_MODEL: _ClassVar[NackReason]
    NACK_REASON_IDENTITY: _ClassVar[NackReason]
    NACK_REASON_ORDER: _ClassVar[NackReason]
    NACK_REASON_LIMIT: _ClassVar[NackReason]
    NACK_REASON_REFERENCE: _ClassVar[NackReason]

class EnhancementLack(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENHANCEMENT_LACK_UNSPECIFIED: _ClassVar[EnhancementLack]
    ENHANCEMENT_LACK_GONE: _ClassVar[EnhancementLack]
    ENHANCEMENT_LACK_UNAVAILABLE: _ClassVar[EnhancementLack]
NACK_REASON_UNSPECIFIED: NackReason
NACK_REASON_BITSTREAM: NackReason
NACK_REASON_MODEL: NackReason
NACK_REASON_IDENTITY: NackReason
NACK_REASON_ORDER: NackReason
NACK_REASON_LIMIT: NackReason
NACK_REASON_REFERENCE: NackReason
ENHANCEMENT_LACK_UNSPECIFIED: EnhancementLack
ENHANCEMENT_LACK_GONE: EnhancementLack
ENHANCEMENT_LACK_UNAVAILABLE: EnhancementLack

class PushRequest(_message.Message):
    __slots__ = ("hello", "frame", "enhancement", "report")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    ENHANCEMENT_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    frame: _frame_pb2.Frame
    enhancement: EnhancementReply
    report: _frame_pb2.EdgeReport
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., frame: _Optional[_Union[_frame_pb2.Frame, _Mapping]] = ..., enhancement: _Optional[_Union[EnhancementReply, _Mapping]] = ..., report: _Optional[_Union[_frame_pb2.EdgeReport, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("camera_id", "session", "model_id", "edge_version", "keeps_enhancement", "only_asks")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    EDGE_VERSION_FIELD_NUMBER: _ClassVar[int]
    KEEPS_ENHANCEMENT_FIELD_NUMBER: _ClassVar[int]
    ONLY_ASKS_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    session: int
    model_id: bytes
    edge_version: str
    keeps_enhancement: bool
    only_asks: bool
    def __init__(self, camera_id: _Optional[str] = ..., session: _Optional[int] = ..., model_id: _Optional[bytes] = ..., edge_version: _Optional[str] = ..., keeps_enhancement: _Optional[bool] = ..., only_asks: _Optional[bool] = ...) -> None: ...

class PushResponse(_message.Message):
    __slots__ = ("welcome", "ack", "nack", "drain", "key_request", "retain", "enhancement_request")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    NACK_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    KEY_REQUEST_FIELD_NUMBER: _ClassVar[int]
    RETAIN_FIELD_NUMBER: _ClassVar[int]
    ENHANCEMENT_REQUEST_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    ack: Ack
    nack: Nack
    drain: Drain
    key_request: KeyRequest
    retain: Retain
    enhancement_request: EnhancementRequest
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., nack: _Optional[_Union[Nack, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., key_request: _Optional[_Union[KeyRequest, _Mapping]] = ..., retain: _Optional[_Union[Retain, _Mapping]] = ..., enhancement_request: _Optional[_Union[EnhancementRequest, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("session", "last_stored_sequence", "credits", "server_time")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    LAST_STORED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    session: int
    last_stored_sequence: int
    credits: int
    server_time: _timestamp_pb2.Timestamp
    def __init__(self, session: _Optional[int] = ..., last_stored_sequence: _Optional[int] = ..., credits: _Optional[int] = ..., server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("acked_sequence", "credits", "server_time")
    ACKED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    acked_sequence: int
    credits: int
    server_time: _timestamp_pb2.Timestamp
    def __init__(self, acked_sequence: _Optional[int] = ..., credits: _Optional[int] = ..., server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Nack(_message.Message):
    __slots__ = ("sequence", "reason", "detail")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    reason: NackReason
    detail: str
    def __init__(self, sequence: _Optional[int] = ..., reason: _Optional[_Union[NackReason, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class KeyRequest(_message.Message):
    __slots__ = ("detail",)
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    detail: str
    def __init__(self, detail: _Optional[str] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("reconnect_after",)
    RECONNECT_AFTER_FIELD_NUMBER: _ClassVar[int]
    reconnect_after: _duration_pb2.Duration
    def __init__(self, reconnect_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Retain(_message.Message):
    __slots__ = ("session", "sequence", "retention")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    session: int
    sequence: int
    retention: _frame_pb2.Retention
    def __init__(self, session: _Optional[int] = ..., sequence: _Optional[int] = ..., retention: _Optional[_Union[_frame_pb2.Retention, str]] = ...) -> None: ...

class EnhancementRequest(_message.Message):
    __slots__ = ("request", "session", "sequence")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    request: int
    session: int
    sequence: int
    def __init__(self, request: _Optional[int] = ..., session: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class EnhancementReply(_message.Message):
    __slots__ = ("request", "enhancement_layer", "lack")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    ENHANCEMENT_LAYER_FIELD_NUMBER: _ClassVar[int]
    LACK_FIELD_NUMBER: _ClassVar[int]
    request: int
    enhancement_layer: bytes
    lack: EnhancementLack
    def __init__(self, request: _Optional[int] = ..., enhancement_layer: _Optional[bytes] = ..., lack: _Optional[_Union[EnhancementLack, str]] = ...) -> None: ...
