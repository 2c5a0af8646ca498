"""What an edge counts, for its status line, its summary and Prometheus."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge.errors import ConfigError
from edge.spending import Spending

_RECENT_ENCODES: Final = 4096


class DropReason:
    """Why a captured frame was not stored by the server; also the label of the metric."""

    ENCODER_SLOW: Final = "encoder_slow"
    UPLINK_SLOW: Final = "uplink_slow"
    ENCODE_FAILED: Final = "encode_failed"
    TOO_LARGE: Final = "too_large"
    KEY_LOST: Final = "key_lost"
    RATE: Final = "rate"
    BUDGET: Final = "budget"
    STOPPED: Final = "stopped"

    @staticmethod
    def refused(reason: str) -> str:
        """A frame that the server refused: `reason` as in NACK_REASON_ORDER."""
        return "nack_" + reason.removeprefix("NACK_REASON_").lower()


class KeyCause:
    """Why a key frame was asked for, beside the encoder's own reasons; also the label of the metric."""

    SERVER: Final = "server"
    LOST: Final = "lost"
    SESSION: Final = "session"
    STORE: Final = "store"


@dataclass(frozen=True, slots=True)
class RateReport:
    """What rate control is asked for, and where it stands.

    Attributes:
        allowed_kbit_s: the target, or what is left of the day's budget over the rest of the day if that is less.
        machine_level, human_level: levels of the frames that are coded now.
    """

    target_kbit_s: float | None
    budget_bytes: int | None
    allowed_kbit_s: float
    machine_level: int
    human_level: int


@dataclass(slots=True)
class Tally:
    """Counts since the start. Every captured frame ends as acked, dropped or unacknowledged.

    The capture thread counts captured and dropped frames, the event loop the rest; any thread may read.

    Attributes:
        sent: frames written on the uplink at least once.
        sent_predicted: those among them that are predicted from a key frame.
        resent: frames written again after a lost connection.
        presumed: frames among the acked ones that the server passed, but whose own answer was lost with its
            connection. All but those that it refused just then are stored.
        machine_bytes: of the frames that were sent, each counted once.
        enhancement_bytes: that the store has taken, each frame counted once.
        enhancements_failed: enhancement layers that the store did not take in time for their frame, or that would
            have been of no use because their key frame's is not there.
        key_requests: key frames that were asked for, by cause.
        encoded_predicted, changed: frames that were coded against a key frame, and the sum of the shares of the picture
            that differed.
        spending: what went over the uplink, each sending counted.
        rate: what it was asked to be; None without rate control.
    """

    captured: int = 0
    encoded: int = 0
    sent: int = 0
    sent_predicted: int = 0
    resent: int = 0
    acked: int = 0
    presumed: int = 0
    unacknowledged: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    key_requests: Counter[str] = field(default_factory=Counter)
    machine_bytes: int = 0
    enhancement_bytes: int = 0
    enhancements_failed: int = 0
    connections: int = 0
    connected: bool = False
    source_reconnects: int = 0
    encoded_predicted: int = 0
    changed: float = 0.0
    spending: Spending = field(default_factory=Spending)
    rate: RateReport | None = None
    encode_us: deque[int] = field(default_factory=lambda: deque(maxlen=_RECENT_ENCODES))
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def drop(self, reason: str) -> None:
        """Count one dropped frame."""
        with self._lock:
            self.dropped[reason] += 1

    def drops(self) -> dict[str, int]:
        """Dropped frames by reason, sorted."""
        with self._lock:
            return dict(sorted(self.dropped.items()))

    def summary(self) -> dict[str, object]:
        """The counts as JSON would have them; encode times in milliseconds over the latest 4096 frames."""
        return {
            "captured": self.captured,
            "encoded": self.encoded,
            "sent": self.sent,
            "sent_predicted": self.sent_predicted,
            "resent": self.resent,
            "acked": self.acked,
            "presumed": self.presumed,
            "unacknowledged": self.unacknowledged,
            "dropped": self.drops(),
            "key_requests": dict(sorted(self.key_requests.items())),
            "machine_bytes": self.machine_bytes,
            "enhancement_bytes": self.enhancement_bytes,
            "enhancements_failed": self.enhancements_failed,
            "changed": round(self.changed / self.encoded_predicted, 4) if self.encoded_predicted else None,
            "uplink": self._uplink(),
            "connections": self.connections,
            "source_reconnects": self.source_reconnects,
            "encode_ms": {"p50": self._encode_ms(50), "p95": self._encode_ms(95)},
        }

    def status_line(self) -> str:
        """The counts in one line for people."""
        dropped = ", ".join(f"{reason} {count}" for reason, count in self.drops().items()) or "none"
        encode_ms = self._encode_ms(50)
        return (
            f"{'connected' if self.connected else 'not connected'}; captured {self.captured}, sent {self.sent} "
            f"({self.sent_predicted} predicted), acked {self.acked}, waiting {self.unacknowledged}, "
            f"dropped: {dropped}; machine {self.machine_bytes / 1e3:.1f} kB, "
            f"enhancement {self.enhancement_bytes / 1e3:.1f} kB; {self._rate_line()}; "
            f"encode {'-' if encode_ms is None else f'{encode_ms:.0f} ms'}"
        )

    def _rate_line(self) -> str:
        """Spent and, behind "of", asked for."""
        rate, minute = self.rate, f"last minute {_kbit_s(self.spending.minute_bytes):.1f}"
        today = f"today {self.spending.today_bytes / 1e6:.2f}"
        if rate is None:
            return f"{minute} kbit/s, {today} MB"
        budget = "" if rate.budget_bytes is None else f" of {rate.budget_bytes / 1e6:.2f}"
        return (
            f"{minute} of {rate.allowed_kbit_s:.1f} kbit/s, {today}{budget} MB, "
            f"levels {rate.machine_level} and {rate.human_level}"
        )

    def _uplink(self) -> dict[str, object]:
        spending, rate = self.spending, self.rate
        spent: dict[str, object] = {
            "last_minute_kbit_s": round(_kbit_s(spending.minute_bytes), 3),
            "peak_minute_kbit_s": round(_kbit_s(spending.peak_minute_bytes), 3),
            "bytes_by_day": spending.days,
        }
        if rate is not None:
            spent["target_kbit_s"] = rate.target_kbit_s
            spent["daily_budget_bytes"] = rate.budget_bytes
        return spent

    def _encode_ms(self, percentile: float) -> float | None:
        if not self.encode_us:
            return None
        return round(float(np.percentile(self.encode_us, percentile)) / 1e3, 3)


def _kbit_s(minute_bytes: int) -> float:
    return minute_bytes * 8 / 60 / 1e3


class TallyCollector(Collector):
    """Shows a tally to Prometheus at each scrape."""

    def __init__(self, camera_id: str, tally: Tally) -> None:
        self._camera_id = camera_id
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """One family per count, labelled with the camera."""
        tally, camera = self._tally, [self._camera_id]
        for name in ("captured", "encoded", "sent", "sent_predicted", "resent", "acked", "presumed"):
            family = CounterMetricFamily(
                f"secondsight_edge_frames_{name}", f"Frames {name}.", labels=["camera"]
            )
            family.add_metric(camera, getattr(tally, name))
            yield family
        dropped = CounterMetricFamily(
            "secondsight_edge_frames_dropped", "Frames dropped, by reason.", labels=["camera", "reason"]
        )
        for reason, count in tally.drops().items():
            dropped.add_metric([self._camera_id, reason], count)
        yield dropped
        keys = CounterMetricFamily(
            "secondsight_edge_key_requests", "Key frames asked for, by cause.", labels=["camera", "cause"]
        )
        for cause in (KeyCause.SERVER, KeyCause.LOST, KeyCause.SESSION, KeyCause.STORE):
            keys.add_metric([self._camera_id, cause], tally.key_requests[cause])
        yield keys
        layers = CounterMetricFamily(
            "secondsight_edge_layer_bytes", "Bytes sent or stored, by layer.", labels=["camera", "layer"]
        )
        layers.add_metric([self._camera_id, "machine"], tally.machine_bytes)
        layers.add_metric([self._camera_id, "enhancement"], tally.enhancement_bytes)
        yield layers
        failed = CounterMetricFamily(
            "secondsight_edge_enhancements_failed",
            "Enhancement layers the store did not take.",
            labels=["camera"],
        )
        failed.add_metric(camera, tally.enhancements_failed)
        yield failed
        for name, help_text, value in (
            ("connections", "Streams that the server has welcomed.", tally.connections),
            ("source_reconnects", "Times that a live source was opened again.", tally.source_reconnects),
        ):
            family = CounterMetricFamily(f"secondsight_edge_{name}", help_text, labels=["camera"])
            family.add_metric(camera, value)
            yield family
        for name, help_text, amount in self._rate_gauges():
            gauge = GaugeMetricFamily(f"secondsight_edge_{name}", help_text, labels=["camera"])
            gauge.add_metric(camera, amount)
            yield gauge
        for name, help_text, value in (
            ("unacknowledged_frames", "Encoded frames waiting for the server.", tally.unacknowledged),
            ("connected", "1 while the server has welcomed this edge.", tally.connected),
        ):
            gauge = GaugeMetricFamily(f"secondsight_edge_{name}", help_text, labels=["camera"])
            gauge.add_metric(camera, float(value))
            yield gauge

    def _rate_gauges(self) -> Iterator[tuple[str, str, float]]:
        spending, rate = self._tally.spending, self._tally.rate
        yield "uplink_minute_bits", "Bits put on the uplink in the last minute.", spending.minute_bytes * 8.0
        yield "uplink_today_bytes", "Bytes put on the uplink since midnight UTC.", float(spending.today_bytes)
        if rate is None:
            return
        yield "rate_allowed_bits", "Bits per second that are allowed now.", rate.allowed_kbit_s * 1e3
        if rate.target_kbit_s is not None:
            yield "rate_target_bits", "Bits per second that were asked for.", rate.target_kbit_s * 1e3
        if rate.budget_bytes is not None:
            yield "daily_budget_bytes", "Bytes that a day may cost.", float(rate.budget_bytes)
        yield "machine_level", "Level of the machine layer.", float(rate.machine_level)
        yield "human_level", "Level of the human view.", float(rate.human_level)


@contextmanager
def serve_metrics(address: str | None, camera_id: str, tally: Tally) -> Iterator[None]:
    """Serve `tally` at http://`address`/metrics meanwhile; nothing when `address` is None.

    Raises:
        ConfigError: `address` is not HOST:PORT.
    """
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"{address!r} is no address for metrics: give HOST:PORT, as in 127.0.0.1:9410")
    registry = CollectorRegistry()
    registry.register(TallyCollector(camera_id, tally))
    server, thread = start_http_server(int(port), host, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
