"""The demo's story: start everything, stream, subscribe, look at frames, count."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from secondsight.demo.clip import default_clip
from secondsight.demo.config import DemoConfig
from secondsight.demo.errors import ClipError, ShortfallError
from secondsight.demo.processes import SERVER_READY, STORE_READY, Child, Children, free_ports, keep_running
from secondsight.demo.subscriber import ReceivedResult, Subscriber
from secondsight.demo.views import Operator, View

_RESULTS_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Look:
    """A frame that the operator looked at, `pts_us` microseconds after the first."""

    frame: str
    pts_us: int
    machine: View
    human: View


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What was seen from outside.

    Attributes:
        edge: the edge's own summary.
        results: one per frame, in the order in which they came.
        repeated: results that came more than once.
    """

    edge: dict[str, Any]
    results: list[ReceivedResult]
    repeated: int
    looks: list[Look]


class Demonstration:
    """Runs the parts and watches them. Not before `async with`, at whose end every part has ended."""

    def __init__(self, config: DemoConfig, say: Callable[[str], None], on_result: Callable[[], None]) -> None:
        """`say` takes a line for the terminal; `on_result` is called at each new result.

        Raises:
            ClipError: there is no such source.
        """
        self._config = config
        self._say = say
        self._on_result = on_result
        self._source = config.source or str(default_clip())
        if self.keeps_all and not Path(self._source).exists():
            raise ClipError(
                f"there is no file or folder {self._source}: give --source a clip, or leave it out"
            )
        self._results: dict[str, ReceivedResult] = {}
        self._repeated = 0
        self._to_look_at: asyncio.Queue[str | None] = asyncio.Queue()
        self._looks: list[Look] = []
        self._looks_due = 0
        self._children = Children(config.out / "logs")
        self._keeper: asyncio.Task[None]
        self._store_url = ""
        self._grpc = ""
        self._http = ""

    @property
    def recording(self) -> Path | None:
        """The source as a file; None when it is a folder or a live camera."""
        path = Path(self._source)
        return path if path.is_file() else None

    @property
    def keeps_all(self) -> bool:
        """Whether the source is held back until the edge can take its next frame; a live camera cannot be."""
        return "://" not in self._source

    @property
    def page(self) -> str:
        """Address of the server's page."""
        return f"http://{self._http}/"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Store and server, kept running meanwhile.

        Raises:
            ProcessError: a part did not start.
        """
        out = self._config.out
        # Logs and frames of an earlier demo would be counted with this one's.
        for leftover in ("logs", "store"):
            shutil.rmtree(out / leftover, ignore_errors=True)
        with self._children:
            store, server = await self._start()
            self._keeper = asyncio.create_task(keep_running(self._say, store, server))
            try:
                yield
            finally:
                await _cancelled(self._keeper)

    async def witness(self) -> Witnessed:
        """Stream the source to its end and see every acknowledged frame recognised, or run out of patience.

        Raises:
            ProcessError: the edge failed, or store or server have ended too often.
            ClientError: the operator got no picture.
        """
        summary = self._config.out / "edge.json"
        summary.unlink(missing_ok=True)
        subscriber = asyncio.create_task(Subscriber(self._grpc, self._config.camera_id, self._receive).run())
        operator = asyncio.create_task(self._look())
        try:
            edge = self._start_edge(
                "--max-frames",
                str(self._config.frames),
                "--summary",
                str(summary),
                *(("--keep-all",) if self.keeps_all else ()),
            )
            self._say(f"edge    streams {self._source}")
            await self._until_ended(edge, operator)
            counts: dict[str, Any] = json.loads(summary.read_text())
            await self._until_recognised(int(counts["acked"]), operator)
            if not self._looks:
                # A source too short for the interval between two looks.
                seen = [name for name, each in self._results.items() if each.result.enhancement.bytes]
                for name in seen[-1:]:
                    self._to_look_at.put_nowait(name)
            self._to_look_at.put_nowait(None)
            await operator
        finally:
            await _cancelled(subscriber, operator)
        return Witnessed(counts, list(self._results.values()), self._repeated, self._looks)

    async def serve(self) -> None:
        """Go on with the source in a loop, dropping what is too much, until cancelled.

        Raises:
            ProcessError: the edge ended, or store or server have ended too often.
        """
        edge = self._start_edge("--loop")
        end = asyncio.create_task(edge.ended())
        try:
            await asyncio.wait({end, self._keeper}, return_when=asyncio.FIRST_COMPLETED)
            _raise_failure_of(self._keeper)
            raise edge.failure("ended")
        finally:
            await _cancelled(end)

    async def _start(self) -> tuple[Child, Child]:
        config = self._config
        store_port, grpc_port, http_port = free_ports(0, 0, config.http_port)
        self._store_url = f"redis://127.0.0.1:{store_port}/0"
        self._grpc, self._http = f"127.0.0.1:{grpc_port}", f"127.0.0.1:{http_port}"
        store = self._children.start(
            "store", "store", "--data", str(config.out / "store"), "--port", str(store_port)
        )
        await store.ready(STORE_READY)
        self._say(f"store   ready at {self._store_url}")
        server = self._children.start(
            "server", "server", "--store", self._store_url, "--grpc", self._grpc, "--http", self._http
        )
        await server.ready(SERVER_READY)
        self._say(f"server  ready: gRPC {self._grpc}, REST {self.page}")
        return store, server

    def _start_edge(self, *options: str) -> Child:
        config = self._config
        return self._children.start(
            "edge",
            "edge",
            *("--camera", config.camera_id, "--source", self._source),
            *("--server", self._grpc, "--store", self._store_url),
            *("--frame-rate", str(config.frame_rate), "--speed", str(config.speed)),
            *("--max-side", str(config.max_side)),
            *("--status-interval", "2", "--backoff-cap", "2"),
            *(() if config.quality is None else ("--quality", str(config.quality))),
            # A short queue: what is recognised is what was captured just now.
            *("--max-unacknowledged", "4"),
            *options,
        )

    def _receive(self, received: ReceivedResult) -> None:
        if received.name in self._results:
            self._repeated += 1
            return
        self._results[received.name] = received
        self._on_result()
        interval = -(-self._config.frames // self._config.views)
        if len(self._results) % interval == interval // 2:
            self._looks_due += 1
        # A frame that came while the store was away has no human view: the next one that has is looked at.
        if self._looks_due and received.result.enhancement.bytes:
            self._looks_due -= 1
            self._to_look_at.put_nowait(received.name)

    async def _look(self) -> None:
        async with Operator(self._http, self._config.camera_id) as operator:
            while (frame := await self._to_look_at.get()) is not None:
                human = await operator.view(frame, "human")
                machine = await operator.view(frame, "machine")
                pts_us = await operator.presentation_time_us(frame)
                self._looks.append(Look(frame, pts_us, machine, human))

    async def _until_ended(self, edge: Child, operator: asyncio.Task[None]) -> None:
        end = asyncio.create_task(edge.ended())
        try:
            await self._while_results_come(end.done, operator)
            if not end.done():
                raise edge.failure(f"was stuck: nothing was recognised for {self._config.patience_s:g} s")
            if (code := end.result()) != 0:
                raise edge.failure(f"ended with exit code {code}")
        finally:
            await _cancelled(end)

    async def _until_recognised(self, acked: int, operator: asyncio.Task[None]) -> None:
        await self._while_results_come(lambda: len(self._results) >= acked, operator)

    async def _while_results_come(self, done: Callable[[], bool], operator: asyncio.Task[None]) -> None:
        """Wait until `done`, or until no result has come for `patience_s`."""
        count, since = len(self._results), time.monotonic()
        while not done() and time.monotonic() - since < self._config.patience_s:
            _raise_failure_of(self._keeper)
            _raise_failure_of(operator)
            if len(self._results) != count:
                count, since = len(self._results), time.monotonic()
            await asyncio.sleep(_RESULTS_POLL_S)


def check(witnessed: Witnessed, must_detect: bool) -> None:
    """Raise ShortfallError when a frame was lost or repeated, or nothing was seen.

    Args:
        must_detect: the source is known to show something.
    """
    acked = int(witnessed.edge["acked"])
    # A refusal that was lost with its connection looks like an acknowledgement to the edge, which tells how many
    # there may be.
    surely_stored = acked - int(witnessed.edge["presumed"])
    recognised = [received for received in witnessed.results if not received.result.failure]
    failures = [received.result.failure for received in witnessed.results if received.result.failure]
    if failures:
        raise ShortfallError(
            f"{len(failures)} frames could not be recognised, the first because: {failures[0]}"
        )
    if (lost := surely_stored - len(recognised)) > 0:
        raise ShortfallError(
            f"{surely_stored} frames were acknowledged, {len(recognised)} were recognised: {lost} are lost"
        )
    if witnessed.repeated:
        raise ShortfallError(f"{witnessed.repeated} results came more than once")
    if not acked:
        raise ShortfallError("no frame was acknowledged: see the logs of edge and server")
    if must_detect and not any(received.result.detections for received in recognised):
        raise ShortfallError(
            "nothing was detected in the whole clip: is the machine layer's quality too low?"
        )


def _raise_failure_of(task: asyncio.Task[None]) -> None:
    if task.done():
        task.result()


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
