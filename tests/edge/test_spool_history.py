"""Whatever happens to an edge and its server: every frame is stored, or dropped for a reason, or still waits."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis.strategies as st
from hypothesis import given, settings

from edge.errors import ProtocolError
from edge.frame import EncodedFrame
from edge.pending import PendingFrame
from tests.edge.conftest import Frames
from tests.edge.spooling_edge import Edge

Name = tuple[int, int]


class Sent(NamedTuple):
    """A frame on the wire."""

    name: Name
    content: bytes
    reference: Name | None


class Server:
    """Stores frames under their names, as the contract has it."""

    def __init__(self) -> None:
        self.session = 0
        self.stored: dict[Name, bytes] = {}
        self.last = 0
        self.ever: Counter[bytes] = Counter()
        self.names: dict[Name, bytes] = {}
        self._issued = 0

    def welcome(self, asked: int) -> tuple[int, int]:
        if asked == 0 or asked != self.session:
            self.take_over()
        return self.session, self.last

    def take_over(self) -> None:
        """Another session of the camera begins."""
        self._issued += 1
        self.session, self.last = self._issued, 0

    def wipe(self) -> None:
        """The store is lost."""
        self.stored.clear()
        self.take_over()

    def take(self, frame: Sent) -> bool:
        """Store a frame; False when what it is predicted from is not there."""
        assert frame.name[0] == self.session
        assert self.names.setdefault(frame.name, frame.content) == frame.content, (
            "a name is used for one frame"
        )
        if frame.name[1] <= self.last:
            return True
        self.last = frame.name[1]
        if frame.reference is not None and frame.reference not in self.stored:
            return False
        self.stored[frame.name] = frame.content
        self.ever[frame.content] += 1
        return True


class History:
    """An edge with a spool, its server, and what may happen to them."""

    def __init__(self, runner: asyncio.Runner, folder: Path, complete: bool, pages: int) -> None:
        self.runner = runner
        self.folder = folder
        self.complete = complete
        self.max_bytes = pages * 4096
        self.server = Server()
        self.frames = Frames()
        self.added: dict[bytes, bytes | None] = {}
        self.key: EncodedFrame | None = None
        self.acknowledged = self.dropped = 0
        self.heard: set[bytes] = set()
        self.forgiven: set[bytes] = set()
        self.connected = False
        self.wire: list[Sent] = []
        self.start()

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def start(self) -> None:
        self.edge = Edge(self.folder, complete=self.complete, max_bytes=self.max_bytes)
        self.run(self.edge.pending.open())
        self.key = None

    def ended(self) -> None:
        self.connected = False
        self.wire.clear()
        self.acknowledged += self.edge.tally.acked
        self.dropped += self.edge.tally.dropped.total()

    def add_group(self, predicted: int) -> None:
        self.key = self.frames.key(str(len(self.added)))
        self.add(self.key)
        for _ in range(predicted):
            self.add_predicted()

    def add_predicted(self) -> None:
        if self.key is not None:
            self.add(self.frames.predicted(str(len(self.added)), self.key))

    def add(self, frame: EncodedFrame) -> None:
        assert self.key is not None
        self.added[frame.machine] = self.key.machine if frame.predicted else None
        self.run(self.edge.pending.add(frame))

    def connect(self) -> None:
        pending = self.edge.pending
        session, last = self.server.welcome(pending.session)
        try:
            self.run(pending.welcome(session, last))
        except ProtocolError:
            # A machine that forgot what it did asks for a new session; in these histories none does.
            raise AssertionError("the server has no frame that the edge has not sent") from None
        self.connected = True

    def exchange(self, sent: int, stored: int, heard: bool) -> None:
        if not self.connected:
            self.connect()
        self.send(sent)
        self.store(stored, heard)

    def send(self, count: int) -> None:
        for _ in range(count):
            frame = self.run(self.edge.pending.next_unsent())
            if frame is None:
                return
            self.edge.pending.mark_sent(frame)
            self.wire.append(self.written(frame))

    def written(self, frame: PendingFrame) -> Sent:
        content = frame.frame.machine
        assert content not in self.heard, "what was acknowledged is not sent again"
        of = self.added[content]
        assert (frame.key is None) == (of is None)
        if frame.key is None:
            return Sent(frame.name, content, None)
        assert self.server.names.get(frame.key.name, of) == of, "it names what it was predicted from"
        return Sent(frame.name, content, frame.key.name)

    def store(self, count: int, heard: bool) -> None:
        arrived, self.wire = self.wire[:count], self.wire[count:]
        for frame in arrived:
            if not self.server.take(frame):
                of = self.added[frame.content]
                assert of not in self.server.stored.values(), (
                    "it names what it was predicted from, if that is stored"
                )
                self.run(self.edge.pending.refuse(frame.name[1], "NACK_REASON_REFERENCE"))
        if heard:
            self.acknowledge()

    def acknowledge(self) -> None:
        session, last = self.server.session, self.server.last
        if last and session == self.edge.pending.session:
            self.run(self.edge.pending.acknowledge(last))
            self.heard |= {
                content
                for (of, sequence), content in self.server.stored.items()
                if of == session and sequence <= last
            }

    def hang_up(self) -> None:
        self.edge.pending.hang_up()
        self.wire.clear()
        self.connected = False

    def restart(self, killed: bool) -> None:
        self.run(self.edge.kill() if killed else self.edge.pending.close())
        self.ended()
        self.start()

    def begin_another_session(self, wiped: bool) -> None:
        self.hang_up()
        # Nobody can tell the edge any more what of this was stored.
        self.forgiven |= set(self.server.stored.values()) - self.heard
        if wiped:
            self.server.wipe()
        else:
            self.server.take_over()

    def every_frame_is_accounted_for(self) -> None:
        tally = self.edge.tally
        acknowledged, dropped = self.acknowledged + tally.acked, self.dropped + tally.dropped.total()
        waiting = self.edge.pending.backlog.unacknowledged
        assert waiting == tally.unacknowledged
        assert len(self.added) == acknowledged + dropped + waiting

    def none_is_stored_twice(self) -> None:
        again = {content for content, count in self.server.ever.items() if count > 1}
        assert again <= self.forgiven

    def finish(self) -> None:
        if not self.connected:
            self.connect()
        while self.edge.pending.backlog.unacknowledged:
            self.send(4)
            self.store(len(self.wire), heard=True)
        self.every_frame_is_accounted_for()
        missing = len(self.added) - len(self.server.ever)
        dropped = self.dropped + self.edge.tally.dropped.total()
        assert missing <= dropped
        if self.complete:
            # What another session has left unknown may be stored and yet be refused the second time.
            assert dropped - missing <= len(self.forgiven)
        self.run(self.edge.pending.close())


EVENTS = st.one_of(
    st.tuples(st.just(History.add_group), st.integers(0, 3)),
    st.tuples(st.just(History.add_predicted)),
    st.tuples(st.just(History.exchange), st.integers(1, 8), st.integers(0, 8), st.booleans()),
    st.tuples(st.just(History.exchange), st.just(20), st.just(20), st.just(True)),
    st.tuples(st.just(History.hang_up)),
    st.tuples(st.just(History.restart), st.booleans()),
    st.tuples(st.just(History.begin_another_session), st.booleans()),
)


@given(
    complete=st.booleans(),
    pages=st.sampled_from([16, 24, 1000]),
    events=st.lists(EVENTS, min_size=25, max_size=50),
)
@settings(max_examples=25, deadline=None)
def test_every_frame_is_stored_once_or_dropped_for_a_reason_or_waits(
    complete: bool, pages: int, events: list[tuple[Any, ...]]
) -> None:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        history = History(runner, Path(folder), complete, pages)
        for happens, *how in events:
            happens(history, *how)
            history.every_frame_is_accounted_for()
            history.none_is_stored_twice()
        history.finish()
