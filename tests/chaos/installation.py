"""Edges, server, worker, store and cameras as processes of their own, with proxies on the links between them."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import redis

from secondsight.demo.processes import SERVER_READY, STORE_READY, Child, Children, free_ports
from tests.chaos import camera
from tests.chaos.observer import Observer, Subscriber, watching
from tests.chaos.proxy import Proxy
from tests.chaos.witness import Witness

ROOT: Final = Path(__file__).parents[2]
StoreKind = Literal["valkey", "redis"]

EDGE_READY: Final = r"^ready camera="
WORKER_READY: Final = r"^worker ready|^ready"
_REDIS_READY: Final = r"Ready to accept connections"
_FAKETIME: Final = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")


@functools.cache
def offers(command: str, option: str) -> bool:
    """Whether `secondsight COMMAND` has an option."""
    program = str(Path(sysconfig.get_path("scripts"), "secondsight"))
    told = subprocess.run(
        [program, command, "--help"], capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"}
    )
    return option in told.stdout.replace(",", " ").split()


@functools.cache
def faketime() -> Path | None:
    """The library that sets a process's clock apart from this machine's; None where it is not installed."""
    found = [path for pattern in _FAKETIME for path in Path("/").glob(pattern.removeprefix("/"))]
    return found[0] if found else None


def redis_server() -> str | None:
    """Debian's server, or another of its name; None where there is none."""
    return shutil.which("redis-server")


@dataclass(frozen=True)
class EdgePlan:
    """One camera and how its edge is run.

    Attributes:
        clip: a recording; None is a network camera of numbered pictures.
        rate: pictures a second of the network camera.
        options: of `secondsight edge`, beside addresses.
    """

    camera: str
    clip: Path | None = None
    rate: float = 2.0
    options: tuple[str, ...] = ()


@dataclass
class Part:
    """A process, and how it says that it is ready."""

    child: Child
    ready: str

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal that ends it, and wait for that."""
        os.kill(self.child.pid, number)
        await self.child.ended()

    async def restart(self) -> None:
        """Start it again and wait until it is ready."""
        # How often is up to the schedule, not to the limit that a demo has.
        self.child.restarts = 0
        self.child.restart()
        await self.child.ready(self.ready)

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """Meanwhile it does nothing, and its connections stay open."""
        os.kill(self.child.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.child.pid, signal.SIGCONT)


@dataclass
class Life:
    """What one edge process counted, from its start to an orderly end."""

    camera: str
    counts: dict[str, Any]

    def unaccounted(self) -> int:
        """Captured frames that were neither acknowledged nor dropped with a reason nor are waiting."""
        counts = self.counts
        return int(
            counts["captured"]
            + counts.get("recovered", 0)
            - counts["acked"]
            - sum(counts["dropped"].values())
            - counts["unacknowledged"]
        )


@dataclass
class Edge:
    """An edge and its camera."""

    plan: EdgePlan
    part: Part
    summary: Path
    clock: Path
    lens: Part | None = None
    rtsp: Proxy | None = None


@dataclass
class Installation:
    """Everything between cameras and subscribers. `running` makes one."""

    folder: Path
    children: Children
    links: AsyncExitStack
    store_kind: StoreKind
    witness: Witness
    uplink: Proxy
    server_store: Proxy
    edge_store: Proxy
    store_port: int
    grpc_port: int
    http_port: int
    frames_kept: int
    recogniser: str
    store: Part = field(init=False)
    server: Part = field(init=False)
    worker: Part | None = None
    edges: dict[str, Edge] = field(default_factory=dict)
    lives: list[Life] = field(default_factory=list)
    client: redis.Redis = field(init=False)
    observer: Observer = field(init=False)
    subscriber: Subscriber = field(init=False)
    began: float = field(default_factory=time.monotonic)

    @property
    def parts(self) -> dict[str, Part]:
        """What runs, by name."""
        parts = {"store": self.store, "server": self.server}
        if self.worker is not None:
            parts["worker"] = self.worker
        parts |= {f"edge {name}": edge.part for name, edge in self.edges.items()}
        return parts

    async def start(self) -> None:
        """Store, server and worker; edges are started one by one."""
        self.client = redis.Redis(port=self.store_port)
        self.store = Part(*self._start_store())
        await self.store.child.ready(self.store.ready)
        store_url = f"redis://127.0.0.1:{self.server_store.port}/0"
        apart = offers("server", "--no-worker")
        self.server = Part(
            self.children.start(
                "server",
                *("server", "--store", store_url),
                *("--grpc", f"127.0.0.1:{self.grpc_port}", "--http", f"127.0.0.1:{self.http_port}"),
                *("--frames-kept", str(self.frames_kept), "--results-kept", str(self.frames_kept)),
                *("--codec-threads", "1", "--recogniser", self.recogniser),
                *(("--no-worker",) if apart else ()),
            ),
            SERVER_READY,
        )
        await self.server.child.ready(SERVER_READY)
        if apart:
            self.worker = Part(
                self.children.start(
                    "worker",
                    *("worker", "--store", store_url, "--recogniser", self.recogniser),
                    *("--codec-threads", "1"),
                ),
                WORKER_READY,
            )
            await self.worker.child.ready(WORKER_READY)

    async def start_edge(self, plan: EdgePlan) -> Edge:
        """A camera and its edge."""
        folder = self.folder / plan.camera
        folder.mkdir()
        summary, clock = folder / "summary.json", folder / "clock"
        clock.write_text("+0")
        lens, rtsp, source = None, None, str(plan.clip)
        if plan.clip is None:
            port = free_ports(0)[0]
            rtsp = await self.links.enter_async_context(Proxy(port))
            source = f"rtsp://127.0.0.1:{rtsp.port}/numbers"
            lens = Part(
                self.children.start(
                    f"camera-{plan.camera}",
                    *("-m", "tests.chaos.camera", str(port), str(plan.rate), str(self.began)),
                    program=sys.executable,
                    environment={"PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}:{os.environ.get('PYTHONPATH', '')}"},
                ),
                camera.READY,
            )
            await lens.child.ready(camera.READY)
        child = self.children.start(
            f"edge-{plan.camera}",
            *("edge", "--camera", plan.camera, "--source", source, "--summary", str(summary)),
            *("--server", f"127.0.0.1:{self.uplink.port}"),
            *("--store", f"redis://127.0.0.1:{self.edge_store.port}/0"),
            *plan.options,
            environment=_own_clock(clock) if plan.clip is None else {},
        )
        edge = Edge(plan, Part(child, EDGE_READY), summary, clock, lens, rtsp)
        self.edges[plan.camera] = edge
        await child.ready(EDGE_READY)
        return edge

    async def end_edge(self, edge: Edge) -> Life:
        """End an edge in order, or wait for the end of its recording; what it counted."""
        if edge.plan.clip is None:
            os.kill(edge.part.child.pid, signal.SIGTERM)
        code = await edge.part.child.ended()
        if code != 0:
            raise edge.part.child.failure(f"ended with {code}")
        life = Life(edge.plan.camera, json.loads(edge.summary.read_text()))
        self.lives.append(life)
        return life

    def store_pid(self) -> int:
        """Of the server that holds the data; Valkey's supervisor is another process."""
        info: Any = self.client.info("server")
        return int(info["process_id"])

    async def store_answers(self) -> None:
        """Wait until the store does."""
        while True:
            try:
                await asyncio.to_thread(self.client.ping)
            except (redis.ConnectionError, redis.TimeoutError):
                await asyncio.sleep(0.05)
            else:
                return

    async def settled(self, within_s: float = 120.0) -> None:
        """Wait until all that is stored is recognised and was seen by observer and subscriber."""
        async with asyncio.timeout(within_s):
            while not self._all_seen():  # noqa: ASYNC110  # what is waited for is in other processes
                await asyncio.sleep(0.05)
            # What was about to come twice has come.
            await asyncio.sleep(0.5)
            await self.observer.look()

    def _all_seen(self) -> bool:
        for name, said in self.witness.cameras.items():
            seen = self.observer.cameras[name]
            stored = {entry for entry, _ in seen.stored}
            recognised = {entry for entry, _ in seen.results}
            delivered = set(self.subscriber.got[name])
            if not (said.acked <= stored and stored <= recognised and recognised <= delivered):
                return False
        return True

    def _start_store(self) -> tuple[Child, str]:
        data = self.folder / "store"
        if self.store_kind == "valkey":
            return (
                self.children.start("store", *("store", "--data", str(data), "--port", str(self.store_port))),
                STORE_READY,
            )
        program = redis_server()
        assert program is not None
        data.mkdir()
        settings: Sequence[str] = (
            *("--port", str(self.store_port), "--bind", "127.0.0.1", "--dir", str(data), "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "always"),
            *("--maxmemory", "512mb", "--maxmemory-policy", "volatile-ttl"),
        )
        return self.children.start("store", *settings, program=program), _REDIS_READY


@asynccontextmanager
async def running(
    folder: Path,
    plans: Sequence[EdgePlan],
    store_kind: StoreKind = "valkey",
    frames_kept: int = 1000,
    recogniser: str = "none",
) -> AsyncIterator[Installation]:
    """An installation that takes frames; everything ends with the context.

    Args:
        recogniser: `none` goes the same way as any other, and costs nothing.
    """
    store_port, grpc_port, http_port = free_ports(0, 0, 0)
    witness = Witness()
    async with AsyncExitStack() as stack:
        uplink, server_store, edge_store = [
            await stack.enter_async_context(proxy)
            for proxy in (Proxy(grpc_port, witness.tap), Proxy(store_port), Proxy(store_port))
        ]
        # Ended before the links between them, and off this loop, which has to go on passing bytes meanwhile.
        children = Children(folder / "logs")
        children.__enter__()
        stack.push_async_callback(asyncio.to_thread, children.__exit__, None, None, None)
        site = Installation(
            folder=folder,
            children=children,
            links=stack,
            store_kind=store_kind,
            witness=witness,
            uplink=uplink,
            server_store=server_store,
            edge_store=edge_store,
            store_port=store_port,
            grpc_port=grpc_port,
            http_port=http_port,
            frames_kept=frames_kept,
            recogniser=recogniser,
        )
        await site.start()
        stack.callback(site.client.close)
        site.observer = Observer(f"redis://127.0.0.1:{store_port}/0")
        site.subscriber = Subscriber(f"127.0.0.1:{grpc_port}")
        await stack.enter_async_context(watching(site.observer, site.subscriber))
        for plan in plans:
            await site.start_edge(plan)
        yield site


def _own_clock(clock: Path) -> dict[str, str]:
    """Environment of a process whose wall clock is set by the file `clock`."""
    library = faketime()
    if library is None:
        return {}
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        # Waits go by the monotonic clock, which no administrator steps.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
