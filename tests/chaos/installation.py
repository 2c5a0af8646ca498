"""Edges, server, worker, store and cameras as processes of their own, with proxies on the links between them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import sysconfig
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import redis
import yaml

from secondsight.demo.processes import SERVER_READY, STORE_READY, Child, Children, free_ports
from shared_models import Codec, load_codec
from tests.chaos import camera
from tests.chaos.observer import Observer, Subscriber, watching
from tests.chaos.proxy import Proxy
from tests.chaos.unruly import UnrulyCamera
from tests.chaos.witness import Witness

ROOT: Final = Path(__file__).parents[2]
StoreKind = Literal["valkey", "redis"]

EDGE_READY: Final = r"^ready cameras="
WORKER_READY: Final = r"^ready worker="
_SMALL_CACHES: Final = ("--pictures-memory", "4mb", "--keys-memory", "24mb")
"""They are full after a minute, so that what grows after that is no cache."""
_REDIS_READY: Final = r"Ready to accept connections"
_FAKETIME: Final = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")


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
        settings: of the camera in the edge's site file, beside addresses.
        spool_bytes: limit of its spool; None gives it none.
    """

    camera: str
    clip: Path | None = None
    rate: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    spool_bytes: int | None = None


@dataclass
class Part:
    """A process, and how it says that it is ready. Whoever ends it holds `ending` until it runs again."""

    child: Child
    ready: str
    ending: asyncio.Lock = field(default_factory=asyncio.Lock)

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
        async with frozen(self.child.pid):
            yield


@asynccontextmanager
async def frozen(pid: int) -> AsyncIterator[None]:
    """Stop a process meanwhile; it may be killed by somebody else."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


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
            + counts["inherited"]
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
    clock_offset_s: int = 0


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
    guarded: bool
    apart: bool
    analyst_key: str | None = field(default=None, init=False)
    store: Part = field(init=False)
    server: Part = field(init=False)
    worker: Part | None = field(default=None, init=False)
    edges: dict[str, Edge] = field(default_factory=dict)
    lives: list[Life] = field(default_factory=list)
    lost_lives: int = 0
    spooled: defaultdict[str, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    breaches: list[str] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    _unruly: int = 0
    longest_absence_s: float = 20.0
    spool_full_s: float = 25.0
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
        return parts | {f"edge {name}": edge.part for name, edge in self.edges.items()}

    async def start(self) -> None:
        """Store, server and worker; edges are started one by one."""
        self.client = redis.Redis(port=self.store_port, socket_timeout=2.0)
        self.store = Part(*self._start_store())
        await self.store.child.ready(self.store.ready)
        store_url = f"redis://127.0.0.1:{self.server_store.port}/0"
        if self.guarded:
            self.analyst_key = await self._access("user", "add", "analyst", then=("user", "key", "analyst"))
        self.server = Part(
            self.children.start(
                "server",
                *("server", "--store", store_url, "--data", str(self.folder / "data")),
                *("--grpc", f"127.0.0.1:{self.grpc_port}", "--http", f"127.0.0.1:{self.http_port}"),
                *("--frames-kept", str(self.frames_kept), "--results-kept", str(self.frames_kept)),
                *("--codec-threads", "1", *_SMALL_CACHES),
                *(("--access", str(self.access_file)) if self.guarded else ()),
                *(("--no-worker",) if self.apart else ("--recogniser", self.recogniser)),
            ),
            SERVER_READY,
        )
        if self.apart:
            self.worker = Part(
                self.children.start(
                    "worker",
                    *("worker", "--store", store_url, "--http", "127.0.0.1:0"),
                    *("--recogniser", self.recogniser, "--codec-threads", "1", *_SMALL_CACHES),
                ),
                WORKER_READY,
            )
            await self.worker.child.ready(WORKER_READY)
        await self.server.child.ready(SERVER_READY)

    @property
    def access_file(self) -> Path:
        """Who may do what on this installation."""
        return self.folder / "access.json"

    async def token(self, camera: str) -> str | None:
        """A fresh token for a camera; None where nobody asks for one."""
        return await self._access("camera", "add", camera) if self.guarded else None

    async def revoke(self, camera: str) -> None:
        """Take a camera's tokens from it."""
        await self._access("camera", "revoke", camera)

    async def _access(self, *arguments: str, then: tuple[str, ...] = ()) -> str:
        """The last line that `secondsight access ARGUMENTS` prints."""
        program = str(Path(sysconfig.get_path("scripts"), "secondsight"))
        where = ("--data", str(self.folder / "data"), "--file", str(self.access_file))
        process = await asyncio.create_subprocess_exec(
            program, "access", *arguments, *where, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        told, problem = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"secondsight access {' '.join(arguments)}: {problem.decode()}")
        return await self._access(*then) if then else told.decode().splitlines()[-1] if told else ""

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
        site_file = folder / "site.yaml"
        settings: dict[str, Any] = {
            "source": source,
            "server": f"127.0.0.1:{self.uplink.port}",
            "store": f"redis://127.0.0.1:{self.edge_store.port}/0",
            **plan.settings,
        }
        if plan.spool_bytes is not None:
            settings["spool"] = {"folder": str(folder / "spool"), "max_bytes": plan.spool_bytes}
        token = await self.token(plan.camera)
        if token is not None:
            (folder / "token").write_text(token)
            settings["token_file"] = str(folder / "token")
        site_file.write_text(yaml.safe_dump({"cameras": {plan.camera: settings}, "encoders": 1}))
        child = self.children.start(
            f"edge-{plan.camera}",
            *("edge", "--config", str(site_file), "--summary", str(summary)),
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
        life = Life(edge.plan.camera, json.loads(edge.summary.read_text())["cameras"][edge.plan.camera])
        self.lives.append(life)
        return life

    async def ask_store(self, ask: Callable[[redis.Redis], Any]) -> Any:
        """Ask until the store answers; it may be frozen or away."""
        while True:
            try:
                return await asyncio.to_thread(ask, self.client)
            except (redis.ConnectionError, redis.TimeoutError):
                await asyncio.sleep(0.05)

    async def store_pid(self) -> int:
        """Of the server that holds the data; Valkey's supervisor is another process."""
        info = await self.ask_store(lambda client: client.info("server"))
        return int(info["process_id"])

    @staticmethod
    @functools.cache
    def codec() -> Codec:
        """What the processes load."""
        return load_codec("lite", device="cpu")

    def unruly_name(self, kind: str) -> str:
        """Name of a camera that nobody else has."""
        self._unruly += 1
        return f"{kind}-{self._unruly}"

    async def unruly(self, kind: str) -> UnrulyCamera:
        """A client that does not keep to the rules, as a camera of its own."""
        camera = self.unruly_name(kind)
        target, codec = f"127.0.0.1:{self.uplink.port}", self.codec()
        return UnrulyCamera(target, camera, codec, await self.token(camera))

    def note_spool(self, edge: Edge) -> None:
        """Remember which frames lie in an edge's spool while no process has it."""
        path = self.folder / edge.plan.camera / "spool" / edge.plan.camera / "frames.db"
        if edge.plan.spool_bytes is None or not path.exists():
            return
        with contextlib.closing(sqlite3.connect(path)) as spool:
            self.spooled[edge.plan.camera].update(spool.execute("SELECT captured_at_ns, pts_us FROM frame"))

    def lost_from_spool(self, camera: str) -> set[tuple[int, int]]:
        """Frames that were noted and never stored: by their times, which are theirs alone."""
        stored = {
            (frame.captured_at.ToNanoseconds(), frame.pts_us)
            for _, frame in self.observer.cameras[camera].stored
        }
        return self.spooled[camera] - stored

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
    guarded: bool = False,
    apart: bool = False,
) -> AsyncIterator[Installation]:
    """An installation that takes frames; everything ends with the context.

    Args:
        recogniser: `none` goes the same way as any other, and costs nothing.
        guarded: cameras and subscribers are asked who they are.
        apart: the worker is a process of its own, not within the server.
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
            guarded=guarded,
            apart=apart,
        )
        await site.start()
        stack.callback(site.client.close)
        site.observer = Observer(f"redis://127.0.0.1:{store_port}/0")
        site.subscriber = Subscriber(f"127.0.0.1:{grpc_port}", site.analyst_key)
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
