"""What was really said on the uplink: read from the bytes that pass, not from what either end believes.

Messages are taken out of HTTP/2's DATA frames (RFC 9113, 4.1 and 6.1) and gRPC's length prefixes, so that no part of
the product's code stands between the wire and the count.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from secondsight.v1 import frame_pb2, ingest_pb2

Name = tuple[int, int]
"""Session and sequence."""

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADER: Final = 9
_DATA: Final = 0
_PADDED: Final = 0x08
_PREFIX: Final = 5


def digest(frame: frame_pb2.Frame) -> str:
    """What makes a frame this one: its picture and its times, not where its enhancement layer waits."""
    text = f"{frame.pts_us} {frame.captured_at.ToNanoseconds()} ".encode()
    return hashlib.sha256(text + frame.machine_layer).hexdigest()[:16]


class GrpcMessages:
    """The gRPC messages in one direction of an HTTP/2 connection."""

    def __init__(self, preface: bool) -> None:
        self._skip = len(_PREFACE) if preface else 0
        self._bytes = bytearray()
        self._streams: defaultdict[int, bytearray] = defaultdict(bytearray)

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Stream and message, of every message that `data` completes."""
        self._bytes += data
        if self._skip:
            if len(self._bytes) < self._skip:
                return
            del self._bytes[: self._skip]
            self._skip = 0
        while len(self._bytes) >= _HEADER:
            length = int.from_bytes(self._bytes[:3])
            if len(self._bytes) < _HEADER + length:
                return
            kind, flags = self._bytes[3], self._bytes[4]
            stream = int.from_bytes(self._bytes[5:9]) & 0x7FFFFFFF
            payload = bytes(self._bytes[_HEADER : _HEADER + length])
            del self._bytes[: _HEADER + length]
            if kind == _DATA:
                if flags & _PADDED:
                    payload = payload[1 : len(payload) - payload[0]]
                self._streams[stream] += payload
                yield from self._complete(stream)

    def _complete(self, stream: int) -> Iterator[tuple[int, bytes]]:
        waiting = self._streams[stream]
        while len(waiting) >= _PREFIX:
            length = int.from_bytes(waiting[1:_PREFIX])
            if len(waiting) < _PREFIX + length:
                return
            yield stream, bytes(waiting[_PREFIX : _PREFIX + length])
            del waiting[: _PREFIX + length]


@dataclass
class Said:
    """What was said about one camera.

    Attributes:
        sent: frames that an edge put on the wire, by name; what they are (`digest`).
        renamed: names under which two different frames were sent.
        acked: frames that the server acknowledged on the stream on which they were sent.
        presumed: frames whose answer was lost with their stream, and that the next Welcome told as stored.
        refused: by reason.
        acked_at: monotonic time of the last acknowledgement that told something new.
    """

    sent: dict[Name, str] = field(default_factory=dict)
    renamed: set[Name] = field(default_factory=set)
    acked: set[Name] = field(default_factory=set)
    presumed: set[Name] = field(default_factory=set)
    refused: dict[Name, str] = field(default_factory=dict)
    welcomes: int = 0
    repeats: int = 0
    acked_at: float = 0.0


@dataclass
class _Stream:
    camera: str = ""
    session: int = 0
    sent: list[int] = field(default_factory=list)
    settled: int = 0


class Witness:
    """Hears every connection of a proxy; `camera` tells what was said."""

    def __init__(self) -> None:
        self.cameras: defaultdict[str, Said] = defaultdict(Said)
        self._last: dict[tuple[str, int], _Stream] = {}

    def tap(self) -> _WitnessTap:
        """For `Proxy`: one for each connection."""
        return _WitnessTap(self)

    def heard_request(self, stream: _Stream, request: ingest_pb2.PushRequest) -> None:
        """An edge has spoken."""
        match request.WhichOneof("kind"):
            case "hello":
                stream.camera = request.hello.camera_id
            case "frame":
                frame = request.frame
                name = frame.id.session, frame.id.sequence
                said = self.cameras[stream.camera]
                if name in said.sent:
                    said.repeats += 1
                    if said.sent[name] != digest(frame) and name not in said.refused:
                        said.renamed.add(name)
                said.sent.setdefault(name, digest(frame))
                # One that does not rise is a repetition, or out of order: then it is refused, maybe after a later
                # one was acknowledged.
                if not stream.sent or frame.id.sequence > stream.sent[-1]:
                    stream.sent.append(frame.id.sequence)

    def heard_response(self, stream: _Stream, response: ingest_pb2.PushResponse) -> None:
        """The server has spoken."""
        said = self.cameras[stream.camera]
        match response.WhichOneof("kind"):
            case "welcome":
                said.welcomes += 1
                stream.session = response.welcome.session
                before = self._last.get((stream.camera, stream.session))
                if before is not None:
                    said.presumed |= self._settled(before, response.welcome.last_stored_sequence, said)
                self._last[stream.camera, stream.session] = stream
            case "ack":
                new = self._settled(stream, response.ack.acked_sequence, said) - said.acked
                if new:
                    said.acked_at = time.monotonic()
                said.acked |= new
                stream.settled = max(stream.settled, response.ack.acked_sequence)
            case "nack":
                name = stream.session, response.nack.sequence
                if name not in said.acked:
                    said.refused[name] = ingest_pb2.NackReason.Name(response.nack.reason)

    def _settled(self, stream: _Stream, up_to: int, said: Said) -> set[Name]:
        names = {(stream.session, sequence) for sequence in stream.sent if stream.settled < sequence <= up_to}
        return names - said.refused.keys()


class _WitnessTap:
    """One connection. A channel may carry several streams."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._requests = GrpcMessages(preface=True)
        self._responses = GrpcMessages(preface=False)
        self._streams: defaultdict[int, _Stream] = defaultdict(_Stream)

    def upstream(self, data: bytes) -> bytes:
        """See Tap."""
        for stream, message in self._requests.feed(data):
            self._witness.heard_request(self._streams[stream], ingest_pb2.PushRequest.FromString(message))
        return data

    def downstream(self, data: bytes) -> bytes:
        """See Tap."""
        for stream, message in self._responses.feed(data):
            self._witness.heard_response(self._streams[stream], ingest_pb2.PushResponse.FromString(message))
        return data
