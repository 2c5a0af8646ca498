"""Every limit and default of the edge, in one place."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from edge.errors import ConfigError
from secondsight.store_keys import InvalidCameraIdError, checked_camera_id

_LIVE_AGE_S: Final = 60.0

Polygon = tuple[tuple[float, float], ...]
"""Corners in order, as shares of the picture's width and height."""


def _is_above_0(value: float) -> bool:
    """Also false for infinity and for what is no number."""
    return 0 < value < math.inf


def _is_at_least_0(value: float) -> bool:
    """Likewise."""
    return 0 <= value < math.inf


@dataclass(frozen=True)
class MotionConfig:
    """Which frames are left out because nothing has changed in them.

    Attributes:
        least_change: share of the picture, 0 to 1, that has to differ from the last frame that was taken.
        threshold: grey levels by which the mean of 16x16 pixels has to differ to count, beyond the camera's noise.
        longest_interval_s: a frame is taken at least so often, whatever it shows.
    """

    least_change: float = 0.001
    threshold: float = 8.0
    longest_interval_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.least_change <= 1:
            raise ConfigError(f"least change is {self.least_change}: give a share of the picture, 0 to 1")
        if not _is_above_0(self.threshold):
            raise ConfigError(f"threshold of motion is {self.threshold}: give grey levels above 0")
        if not _is_above_0(self.longest_interval_s):
            raise ConfigError(
                f"longest interval without motion is {self.longest_interval_s}: give seconds above 0"
            )


@dataclass(frozen=True)
class WatchdogConfig:
    """When a live source counts as frozen or still.

    Attributes:
        frozen_s, frozen_frames: without a frame for so many seconds and for the time of so many frames, the source is
            closed and opened again.
        first_frame_s: likewise until the first two frames tell how long a frame time is.
        still_s: identical frames for so long are reported; no camera with a sensor gives them.
        reopen_base_s, reopen_cap_s, reopen_healthy_s: waits before a lost source is opened again, see
            `edge.backoff.Backoff`.
        abandoned: so many reads that never come back are left behind; then none is begun until one comes back.
    """

    frozen_s: float = 5.0
    frozen_frames: float = 10.0
    first_frame_s: float = 20.0
    still_s: float = 60.0
    reopen_base_s: float = 0.5
    reopen_cap_s: float = 30.0
    reopen_healthy_s: float = 30.0
    abandoned: int = 4

    def __post_init__(self) -> None:
        for name in (
            "frozen_s",
            "frozen_frames",
            "first_frame_s",
            "still_s",
            "reopen_base_s",
            "reopen_cap_s",
            "reopen_healthy_s",
        ):
            if not _is_above_0(getattr(self, name)):
                raise ConfigError(f"{name} of the watchdog is {getattr(self, name)}: give a number above 0")
        if self.abandoned < 1:
            raise ConfigError(f"abandoned of the watchdog is {self.abandoned}: give at least 1")


@dataclass(frozen=True)
class CaptureConfig:
    """Which frames of a source are taken.

    Attributes:
        speed: pace of a recorded source as a multiple of its own; 0 is as fast as the edge can. A live source
            has its own pace whatever this says.
        frame_rate: upper limit in frames per second of source time; None takes every frame.
        loop: begin a recorded source again at its end; a live one has none.
        max_frames: end after so many captured frames.
        max_side: longer side of the frame in pixels; larger frames are scaled down.
        hidden: parts of the picture that are blackened before anything else sees it: polygons, by their corners in
            order, as shares of the picture's width and height.
        motion: leave out frames in which nothing has changed; None takes them, too.
        watchdog: over a live source.
    """

    speed: float = 1.0
    frame_rate: float | None = None
    loop: bool = False
    max_frames: int | None = None
    max_side: int | None = None
    hidden: tuple[Polygon, ...] = ()
    motion: MotionConfig | None = None
    watchdog: WatchdogConfig = WatchdogConfig()

    def __post_init__(self) -> None:
        if not _is_at_least_0(self.speed):
            raise ConfigError(
                f"speed is {self.speed}: give 1 for the source's own pace, 0 for as fast as possible"
            )
        if self.frame_rate is not None and not _is_above_0(self.frame_rate):
            raise ConfigError(
                f"frame rate limit is {self.frame_rate}: give frames per second above 0, or none"
            )
        if self.max_frames is not None and self.max_frames < 1:
            raise ConfigError(f"maximum number of frames is {self.max_frames}: give at least 1, or none")
        if self.max_side is not None and not 16 <= self.max_side <= 8192:
            raise ConfigError(f"maximum side is {self.max_side}: the codec takes 16 to 8192 pixels a side")
        for polygon in self.hidden:
            if len(polygon) < 3:
                raise ConfigError(f"a hidden part has {len(polygon)} corners: give at least 3")
            for corner in polygon:
                if not all(0 <= share <= 1 for share in corner):
                    raise ConfigError(
                        f"a hidden part has a corner at {corner[0]:g},{corner[1]:g}: "
                        "give shares of width and height, 0 to 1"
                    )


@dataclass(frozen=True)
class TlsConfig:
    """How a connection is secured. All files are PEM, and are read again at every connection.

    Attributes:
        ca: certificates of the authorities that may have signed the other side's certificate; None takes the well
            known ones of the web.
        certificate, key: what this side shows of itself, where the other side asks for it (mutual TLS).
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            given, lacking = ("certificate", "key") if self.key is None else ("key", "certificate")
            raise ConfigError(f"a TLS {given} is given without its {lacking}: give both, or neither")


@dataclass(frozen=True)
class RateConfig:
    """What a camera may spend on its uplink, and how `edge.rate_control` keeps to it.

    Attributes:
        kbit_s: target in kilobits (1000 bits) per second; None has none.
        daily_mb: megabytes (10**6 bytes) from midnight to midnight UTC; None has no such budget.
        both_layers: enhancement layers count, too, as their store lies across the uplink.
        least_quality, least_machine_quality: levels below which nothing is coded.
        least_frame_rate: frames per second that are sent whatever they cost, as long as the source has them.
        when_used_up: with the day's budget gone, go on with the lowest level and the least frame rate, or stop until
            the day is over.
        bucket_s: seconds of the allowed rate that may be sent ahead of it.
        still_room: share of the bucket that is open to a frame in which nothing is new.
        full_change: share of the picture that has to be new for the whole bucket to be open.
        margin: by how much a level's forecast has to be off the allowed rate for a change: below it to go up, above
            it to go down.
        down_dwell_s, up_dwell_s, longest_dwell_s: least time at a level before the next lower or higher one; the latter
            doubles up to the longest whenever a step up is soon taken back.
        step_ratio: bits of a level against those of the one below, until they are known.
        settle_frames: predicted frames by which a level's ratio is measured.
        key_memory_s: how long it is remembered how often key frames come.
        least_spread_s: what is left of a day's budget is spread over the rest of the day, but at least over this.
    """

    kbit_s: float | None = None
    daily_mb: float | None = None
    both_layers: bool = False
    least_quality: int = 0
    least_machine_quality: int = 0
    least_frame_rate: float = 1.0
    when_used_up: Literal["lowest", "stop"] = "lowest"
    bucket_s: float = 8.0
    still_room: float = 0.25
    full_change: float = 0.005
    margin: float = 0.15
    down_dwell_s: float = 4.0
    up_dwell_s: float = 8.0
    longest_dwell_s: float = 600.0
    step_ratio: float = 1.5
    settle_frames: int = 12
    key_memory_s: float = 120.0
    least_spread_s: float = 3600.0

    def __post_init__(self) -> None:
        if self.kbit_s is None and self.daily_mb is None:
            raise ConfigError("rate control has nothing to keep: give a bit rate or a daily budget")
        if self.kbit_s is not None and not _is_above_0(self.kbit_s):
            raise ConfigError(f"bit rate is {self.kbit_s}: give kilobits per second above 0, or none")
        if self.daily_mb is not None and not _is_above_0(self.daily_mb):
            raise ConfigError(f"daily budget is {self.daily_mb}: give megabytes above 0, or none")
        if not _is_above_0(self.least_frame_rate):
            raise ConfigError(
                f"least frame rate is {self.least_frame_rate}: give frames per second above 0; "
                "0.1 is a frame every ten seconds"
            )
        for name in ("bucket_s", "key_memory_s", "least_spread_s"):
            if not _is_above_0(getattr(self, name)):
                raise ConfigError(f"{name} of rate control is {getattr(self, name)}: give seconds above 0")
        for name in ("down_dwell_s", "up_dwell_s"):
            if not _is_at_least_0(getattr(self, name)):
                raise ConfigError(f"{name} of rate control is {getattr(self, name)}: give seconds, 0 or more")
        if not self.up_dwell_s <= self.longest_dwell_s < math.inf:
            raise ConfigError(
                f"longest_dwell_s of rate control is {self.longest_dwell_s}: give at least the {self.up_dwell_s:g} s "
                "of up_dwell_s, from which it grows"
            )
        if not 0 <= self.still_room <= 1:
            raise ConfigError(
                f"still_room of rate control is {self.still_room}: give a share of the bucket, 0 to 1"
            )
        if not 0 < self.full_change <= 1:
            raise ConfigError(
                f"full_change of rate control is {self.full_change}: give a share of the picture above 0, at most 1"
            )
        if not 0 <= self.margin < 1:
            raise ConfigError(
                f"margin of rate control is {self.margin}: give a share of the rate, 0 to below 1"
            )
        if not 1 < self.step_ratio < math.inf:
            raise ConfigError(
                f"step_ratio of rate control is {self.step_ratio}: give a number above 1, as a higher level costs more"
            )
        if self.settle_frames < 1:
            raise ConfigError(f"settle_frames of rate control is {self.settle_frames}: give at least 1")


@dataclass(frozen=True)
class EnhancementConfig:
    """Of which frames the enhancement layer is kept, where and for how long.

    Attributes:
        policy: `every` frame; every `nth`; those with a `detection`, once the server says so; `off` makes none.
        nth: for the policy of that name: one frame of so many.
        routine_s, detection_s, alert_s: how long a layer waits for somebody to ask: when nothing is known of the frame,
            when something was recognised in it, and when somebody has to look at it.
        place: `server`: the store is the server's, or one that it reaches. `edge`: the store is at the camera's site,
            and the server asks for a layer over the uplink.
        verdict_s: for policy `detection`, how long a layer waits in memory for the server to recognise something.
        waiting_bytes: layers that may wait in memory; beyond it the oldest are let go.
        replies_at_once: layers that may be asked for over the uplink and are not yet answered.
        reply_patience_s: for so long such a layer waits for frames that may be sent first.
        retains_waiting: frames that the server wants kept and the store has not been told of, while it is away.
    """

    policy: Literal["every", "nth", "detection", "off"] = "every"
    nth: int = 10
    routine_s: int = 3600
    detection_s: int = 24 * 3600
    alert_s: int = 7 * 24 * 3600
    place: Literal["server", "edge"] = "server"
    verdict_s: float = 60.0
    waiting_bytes: int = 64 * 2**20
    replies_at_once: int = 8
    reply_patience_s: float = 2.0
    retains_waiting: int = 4096

    def __post_init__(self) -> None:
        for name in ("nth", "routine_s", "waiting_bytes", "replies_at_once", "retains_waiting"):
            if getattr(self, name) < 1:
                raise ConfigError(f"enhancement {name} is {getattr(self, name)}: give at least 1")
        if not _is_above_0(self.verdict_s):
            raise ConfigError(f"enhancement verdict_s is {self.verdict_s}: give seconds above 0")
        if not _is_at_least_0(self.reply_patience_s):
            raise ConfigError(
                f"enhancement reply_patience_s is {self.reply_patience_s}: give seconds, 0 or more"
            )
        if not self.routine_s <= self.detection_s <= self.alert_s:
            raise ConfigError(
                f"enhancement layers live {self.routine_s} s, {self.detection_s} s with a detection and "
                f"{self.alert_s} s with an alert: no class may live shorter than the one before it"
            )


@dataclass(frozen=True)
class SpoolConfig:
    """Where encoded frames wait on disk until the server has them.

    Attributes:
        folder: every camera has a folder of its own in it, which one edge may use at a time.
        max_bytes: of waiting frames, per camera; one that is larger waits alone. The files are some megabytes larger,
            and once large they stay so.
        max_age_s: seconds after which a frame that waits is given up; None is 60 with delivery live, so that the newest
            frames are not held up by old ones, and without limit with delivery complete.
        sync: when a frame is safe from a power cut: with every `frame`, every `second`, or when the operating `system`
            writes it. A killed edge loses nothing in any case.
        retry_s: pause between attempts on a disk that failed.
    """

    folder: Path
    max_bytes: int = 2 * 2**30
    max_age_s: float | None = None
    sync: Literal["frame", "second", "system"] = "second"
    retry_s: float = 5.0

    def __post_init__(self) -> None:
        if self.max_bytes < 2**16:
            raise ConfigError(f"limit of the spool is {self.max_bytes} bytes: give at least {2**16}")
        for name in ("max_age_s", "retry_s"):
            value = getattr(self, name)
            if value is not None and not _is_above_0(value):
                raise ConfigError(f"{name} of the spool is {value}: give seconds above 0")


@dataclass(frozen=True)
class EdgeConfig:
    """One camera's edge.

    Attributes:
        camera_id: name of the camera; see `secondsight.store_keys`.
        source: a video file, a folder of images, or the address of a camera.
        server: gRPC target, HOST:PORT.
        tls: how the connection to the server is secured; None is plaintext.
        token_file: file with the camera's token, read at every connection; over plaintext to this machine only.
        store: Redis URL of the store for enhancement layers; None sends machine layers alone.
        store_tls: how the connection to a store at `rediss://` is secured, read at the start; None is as `tls`.
        capture: which frames of the source are taken.
        quality, machine_quality: levels of the human view and of the machine layer, 0 is the smallest; None is the
            codec's default. `edge.encoder.Encoder` knows the limits of these and of `slices`. With `rate` they are the
            highest. Human views of key frames are finer: what stands still stays as it is in them.
        slices: enhancement slices to store; None stores all.
        longest_group: frames of a group, a key frame and those predicted from it; 1 predicts nothing.
        rate: what may be spent on the uplink; None spends what it takes.
        state: folder for what outlives a restart: how much was spent by day.
        frames_at_once: frames that are encoded together when more than one waits.
        keep_all: hold a recorded source back instead of dropping frames.
        enhancement: which enhancement layers are kept, where and for how long.
        spool: where encoded frames outlive a restart and a long outage; None keeps a few in memory.
        delivery: what gives way when the spool is full. live: the oldest frames that were never sent. complete: none; a
            recording is held back, a camera's new frames are left out.
        max_unsent: encoded frames that may wait for the uplink before newer ones are dropped (not with
            `keep_all`): what a slow server adds to the age of a frame. With a spool only while the server keeps up.
        max_unacknowledged: encoded frames kept until the server has stored them.
        connect_timeout_s: from the start of a call to Welcome.
        ack_timeout_s: a connection is given up when frames wait for the server's answer for so long.
        drain_timeout_s: how long a draining server may take to acknowledge what is under way.
        backoff_base_s, backoff_cap_s, backoff_healthy_s: see `edge.backoff.Backoff`.
        keepalive_time_s, keepalive_timeout_s: a silent connection is probed so often, and given up without an answer.
        store_timeout_s: for one command to the store.
        store_backoff_base_s, store_backoff_cap_s: a store that failed is left alone for so long, likewise.
        flush_timeout_s: at the end of a source, time without progress after which waiting frames are given up.
        grace_s: after SIGTERM, time for waiting frames.
        status_interval_s: between status lines.
        trace_share: of frames that a trace follows through edge and server, 0 to 1; one that fails has one in any case.
    """

    camera_id: str
    source: str
    server: str
    tls: TlsConfig | None = None
    token_file: Path | None = None
    store: str | None = None
    store_tls: TlsConfig | None = None
    capture: CaptureConfig = CaptureConfig()
    quality: int | None = None
    machine_quality: int | None = None
    slices: int | None = None
    longest_group: int = 250
    rate: RateConfig | None = None
    state: Path | None = None
    frames_at_once: int = 2
    keep_all: bool = False
    enhancement: EnhancementConfig = EnhancementConfig()
    spool: SpoolConfig | None = None
    delivery: Literal["live", "complete"] = "live"
    max_unsent: int = 4
    max_unacknowledged: int = 64
    connect_timeout_s: float = 10.0
    ack_timeout_s: float = 30.0
    drain_timeout_s: float = 5.0
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 30.0
    backoff_healthy_s: float = 60.0
    keepalive_time_s: float = 20.0
    keepalive_timeout_s: float = 10.0
    store_timeout_s: float = 2.0
    store_backoff_base_s: float = 0.5
    store_backoff_cap_s: float = 10.0
    flush_timeout_s: float = 60.0
    grace_s: float = 10.0
    status_interval_s: float = 5.0
    trace_share: float = 0.01

    def __post_init__(self) -> None:
        try:
            checked_camera_id(self.camera_id)
        except InvalidCameraIdError as error:
            raise ConfigError(str(error)) from error
        host, _, port = self.server.rpartition(":")
        # No host has a slash: whoever writes one means another kind of address.
        if not host or "/" in host or not _is_port(port):
            raise ConfigError(f"{self.server!r} is no server address: give HOST:PORT, as in 127.0.0.1:50051")
        if self.token_file is not None and self.tls is None and not _is_loopback(host):
            raise ConfigError(
                f"the camera's token would go to {self.server} in the clear: give the authority that signed the "
                "server's certificate (tls.ca, --ca), or none of your own with an empty `tls`; without TLS a token "
                "goes to this machine only"
            )
        self._check_rate()
        self._check_delivery()
        for name in (
            "longest_group",
            "frames_at_once",
            "max_unsent",
            "max_unacknowledged",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: give at least 1")
        for name in (
            "backoff_base_s",
            "backoff_cap_s",
            "connect_timeout_s",
            "ack_timeout_s",
            "keepalive_time_s",
            "keepalive_timeout_s",
            "store_timeout_s",
            "store_backoff_base_s",
            "store_backoff_cap_s",
            "status_interval_s",
        ):
            if not _is_above_0(getattr(self, name)):
                raise ConfigError(f"{name} is {getattr(self, name)}: give seconds above 0")
        for name in ("backoff_healthy_s", "drain_timeout_s", "flush_timeout_s", "grace_s"):
            if not _is_at_least_0(getattr(self, name)):
                raise ConfigError(f"{name} is {getattr(self, name)}: give seconds, 0 or more")
        if not 0 <= self.trace_share <= 1:
            raise ConfigError(f"trace_share is {self.trace_share}: give a share of the frames, 0 to 1")

    def _check_delivery(self) -> None:
        if self.delivery == "complete" and self.spool is None:
            raise ConfigError(
                "complete delivery needs a place where frames wait: give a folder for the spool (--spool); to hold a "
                "recording back without one there is --keep-all"
            )
        if self.keep_all and self.spool is not None and self.delivery == "live":
            raise ConfigError(
                "live delivery lets the oldest frames go, --keep-all keeps them all: give --delivery complete"
            )

    @property
    def spool_age_s(self) -> float | None:
        """Seconds after which a frame in the spool is given up; None has no limit."""
        if self.spool is None:
            return None
        default = _LIVE_AGE_S if self.delivery == "live" else None
        return default if self.spool.max_age_s is None else self.spool.max_age_s

    def _check_rate(self) -> None:
        rate, limit = self.rate, self.capture.frame_rate
        if rate is None:
            return
        if self.keep_all:
            raise ConfigError(
                "rate control leaves frames out, --keep-all keeps them all: leave out --keep-all, or the bit rate and "
                "the daily budget"
            )
        if rate.daily_mb is not None and self.state is None:
            raise ConfigError(
                "a daily budget has to outlive a restart: give a folder to remember it in (--state)"
            )
        if rate.both_layers and self.store is None:
            raise ConfigError("enhancement layers are to count, but nothing stores them: give --store")
        if rate.both_layers and self.enhancement.place == "edge":
            raise ConfigError(
                "enhancement layers stay at the edge, so that they cost the uplink nothing until they are asked for: "
                "leave out --remote-store"
            )
        if limit is not None and rate.least_frame_rate > limit:
            raise ConfigError(
                f"the least frame rate of {rate.least_frame_rate} is above the limit of {limit}: "
                "raise --frame-rate or lower --least-frame-rate"
            )


@dataclass(frozen=True)
class CodecConfig:
    """The codec, which all cameras of a process share.

    Attributes:
        profile: name of the codec's profile; the server has to hold the same.
        device: `auto` takes CUDA where there is one.
        threads: CPU threads of one operation.
        eight_bit: let the analyses compute in 8-bit integers where the processor has instructions for it: more frames a
            second, for 0.1 % more bits.
    """

    profile: str = "lite"
    device: str = "auto"
    threads: int = 1
    eight_bit: bool = True

    def __post_init__(self) -> None:
        if self.device not in (devices := ("auto", "cpu", "cuda")):
            raise ConfigError(f"{self.device!r} is no device: give one of {', '.join(devices)}")
        if self.threads < 1:
            raise ConfigError(f"threads is {self.threads}: give at least 1")


@dataclass(frozen=True)
class RestartConfig:
    """When a camera that failed begins again; the others go on meanwhile.

    Attributes:
        base_s, cap_s, healthy_s: see `edge.backoff.Backoff`.
    """

    base_s: float = 1.0
    cap_s: float = 60.0
    healthy_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("base_s", "cap_s", "healthy_s"):
            if not _is_above_0(getattr(self, name)):
                raise ConfigError(f"{name} is {getattr(self, name)}: give seconds above 0")


@dataclass(frozen=True)
class SiteConfig:
    """All cameras of a process.

    Attributes:
        cameras: one section for each.
        codec: what encodes their frames.
        encoders: frames that are encoded at a time, over all cameras; None is one for every two CPUs.
        metrics: HOST:PORT at which Prometheus metrics of all cameras are served; None serves none.
        restart: when a camera that failed begins again; None ends the process with it.
    """

    cameras: tuple[EdgeConfig, ...]
    codec: CodecConfig = CodecConfig()
    encoders: int | None = None
    metrics: str | None = None
    restart: RestartConfig | None = RestartConfig()

    def __post_init__(self) -> None:
        if not self.cameras:
            raise ConfigError("the site has no camera: name one under `cameras`, with its source")
        if self.encoders is not None and self.encoders < 1:
            raise ConfigError(f"encoders is {self.encoders}: give at least 1, or leave it out")


def _is_port(text: str) -> bool:
    """Whether it is the number of a TCP port."""
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
