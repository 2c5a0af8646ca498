"""Frames on their way to the server, by the rules of `IngestService` (ingest.proto). Nothing here sends or waits."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

from secondsight import limits, store_keys
from secondsight.client._exceptions import ClientError, FrameRefusedError, IncompatibleServerError, PushError
from secondsight.v1 import frame_pb2, ingest_pb2

Name = tuple[int, int]
"""Session and sequence of a frame."""

_FIRST: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """A frame that is encoded already.

    Attributes:
        slices: of the enhancement layer.
        key: the key frame that it is predicted from, as `push_layers` gave it; None when it is a key frame itself.
    """

    machine: bytes = field(repr=False)
    enhancement: bytes = field(default=b"", repr=False)
    slices: int = 0
    key: Pushed | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.machine) <= limits.MACHINE_LAYER_BYTES:
            raise PushError(
                f"a machine layer has 1 to {limits.MACHINE_LAYER_BYTES} bytes; this one has {len(self.machine)}"
            )
        if (
            bool(self.enhancement) != bool(self.slices)
            or len(self.enhancement) > limits.ENHANCEMENT_LAYER_BYTES
        ):
            raise PushError(
                f"an enhancement layer has 1 to 5 slices and at most {limits.ENHANCEMENT_LAYER_BYTES} bytes; this one "
                f"has {self.slices} slices and {len(self.enhancement)} bytes"
            )


@dataclass(eq=False, slots=True)
class Pushed:
    """What became of a frame that was pushed.

    Attributes:
        name: its name, session and sequence, once it was sent. A frame that is not acknowledged may still get another.
        viewable: its enhancement layer is stored, so that people can look at it.
        error: why it will never be stored, once it is refused.
    """

    layers: Layers = field(repr=False)
    captured_at_ns: int
    pts_us: int
    encode_us: int
    state: Literal["waiting", "acknowledged", "refused"] = "waiting"
    name: Name | None = None
    error: ClientError | None = None
    stored_as: Name | None = field(default=None, repr=False)
    receipt: frame_pb2.EnhancementReceipt | None = field(default=None, repr=False)

    @property
    def frame(self) -> str | None:
        """Its name as REST knows it, SESSION-SEQUENCE."""
        return None if self.name is None else store_keys.entry_id(*self.name)

    @property
    def viewable(self) -> bool:
        """Whether its enhancement layer is stored under its name."""
        return self.receipt is not None and self.stored_as == self.name


class Outbox:
    """Keeps frames in order until the server has answered for each.

    A frame is named when it is sent. After a lost connection the session goes on, and what the server has not stored is
    sent again under its name; in a new session all that waits gets new names.
    """

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._waiting: deque[Pushed] = deque()
        self._sent = 0
        self._credits = 0
        self._next_sequence = _FIRST
        self._newest_key: Pushed | None = None
        self.session = 0
        self.draining: ingest_pb2.Drain | None = None
        self.key_wanted = False
        """The server lacks what frames are predicted from: the next one has to be a key frame."""
        self.refusals: list[ClientError] = []

    def __len__(self) -> int:
        """Frames that the server has not answered for."""
        return len(self._waiting)

    @property
    def under_way(self) -> int:
        """Frames sent on this connection and not answered for."""
        return self._sent

    @property
    def may_send(self) -> bool:
        """Whether `next` may be sent now."""
        return self._sent < min(len(self._waiting), self._credits) and self.draining is None

    def add(self, pushed: Pushed) -> None:
        """Append the newest frame."""
        if pushed.layers.key is None:
            self._newest_key = pushed
            self.key_wanted = False
        self._waiting.append(pushed)

    def next(self) -> Pushed | None:
        """The frame to be sent next, named for the present session; one whose key frame is lost is refused at once."""
        while self._sent < len(self._waiting):
            pushed = self._waiting[self._sent]
            key = pushed.layers.key
            if key is not None and key.state == "refused":
                del self._waiting[self._sent]
                self._refuse(pushed, "REFERENCE", "the key frame that it is predicted from was refused")
                continue
            if pushed.name is None or pushed.name[0] != self.session:
                pushed.name = (self.session, self._next_sequence)
                self._next_sequence += 1
            return pushed
        return None

    def message(self, pushed: Pushed) -> frame_pb2.Frame:
        """What is sent of `pushed`, which `next` has just given, and counts as under way from now on."""
        assert self._waiting[self._sent] is pushed and pushed.name is not None
        self._sent += 1
        session, sequence = pushed.name
        key = pushed.layers.key
        reference_session, reference_sequence = (0, 0) if key is None or key.name is None else key.name
        message = frame_pb2.Frame(
            id=frame_pb2.FrameId(camera_id=self._camera, session=session, sequence=sequence),
            pts_us=pushed.pts_us,
            machine_layer=pushed.layers.machine,
            enhancement=pushed.receipt if pushed.viewable else None,
            timing=frame_pb2.EdgeTiming(encode_us=pushed.encode_us),
            reference_session=reference_session,
            reference_sequence=reference_sequence,
        )
        message.captured_at.FromNanoseconds(pushed.captured_at_ns)
        return message

    def welcome(self, welcome: ingest_pb2.Welcome) -> None:
        """Begin a connection."""
        if welcome.session == 0:
            raise IncompatibleServerError("the server welcomed this camera to session 0")
        self._sent, self.draining = 0, None
        self._credits = welcome.credits
        if welcome.session != self.session:
            # What it knew may have gone with the store in which the old session was.
            self.key_wanted = self.session != 0 and self._newest_key_is_settled
            self.session, self._next_sequence = welcome.session, _FIRST
            return
        # The answers to these were lost with the old connection.
        while self._waiting and self._named_up_to(self._waiting[0], welcome.last_stored_sequence):
            self._waiting.popleft().state = "acknowledged"

    def hang_up(self) -> None:
        """The connection is over."""
        self._sent = self._credits = 0

    def answer(self, response: ingest_pb2.PushResponse) -> None:
        """Take what the server says in the middle of the stream."""
        match response.WhichOneof("kind"):
            case "ack":
                self._credits = response.ack.credits
                while self._sent and self._named_up_to(self._waiting[0], response.ack.acked_sequence):
                    self._sent -= 1
                    self._waiting.popleft().state = "acknowledged"
            case "nack":
                self._nack(response.nack)
            case "key_request":
                self.key_wanted |= self._newest_key_is_settled
            case "drain":
                self.draining = response.drain
            case "retain" | "enhancement_request":
                pass  # for edges that keep layers themselves, which this client's Hello denies
            case kind:
                raise IncompatibleServerError(f"the server sent {kind or 'an unknown message'}")

    def _nack(self, nack: ingest_pb2.Nack) -> None:
        name = (self.session, nack.sequence)
        for index in range(self._sent):
            if self._waiting[index].name == name:
                pushed = self._waiting[index]
                del self._waiting[index]
                self._sent -= 1
                reason = ingest_pb2.NackReason.Name(nack.reason).removeprefix("NACK_REASON_")
                self._refuse(pushed, reason, nack.detail)
                return

    def _refuse(self, pushed: Pushed, reason: str, detail: str) -> None:
        pushed.state = "refused"
        pushed.error = FrameRefusedError(pushed.frame or "(unnamed)", reason, detail)
        self.refusals.append(pushed.error)
        # Whatever else is predicted from it would be lost, too.
        self.key_wanted |= pushed is self._newest_key

    @property
    def _newest_key_is_settled(self) -> bool:
        """A newer key frame is what would be asked for, and on its way already, if not."""
        return self._newest_key is None or self._newest_key.state != "waiting"

    def _named_up_to(self, pushed: Pushed, sequence: int) -> bool:
        return pushed.name is not None and pushed.name[0] == self.session and pushed.name[1] <= sequence
