"""A real edge, killed again and again, with a server that is there now and then: nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc.aio

from edge.config import EdgeConfig, SpoolConfig
from edge.metrics import Tally
from edge.pending import Pending
from edge.spool import Spool
from edge.uplink import Uplink
from secondsight.demo.processes import Children
from secondsight.v1 import ingest_pb2, ingest_pb2_grpc
from shared_models import load_codec
from tests.edge.conftest import ClipMaker, eventually

Identity = tuple[int, bytes]
"""Time of capture and machine layer."""


class Store(ingest_pb2_grpc.IngestServiceServicer):
    """Takes every frame in, once under each name, and never forgets."""

    def __init__(self) -> None:
        self.frames: Counter[Identity] = Counter()
        self.names: list[tuple[int, int]] = []
        self._last = 0

    async def Push(self, _requests: object, context: grpc.aio.ServicerContext) -> None:
        hello = (await context.read()).hello
        assert hello.session in (0, 1)
        welcome = ingest_pb2.Welcome(session=1, last_stored_sequence=self._last, credits=8)
        await context.write(ingest_pb2.PushResponse(welcome=welcome))
        while (request := await context.read()) is not grpc.aio.EOF:
            if request.WhichOneof("kind") != "frame":
                continue
            frame = request.frame
            if frame.id.sequence > self._last:
                self._last = frame.id.sequence
                self.names.append((frame.id.session, frame.id.sequence))
                self.frames[frame.captured_at.ToNanoseconds(), frame.machine_layer] += 1
            ack = ingest_pb2.Ack(acked_sequence=self._last, credits=8)
            await context.write(ingest_pb2.PushResponse(ack=ack))


@asynccontextmanager
async def listening(store: Store, port: int) -> AsyncIterator[None]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.http2.bdp_probe", 0)])
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(store, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(grace=0)


def spooled(folder: Path, scratch: Path) -> set[Identity]:
    """What a killed edge has left; looked at in a copy, as reading puts it in order."""
    shutil.copytree(folder, scratch)
    connection = sqlite3.connect(scratch / "frames.db")
    try:
        return set(connection.execute("SELECT captured_at_ns, machine FROM frame JOIN layers USING (number)"))
    finally:
        connection.close()


@asynccontextmanager
async def uplink(folder: Path, port: int, model_id: bytes) -> AsyncIterator[Pending]:
    """The part of an edge that empties a spool."""
    config = EdgeConfig("door", "none", f"127.0.0.1:{port}", backoff_base_s=0.02, backoff_cap_s=0.05)
    tally = Tally()
    pending = Pending(tally, Spool(SpoolConfig(folder), "door", True, None, tally))
    await pending.open()
    task = asyncio.create_task(Uplink(config, model_id, "1", pending, None, tally).run())
    try:
        yield pending
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await pending.close()


async def test_what_was_in_the_spool_of_a_killed_edge_is_stored_exactly_once(
    tmp_path: Path, make_moving_clip: ClipMaker, free_port: int
) -> None:
    store, seen = Store(), set[Identity]()
    folder = tmp_path / "spool"
    clip = make_moving_clip(frames=50, rate=25, size=(64, 48))
    with Children(tmp_path / "logs") as children:

        async def kill_after(name: str, pattern: str, with_server: int) -> None:
            """Start an edge, wait for a line of its log and for so many stored frames, and kill it."""
            edge = children.start(
                name,
                "edge",
                *("--camera", "door", "--source", str(clip), "--loop", "--longest-group", "10"),
                *("--server", f"127.0.0.1:{free_port}", "--spool", str(folder), "--delivery", "complete"),
                *("--status-interval", "0.1", "--backoff-cap", "0.1"),
            )
            await edge.ready(pattern, within_s=600)
            if with_server:
                target = len(store.names) + with_server
                async with listening(store, free_port):
                    await eventually(lambda: len(store.names) >= target or not edge.running)
                    os.kill(edge.pid, signal.SIGKILL)
            else:
                os.kill(edge.pid, signal.SIGKILL)
            await edge.ended()
            seen.update(spooled(folder / "door", tmp_path / f"after-{name}"))

        await kill_after("first", r"spool \d{2,} frames", with_server=0)
        assert len(seen) >= 10
        await kill_after("second", r"spool \d{2,} frames", with_server=15)
        await kill_after("third", r"spool \d+ frames", with_server=5)
    model_id = (await asyncio.to_thread(load_codec, "lite", device="cpu")).predicting_id
    async with listening(store, free_port), uplink(folder, free_port, model_id) as pending:
        await pending.until_fewer_than(1)
    assert seen <= set(store.frames)
    assert set(store.frames.values()) == {1}
    assert store.names == sorted(set(store.names))
    assert not spooled(folder / "door", tmp_path / "at the end")
