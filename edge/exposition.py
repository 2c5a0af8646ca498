"""Tallies of all cameras of a process, for Prometheus."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer
from typing import Final

from prometheus_client import CollectorRegistry, MetricsHandler
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from edge.errors import ConfigError
from edge.metrics import KeyCause, RateReport, SourceState, SpoolReport, Tally
from secondsight.certificates.expiry import expiry
from secondsight.verdict import verdict_family

PREFIX: Final = "secondsight_edge"
_SILENT_S: Final = 10.0
"""So long a connection may be silent: each takes a thread and a descriptor."""

_Labelled = Iterator[tuple[tuple[str, ...], float]]

_FRAMES: Final = ("captured", "encoded", "sent", "sent_predicted", "resent", "acked", "presumed", "inherited")
_KEY_CAUSES: Final = (KeyCause.SERVER, KeyCause.LOST, KeyCause.SESSION, KeyCause.STORE)


def _frames(name: str) -> Callable[[Tally], _Labelled]:
    def count(tally: Tally) -> _Labelled:
        yield (), getattr(tally, name)

    return count


def _one(value: Callable[[Tally], float | None]) -> Callable[[Tally], _Labelled]:
    """The samples of a metric with no label but the camera; none where the value is not known."""

    def sample(tally: Tally) -> _Labelled:
        known = value(tally)
        if known is not None:
            yield (), float(known)

    return sample


def _of_spool(value: Callable[[SpoolReport], float | None]) -> Callable[[Tally], _Labelled]:
    """Likewise; none without a spool."""
    return _one(lambda tally: None if tally.spool is None else value(tally.spool))


def _rate(value: Callable[[RateReport], float | None]) -> Callable[[Tally], _Labelled]:
    """Likewise, of rate control."""
    return _one(lambda tally: None if tally.rate is None else value(tally.rate))


def _spool(value: Callable[[SpoolReport], float | None]) -> Callable[[Tally], _Labelled]:
    """Likewise, of the spool."""
    return _one(lambda tally: None if tally.spool is None else value(tally.spool))


def _dropped(tally: Tally) -> _Labelled:
    for reason, count in tally.drops().items():
        yield (reason,), count


def _dropped_last_minute(tally: Tally) -> _Labelled:
    for reason, count in tally.drops_last_minute().items():
        yield (reason,), count


def _key_requests(tally: Tally) -> _Labelled:
    for cause in _KEY_CAUSES:
        yield (cause,), tally.key_requests[cause]


def _layer_bytes(tally: Tally) -> _Labelled:
    yield ("machine",), tally.machine_bytes
    yield ("enhancement",), tally.enhancement_bytes


def _source_state(tally: Tally) -> _Labelled:
    for state in SourceState:
        yield (state.value,), float(tally.source is state)


_COUNTERS: Final = (
    *((f"frames_{name}", f"Frames {name}.", (), _frames(name)) for name in _FRAMES),
    ("frames_dropped", "Frames dropped, by reason.", ("reason",), _dropped),
    ("key_requests", "Key frames asked for, by cause.", ("cause",), _key_requests),
    ("layer_bytes", "Bytes sent or stored, by layer.", ("layer",), _layer_bytes),
    (
        "enhancements_failed",
        "Enhancement layers the store did not take.",
        (),
        _one(lambda tally: tally.enhancements_failed),
    ),
    *(
        (name, help_text, (), _one(count))
        for name, help_text, count in (
            (
                "enhancements_let_go",
                "Enhancement layers held for a verdict and not kept.",
                lambda tally: tally.enhancements_let_go,
            ),
            (
                "enhancements_wanted",
                "Times that the server wanted a layer kept.",
                lambda tally: tally.enhancements_wanted,
            ),
            ("retains_lost", "Those forgotten while the store was away.", lambda tally: tally.retains_lost),
            ("enhancements_replied", "Layers sent on request.", lambda tally: tally.enhancements_replied),
            ("reply_bytes", "Bytes of layers sent on request.", lambda tally: tally.reply_bytes),
            (
                "enhancement_lacks",
                "Requests for a layer that could not be had.",
                lambda tally: tally.enhancement_lacks,
            ),
        )
    ),
    ("connections", "Streams that the server has welcomed.", (), _one(lambda tally: tally.connections)),
    ("reconnects", "Streams after the first.", (), _one(lambda tally: tally.reconnects)),
    (
        "source_reconnects",
        "Times that a live source was opened again.",
        (),
        _one(lambda tally: tally.source_reconnects),
    ),
    ("restarts", "Times that a camera failed and began again.", (), _one(lambda tally: tally.restarts)),
    (
        "source_freezes",
        "Times that a live source gave no frame in time.",
        (),
        _one(lambda tally: tally.source_freezes),
    ),
    (
        "source_clock_jumps",
        "Times that a live source's clock was too far off this machine's.",
        (),
        _one(lambda tally: tally.source_clock_jumps),
    ),
)

_GAUGES: Final = (
    (
        "uplink_minute_bits",
        "Bits put on the uplink in the last minute.",
        (),
        _one(lambda tally: 8 * tally.spending.minute_bytes),
    ),
    (
        "uplink_today_bytes",
        "Bytes put on the uplink since midnight UTC.",
        (),
        _one(lambda tally: tally.spending.today_bytes),
    ),
    (
        "rate_allowed_bits",
        "Bits per second that are allowed now.",
        (),
        _rate(lambda rate: rate.allowed_kbit_s * 1e3),
    ),
    (
        "rate_target_bits",
        "Bits per second that were asked for.",
        (),
        _rate(lambda rate: None if rate.target_kbit_s is None else rate.target_kbit_s * 1e3),
    ),
    (
        "daily_budget_bytes",
        "Bytes that a day may cost.",
        (),
        _rate(lambda rate: rate.budget_bytes),
    ),
    (
        "machine_level",
        "Level of the machine layer.",
        (),
        _rate(lambda rate: rate.machine_level),
    ),
    (
        "human_level",
        "Level of the human view.",
        (),
        _rate(lambda rate: rate.human_level),
    ),
    (
        "unacknowledged_frames",
        "Encoded frames waiting for the server.",
        (),
        _one(lambda tally: tally.unacknowledged),
    ),
    ("unsent_frames", "Those not yet written on this connection.", (), _one(lambda tally: tally.unsent)),
    (
        "credits",
        "Frames that the server lets be under way; 0 while it pauses this edge.",
        (),
        _one(lambda tally: tally.credits),
    ),
    ("spool_frames", "Frames in the spool.", (), _of_spool(lambda spool: spool.frames)),
    ("spool_bytes", "Bytes in the spool.", (), _of_spool(lambda spool: spool.bytes)),
    (
        "spool_limit_bytes",
        "Bytes that may be in the spool.",
        (),
        _of_spool(lambda spool: spool.limit_bytes),
    ),
    (
        "spool_oldest_seconds",
        "Age of the oldest frame in the spool.",
        (),
        _of_spool(lambda spool: spool.oldest_s),
    ),
    (
        "spool_full",
        "1 while the next frame finds no room in the spool.",
        (),
        _of_spool(lambda spool: spool.full),
    ),
    (
        "spool_failing",
        "1 while the spool's disk takes nothing and frames wait in memory.",
        (),
        _of_spool(lambda spool: spool.failing),
    ),
    ("connected", "1 while the server has welcomed this edge.", (), _one(lambda tally: tally.connected)),
    (
        "source_hung_reads",
        "Reads of a live source that have not come back.",
        (),
        _one(lambda tally: tally.source_hung),
    ),
    ("source_state", "1 for the state that the source is in.", ("state",), _source_state),
    (
        "last_frame_timestamp_seconds",
        "Wall clock of the last captured frame.",
        (),
        _one(lambda tally: tally.last_captured_at),
    ),
    (
        "captured_per_second",
        "Frames captured over the last minute.",
        (),
        _one(lambda tally: tally.captured_minute.per_second),
    ),
    (
        "acked_per_second",
        "Frames acknowledged over the last minute.",
        (),
        _one(lambda tally: tally.acked_minute.per_second),
    ),
    (
        "frames_dropped_last_minute",
        "Frames dropped in the last minute, by reason.",
        ("reason",),
        _dropped_last_minute,
    ),
    (
        "reconnects_last_hour",
        "Streams after the first within the last hour.",
        (),
        _one(lambda tally: tally.reconnects_hour.total),
    ),
    (
        "clock_offset_seconds",
        "By how much this host's clock is ahead of the server's.",
        (),
        _one(lambda tally: tally.clock_offset),
    ),
    (
        "certificate_expiry_timestamp_seconds",
        "When the edge's own certificate ends.",
        (),
        _one(lambda tally: None if tally.certificate is None else expiry(tally.certificate)),
    ),
)


class TallyCollector(Collector):
    """Shows tallies at each scrape. `cameras` may gain and lose entries meanwhile."""

    def __init__(self, cameras: Mapping[str, Tally]) -> None:
        self._cameras = cameras

    def collect(self) -> Iterator[Metric]:
        """One family per count, labelled with the camera."""
        cameras = dict(self._cameras)
        for kind, families in ((CounterMetricFamily, _COUNTERS), (GaugeMetricFamily, _GAUGES)):
            for name, told, labels, samples in families:
                family = kind(f"{PREFIX}_{name}", told, labels=["camera", *labels])
                for camera_id, tally in cameras.items():
                    for values, amount in samples(tally):
                        family.add_metric([camera_id, *values], amount)
                yield family
        stages = HistogramMetricFamily(
            f"{PREFIX}_stage_seconds", "What a frame's stages at the edge take.", labels=["camera", "stage"]
        )
        for camera_id, tally in cameras.items():
            for metric in tally.stages.collect():
                for sample in metric.samples:
                    name = sample.name.replace(metric.name, stages.name, 1)
                    stages.add_sample(name, {"camera": camera_id, **sample.labels}, sample.value)
        yield stages
        yield verdict_family(
            f"{PREFIX}_verdict", {camera_id: tally.verdict for camera_id, tally in cameras.items()}
        )
        now = GaugeMetricFamily(f"{PREFIX}_time_seconds", "Wall clock of this host at the scrape.")
        now.add_metric([], time.time())
        yield now


class _Server(ThreadingHTTPServer):
    """Serves each scraper in a thread of its own."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        # IPv6 where the address is of that kind.
        self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        super().__init__((host, port), _Scrape.factory(registry))


class _Scrape(MetricsHandler):
    timeout = _SILENT_S

    def handle(self) -> None:
        # Whoever goes away in the middle is no matter.
        with suppress(ConnectionError):
            super().handle()


@contextmanager
def serve_metrics(address: str | None, cameras: Mapping[str, Tally]) -> Iterator[None]:
    """Serve the tallies of these cameras at http://`address`/metrics meanwhile; nothing when `address` is None.

    Raises:
        ConfigError: `address` is not HOST:PORT, or cannot be listened at.
    """
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()):
        raise ConfigError(f"{address!r} is no address for metrics: give HOST:PORT, as in 127.0.0.1:9410")
    registry = CollectorRegistry()
    registry.register(TallyCollector(cameras))
    try:
        server = _Server(host, int(port), registry)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"metrics cannot be served at {address} ({getattr(error, 'strerror', None) or error}): "
            "give a free HOST:PORT of this machine (--metrics, `metrics`)"
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
