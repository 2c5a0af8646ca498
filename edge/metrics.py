"""What an edge counts about one camera, for its status line, its summary and Prometheus (`edge.exposition`)."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from prometheus_client import Histogram

from edge.spending import Spending
from secondsight.trailing import HOUR, Trailing
from secondsight.verdict import WELL, Cause, Verdict

_RECENT_ENCODES: Final = 4096
_CLOCK_FOLLOWS: Final = 0.1
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class DropReason:
    """Why a captured frame was not stored by the server; also the label of the metric."""

    ENCODER_SLOW: Final = "encoder_slow"
    UPLINK_SLOW: Final = "uplink_slow"
    ENCODE_FAILED: Final = "encode_failed"
    TOO_LARGE: Final = "too_large"
    KEY_LOST: Final = "key_lost"
    RATE: Final = "rate"
    BUDGET: Final = "budget"
    NO_MOTION: Final = "no_motion"
    STOPPED: Final = "stopped"
    RESTARTED: Final = "restarted"
    SPOOL_FULL: Final = "spool_full"
    SPOOL_AGE: Final = "spool_age"
    SPOOL_DAMAGED: Final = "spool_damaged"

    @staticmethod
    def refused(reason: str) -> str:
        """A frame that the server refused: `reason` as in NACK_REASON_ORDER."""
        return "nack_" + reason.removeprefix("NACK_REASON_").lower()


class SourceState(StrEnum):
    """How a source does; also the label of the metric."""

    OPENING = "opening"
    GIVING = "giving"
    AWAY = "away"
    """It was lost and is opened again and again."""
    FROZEN = "frozen"
    """Likewise, because it gave no frame in time."""
    STILL = "still"
    """It gives the very same picture over and over."""
    ENDED = "ended"
    FAILED = "failed"
    """The camera's edge failed, and begins again soon."""


class Stage(StrEnum):
    """A stretch of a frame's way through the edge; also the label of the metric."""

    CAPTURE = "capture"
    """From capture until an encoder takes it."""
    ENCODE = "encode"
    """Both layers, from pixels to bytes."""
    QUEUE = "queue"
    """From there to its first write on the uplink."""
    ROUND_TRIP = "round_trip"
    """From its write to the Ack that covers it."""


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


@dataclass(frozen=True, slots=True)
class SpoolReport:
    """What waits on disk, and how that disk does.

    Attributes:
        frames, bytes, limit_bytes: that wait, and may.
        in_memory: frames among these that the disk has not taken, and that a restart would lose.
        oldest_s: age of the oldest frame, seconds; None when there is none.
        full: the next frame finds no room: the oldest one goes for it, or it is not taken.
        failing: the disk takes nothing; frames wait in memory.
    """

    frames: int
    bytes: int
    limit_bytes: int
    oldest_s: float | None
    full: bool
    failing: bool
    in_memory: int = 0


@dataclass(slots=True)
class Tally:
    """Counts since the start. Every frame captured or inherited ends as acked, dropped or unacknowledged.

    The capture thread counts captured and dropped frames, the event loop the rest; any thread may read.

    Attributes:
        sent: frames written on the uplink at least once.
        sent_predicted: those among them that are predicted from a key frame.
        resent: frames written again after a lost connection.
        inherited: frames that an earlier process has left in the spool.
        presumed: frames among the acked ones that the server passed, but whose own answer was lost with its
            connection. All but those that it refused just then are stored.
        machine_bytes: of the frames that were sent, each counted once.
        enhancement_bytes: that the store has taken, each frame counted once.
        enhancements_failed: enhancement layers that the store did not take in time for their frame, or that would
            have been of no use because their key frame's is not there.
        enhancements_let_go: layers that were held for a verdict and are not kept.
        enhancements_wanted: times that the server wanted a layer kept for longer.
        retains_lost: those among them that were forgotten while the store was away.
        enhancements_replied, reply_bytes: layers that went over the uplink because somebody asked for them.
        enhancement_lacks: requests for a layer that could not be had.
        key_requests: key frames that were asked for, by cause.
        encoded_predicted, changed: frames that were coded against a key frame, and the sum of the shares of the picture
            that differed.
        spending: what went over the uplink, each sending counted.
        rate: what it was asked to be; None without rate control.
        spool: how the spool does; None without one.
        source: how the source does.
        source_freezes: times that a live source gave no frame in time.
        source_hung: reads of it that were left behind and have not come back.
        source_clock_jumps: times that its clock was too far off this machine's to be followed.
        live: the source has its own pace.
        last_captured_at: wall clock, seconds since the epoch; None before the first frame.
        last_captured: likewise, on the monotonic clock.
        unsent, under_way, credits: of the queue that waits for the uplink, as it stands on the present connection.
        clock_offset: seconds by which this host's clock is ahead of the server's, or its answers are late; None until
            the server told its own.
        stages: seconds by stage.
        reconnects: connections after the first.
        restarts: times that the camera's edge failed and began again.
        certificate: file of the edge's own certificate; None where it shows none.
        refusal: why the server does not have this edge, with the remedy; empty when it does, or cannot be reached.
        verdict: which part is slow, by the rules of `edge.diagnosis`.
    """

    captured: int = 0
    encoded: int = 0
    sent: int = 0
    sent_predicted: int = 0
    resent: int = 0
    acked: int = 0
    inherited: int = 0
    presumed: int = 0
    unacknowledged: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    key_requests: Counter[str] = field(default_factory=Counter)
    machine_bytes: int = 0
    enhancement_bytes: int = 0
    enhancements_failed: int = 0
    enhancements_let_go: int = 0
    enhancements_wanted: int = 0
    retains_lost: int = 0
    enhancements_replied: int = 0
    reply_bytes: int = 0
    enhancement_lacks: int = 0
    connections: int = 0
    connected: bool = False
    source_reconnects: int = 0
    restarts: int = 0
    source_freezes: int = 0
    source_hung: int = 0
    source_clock_jumps: int = 0
    encoded_predicted: int = 0
    changed: float = 0.0
    spending: Spending = field(default_factory=Spending)
    rate: RateReport | None = None
    spool: SpoolReport | None = None
    encode_us: deque[int] = field(default_factory=lambda: deque(maxlen=_RECENT_ENCODES))
    source: SourceState = SourceState.OPENING
    live: bool = False
    last_captured_at: float | None = None
    last_captured: float | None = None
    unsent: int = 0
    under_way: int = 0
    credits: int = 0
    clock_offset: float | None = None
    captured_minute: Trailing = field(default_factory=Trailing, compare=False)
    acked_minute: Trailing = field(default_factory=Trailing, compare=False)
    dropped_minute: defaultdict[str, Trailing] = field(
        default_factory=lambda: defaultdict(Trailing), compare=False
    )
    reconnects_hour: Trailing = field(default_factory=lambda: Trailing(HOUR), compare=False)
    stages: Histogram = field(
        default_factory=lambda: Histogram("stage_seconds", "-", ["stage"], registry=None, buckets=_SECONDS),
        compare=False,
    )
    certificate: Path | None = None
    refusal: str = ""
    verdict: Verdict = WELL
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        return max(0, self.connections - 1)

    def capture(self) -> None:
        """Count one captured frame."""
        self.captured += 1
        self.captured_minute.add()
        self.last_captured_at = time.time()
        self.last_captured = time.monotonic()
        if self.source is not SourceState.STILL:
            self.source = SourceState.GIVING

    def connect(self) -> None:
        """Count one connection that the server has welcomed."""
        if self.connections:
            self.reconnects_hour.add()
        self.connections += 1
        self.connected = True
        self.refusal = ""

    def fail(self) -> None:
        """The camera's edge failed; another one will count on here."""
        self.restarts += 1
        self.connected = False
        self.source = SourceState.FAILED
        self.verdict = Verdict(Cause.SOURCE_SILENT, "it failed and begins again")

    def acknowledge(self) -> None:
        """Count one frame that the server has answered for."""
        self.acked += 1
        self.acked_minute.add()

    def hear_clock(self, server_time: float) -> None:
        """Compare clocks: the server told its own, seconds since the epoch, when it sent what has just come.

        What came fastest tells best. A clock that is set is followed within some ten answers.
        """
        ahead = time.time() - server_time
        if self.clock_offset is None or ahead < self.clock_offset:
            self.clock_offset = ahead
        else:
            self.clock_offset += _CLOCK_FOLLOWS * (ahead - self.clock_offset)

    def spent(self, stage: Stage, seconds: float) -> None:
        """A frame has been in `stage` for so long."""
        self.stages.labels(stage).observe(max(0.0, seconds))

    def drop(self, reason: str, count: int = 1) -> None:
        """Count dropped frames."""
        if count == 0:
            return
        with self._lock:
            self.dropped[reason] += count
            self.dropped_minute[reason].add(count)

    def drops(self) -> dict[str, int]:
        """Dropped frames by reason, sorted."""
        with self._lock:
            return dict(sorted(self.dropped.items()))

    def drops_last_minute(self) -> dict[str, int]:
        """Likewise, of the last minute."""
        with self._lock:
            return {reason: round(trailing.total) for reason, trailing in sorted(self.dropped_minute.items())}

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
            "inherited": self.inherited,
            "unacknowledged": self.unacknowledged,
            "dropped": self.drops(),
            "key_requests": dict(sorted(self.key_requests.items())),
            "machine_bytes": self.machine_bytes,
            "enhancement_bytes": self.enhancement_bytes,
            "enhancements_failed": self.enhancements_failed,
            "enhancements_let_go": self.enhancements_let_go,
            "enhancements_wanted": self.enhancements_wanted,
            "retains_lost": self.retains_lost,
            "enhancements_replied": self.enhancements_replied,
            "reply_bytes": self.reply_bytes,
            "enhancement_lacks": self.enhancement_lacks,
            "changed": round(self.changed / self.encoded_predicted, 4) if self.encoded_predicted else None,
            "uplink": self._uplink(),
            "spool": None if self.spool is None else asdict(self.spool),
            "connections": self.connections,
            "source_reconnects": self.source_reconnects,
            "restarts": self.restarts,
            "source_freezes": self.source_freezes,
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
            f"{self._spool_line()}"
            f"encode {'-' if encode_ms is None else f'{encode_ms:.0f} ms'}; {self.verdict}"
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

    def _spool_line(self) -> str:
        spool = self.spool
        if spool is None:
            return ""
        state = "FAILING, frames wait in memory, " if spool.failing else "FULL, " if spool.full else ""
        oldest = "" if spool.oldest_s is None else f", oldest {spool.oldest_s:.0f} s"
        return (
            f"spool {state}{spool.frames} frames, {spool.bytes / 1e6:.1f} of {spool.limit_bytes / 1e6:.1f} MB"
            f"{oldest}; "
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
