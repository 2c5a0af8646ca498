"""One open uplink of one camera: what it may still send, what was stored, who speaks on it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from secondsight.v1 import ingest_pb2 as pb
from server.flow import CameraFlow
from server.groups import KeyFrame
from server.pace import Pace

PushContext = grpc.aio.ServicerContext[pb.PushRequest, pb.PushResponse]


@dataclass
class Uplink:
    """The server's side of a Push stream after its Hello.

    Several tasks answer on it, so all writing goes through here. `stored_sequence` is the last frame of the session
    known to be stored, `last_key` the key frame that the next ones may be predicted from. `frame_pace` and `byte_pace`
    are what the camera may send, `beyond_pace` the frames on end that it sent beyond. `flow` is None as long as the
    camera has stored nothing.
    """

    camera_id: str
    session: int
    backlog_limit: int
    context: PushContext
    acked_sequence: int
    stored_sequence: int
    last_key: KeyFrame | None
    backlog: int
    frame_pace: Pace
    byte_pace: Pace
    keeps_enhancement: bool = False
    flow: CameraFlow | None = None
    beyond_pace: int = 0
    reported_at: float = float("-inf")
    """When the edge told of itself last, seconds of the event loop's clock."""
    superseded: asyncio.Event = field(default_factory=asyncio.Event)
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _granted: int = 0
    _key_requested: bool = False
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def credits(self) -> int:
        """Frames that may be under way: what is left of the camera's backlog, if its rate allows for that."""
        if self.byte_pace.tokens <= 0:
            return 0
        return max(0, min(self.backlog_limit - self.backlog, int(self.frame_pace.tokens)))

    @property
    def holds_back(self) -> bool:
        """Whether the edge was granted less than it could have on an idle server."""
        return self._granted < self.backlog_limit

    @property
    def has_more_to_grant(self) -> bool:
        """Whether the backlog has fallen since credits were last granted."""
        return self.credits > self._granted

    async def welcome(self) -> None:
        """Tell the session, where it stands, and the first credits."""
        async with self._writing:
            self._granted = self.credits
            await self.context.write(
                pb.PushResponse(
                    welcome=pb.Welcome(
                        session=self.session, last_stored_sequence=self.acked_sequence, credits=self._granted
                    )
                )
            )

    async def acknowledge(self) -> None:
        """Tell what is stored or refused by now, with fresh credits."""
        async with self._writing:
            self._granted = self.credits
            ack = pb.Ack(acked_sequence=self.acked_sequence, credits=self._granted, server_time=now())
            await self.context.write(pb.PushResponse(ack=ack))

    async def refuse(self, sequence: int, reason: pb.NackReason, detail: str) -> None:
        """Tell that a frame will never be stored."""
        async with self._writing:
            nack = pb.Nack(sequence=sequence, reason=reason, detail=detail)
            await self.context.write(pb.PushResponse(nack=nack))

    async def request_key(self, detail: str) -> bool:
        """Ask for a key frame, unless that was done since the last one came. Tells whether it asked."""
        if self._key_requested:
            return False
        self._key_requested = True
        async with self._writing:
            await self.context.write(pb.PushResponse(key_request=pb.KeyRequest(detail=detail)))
        return True

    def key_came(self) -> None:
        """A key frame has come. If later frames lack theirs, another one is to be asked for."""
        self._key_requested = False

    def note_stored(self, sequence: int, key: KeyFrame) -> None:
        """A frame of the session is stored; `key` is what it is predicted from, or itself."""
        self.stored_sequence = max(self.stored_sequence, sequence)
        if self.last_key is None or key.place > self.last_key.place:
            self.last_key = key

    async def retain(self, retain: pb.Retain) -> None:
        """Have the edge keep a frame's enhancement layer for longer."""
        async with self._writing:
            await self.context.write(pb.PushResponse(retain=retain))

    async def ask_enhancement(self, request: int, session: int, sequence: int) -> None:
        """Ask the edge for the enhancement layer of a frame. `request` is unique on the stream."""
        async with self._writing:
            asked = pb.EnhancementRequest(request=request, session=session, sequence=sequence)
            await self.context.write(pb.PushResponse(enhancement_request=asked))

    async def drain(self, reconnect_after: float) -> None:
        """Ask the edge to finish, and acknowledge nothing that comes later."""
        self.draining.set()
        async with self._writing:
            after = Duration()
            after.FromMilliseconds(int(reconnect_after * 1000))
            await self.context.write(pb.PushResponse(drain=pb.Drain(reconnect_after=after)))


def now() -> Timestamp:
    """The server's wall clock."""
    timestamp = Timestamp()
    timestamp.GetCurrentTime()
    return timestamp
