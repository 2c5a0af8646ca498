"""What this server sees of each camera's frames: the last minute, the uplink as it stands, and who is slow.

A camera is watched from the first frame that is stored of it, or from the Hello of one that has stored frames before,
until the store no longer knows it. A name that stores nothing is not watched, so that strangers make no series.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from secondsight.trailing import HOUR, Trailing
from secondsight.verdict import Verdict, verdict_family
from server.camera_state import STALE_S
from server.diagnosis import Measures, judge

_ELSEWHERE_S: Final = 30.0


@dataclass
class Carried:
    """Bytes that a camera's uplink has carried to this server since its start, as far as layers go.

    Attributes:
        frames: that were stored.
        machine: their machine layers.
        stored: their enhancement layers that the edge has sent along, to the server's store.
        fetched: enhancement layers that came later, because somebody wanted to see the frame.
        whole: what it would have been with both layers of every frame, as far as the edge made an enhancement layer.
    """

    frames: int = 0
    machine: int = 0
    stored: int = 0
    fetched: int = 0
    whole: int = 0

    def store(self, machine: int, enhancement: int, *, came_along: bool) -> None:
        """A frame was stored."""
        self.frames += 1
        self.machine += machine
        self.whole += machine + enhancement
        if came_along:
            self.stored += enhancement


@dataclass
class CameraFlow:
    """One camera. Times in seconds.

    Attributes:
        last_stored_at: wall clock; None before a frame was stored since the start of this server.
        awaiting: frames in the store that await the task that is furthest behind; None while that is not known.
        came_again_at: wall clock of the first frame stored here after a while without any.
        credits, backlog: as last told to the edge, and as last seen.
        views: pictures served in the last hour, by view.
        clock_behind: by which a frame's way from its edge's first write to the store seems to take, over two clocks.
    """

    connected: bool = False
    last_stored_at: float | None = None
    came_again_at: float | None = None
    credits: int = 0
    backlog: int = 0
    awaiting: int | None = None
    clock_behind: float | None = None
    frames: Trailing = field(default_factory=Trailing)
    bytes: Trailing = field(default_factory=Trailing)
    results: Trailing = field(default_factory=Trailing)
    refused: defaultdict[str, Trailing] = field(default_factory=lambda: defaultdict(Trailing))
    uplinks: Trailing = field(default_factory=lambda: Trailing(HOUR))
    edge_wait: Trailing = field(default_factory=Trailing)
    store_wait: Trailing = field(default_factory=Trailing)
    carried: Carried = field(default_factory=Carried)
    views: defaultdict[str, Trailing] = field(default_factory=lambda: defaultdict(lambda: Trailing(HOUR)))
    looks: Trailing = field(default_factory=Trailing)
    full_looks: Trailing = field(default_factory=Trailing)

    def store(self, bytes_: int, edge_wait: float, store_wait: float, way: float) -> None:
        """A frame was stored: the bytes of its machine layer, how long it waited at the edge for the uplink and here
        for the store, and `way`, from its first write to here."""
        now = time.time()
        if self.last_stored_at is None or now - self.last_stored_at > STALE_S:
            self.came_again_at = now
        self.last_stored_at = now
        self.frames.add()
        self.bytes.add(bytes_)
        self.edge_wait.add(edge_wait)
        self.store_wait.add(store_wait)
        self.clock_behind = way

    def look(self, backlog: int, credits: int, limit: int) -> None:
        """The uplink as it stands."""
        self.backlog, self.credits = backlog, credits
        self.looks.add()
        self.full_looks.add(float(2 * backlog > limit))

    @property
    def ours(self) -> bool:
        """Whether it is for this server to judge: no other has the camera's uplink, as far as the store shows."""
        return self.connected or time.time() - (self.last_stored_at or 0.0) > _ELSEWHERE_S

    @property
    def verdict(self) -> Verdict:
        """Who is slow, as far as it shows here."""
        frames = self.frames.total
        return judge(
            Measures(
                connected=self.connected,
                silent=None if self.last_stored_at is None else time.time() - self.last_stored_at,
                frames=frames,
                edge_wait=self.edge_wait.total / frames if frames else 0.0,
                store_wait=self.store_wait.total / frames if frames else 0.0,
                looks=self.looks.total,
                full_looks=self.full_looks.total,
                backlog=self.backlog,
            )
        )


class Flows(Collector):
    """All cameras that are watched, for Prometheus."""

    def __init__(self) -> None:
        self._cameras: dict[str, CameraFlow] = {}

    def watch(self, camera_id: str) -> CameraFlow:
        """The flow of a camera that the store knows."""
        return self._cameras.setdefault(camera_id, CameraFlow())

    def all(self) -> dict[str, CameraFlow]:
        """Every camera that is watched."""
        return dict(self._cameras)

    def find(self, camera_id: str) -> CameraFlow | None:
        """The flow of a camera that is watched."""
        return self._cameras.get(camera_id)

    def forget(self, camera_id: str) -> None:
        """Watch a camera no longer."""
        self._cameras.pop(camera_id, None)

    def collect(self) -> Iterator[Metric]:
        """One family per measure."""
        cameras = self.all()
        for name, told, value in _GAUGES:
            family = GaugeMetricFamily(f"secondsight_{name}", told, labels=["camera"])
            for camera_id, flow in cameras.items():
                amount = value(flow)
                if amount is not None:
                    family.add_metric([camera_id], float(amount))
            yield family
        now = GaugeMetricFamily("secondsight_time_seconds", "Wall clock of this host at the scrape.")
        now.add_metric([], time.time())
        yield now
        refused = GaugeMetricFamily(
            "secondsight_frames_refused_last_minute",
            "Frames answered with a Nack in the last minute, by reason.",
            labels=["camera", "reason"],
        )
        for camera_id, flow in cameras.items():
            for reason, trailing in sorted(flow.refused.items()):
                refused.add_metric([camera_id, reason], trailing.total)
        yield refused
        yield verdict_family(
            "secondsight_verdict",
            {camera_id: flow.verdict for camera_id, flow in cameras.items() if flow.ours},
        )


_GAUGES: Final[tuple[tuple[str, str, Callable[[CameraFlow], float | None]], ...]] = (
    ("camera_connected", "1 while the camera's uplink is open here.", lambda flow: flow.connected),
    ("last_frame_timestamp_seconds", "When its last frame was stored.", lambda flow: flow.last_stored_at),
    ("credits", "Frames that its edge may have under way.", lambda flow: flow.credits),
    ("stored_per_second", "Frames stored over the last minute.", lambda flow: flow.frames.per_second),
    (
        "recognised_per_second",
        "Results added to the store over the last minute, whoever made them.",
        lambda flow: flow.results.per_second,
    ),
    (
        "stored_bits_per_second",
        "Bits of machine layers stored over the last minute.",
        lambda flow: 8 * flow.bytes.per_second,
    ),
    ("uplinks_last_hour", "Uplinks opened in the last hour.", lambda flow: flow.uplinks.total),
    (
        "uplink_way_seconds",
        "First write at the edge to store of the last frame, over two clocks.",
        lambda flow: flow.clock_behind,
    ),
)
