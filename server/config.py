"""Every limit and address of the server, in one place. Those that edges must know are in `secondsight.limits`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from secondsight import store_keys
from secondsight.store_address import is_cluster
from server.errors import ServerConfigError
from server.recogniser_device import Device
from server.tls import ServerTlsConfig

EMBEDDED_STORE = "embedded"
_LEAST_PIXELS = 16 * 16


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """What the server may use. Times in seconds, sizes in bytes.

    Raises:
        ServerConfigError: a value makes no sense, or two contradict each other.
    """

    store: str = EMBEDDED_STORE
    """URL of a Redis or Valkey, or ``embedded`` for one of our own under `data`."""
    data: Path = Path("data")
    store_port: int = 6379
    """Port of the embedded store on 127.0.0.1; 0 takes a free one."""
    store_memory: int = 512 * 2**20
    """Of the embedded store. Above it, the enhancement layers with the shortest time to live go first, then the older
    frames and results."""
    grpc: str = "127.0.0.1:50051"
    http: str = "127.0.0.1:8080"
    profile: str = "lite"
    device: str = "auto"
    recogniser: str = "ssd-mobilenet"
    recogniser_device: Device = Device.AUTO
    task: str = store_keys.DEFAULT_TASK
    """What the worker's recogniser is for. Every task sees every frame, and has results of its own."""
    worker_name: str = ""
    """Of the worker, for people; each process adds what makes it unique. Empty: the host's name."""

    backlog_frames: int = 8
    """Stored frames of a camera that may await recognition; credits are what is left of it."""
    frames_kept: int = 1000
    """Stored frames of a camera, at least, and fewer than this and `group_frames` together: groups go as a whole.
    Frames that await recognition are always among them."""
    group_frames: int = 1000
    """Of one group: a key frame and those predicted from it. Then the server asks for the next key frame."""
    frames_most: int = 3000
    """Stored frames of a camera while a task other than the default one has yet to recognise them; above it, or when
    the store is full, they go unrecognised by it."""
    results_kept: int = 5000
    history_days: int = 30
    """For which the timeline tells what a camera has shown, longer than frames and results are kept; 0: not at all."""
    things_kept: int = 5000
    """Things and, apart from them, alerts that a camera's history tells of, the newest; of each task."""
    dead_kept: int = 100
    """Frames of a camera and task that were given up."""
    unused_session: int = 24 * 3600
    """For which the number of a session is kept that has stored no frame."""

    frame_pixels: int = 4096 * 2304
    """Of one frame. Memory to decode it grows with them, whatever its bytes are."""
    most_slices: int = 5
    grpc_streams: int = 256
    keepalive_time: float = 20.0
    keepalive_timeout: float = 10.0
    shortest_ping_interval: float = 10.0
    hello_within: float = 10.0
    """From the opening of a stream to its Hello."""
    backlog_poll: float = 0.1
    """Between two looks at a camera's backlog while it holds back credits."""
    ack_interval: float = 5.0
    """Longest silence of the server on an uplink."""
    reconnect_after: float = 1.0
    """Told to edges in Drain."""
    frames_per_second: float = 120.0
    """Of one camera, in the long run; it is slowed through its credits, and ended when it ignores them."""
    bytes_per_second: float = 16 * 2**20
    """Likewise, of its machine layers."""
    burst: float = 4.0
    """Seconds of both that may come at once."""
    flood_frames: int = 64
    """Frames on end that a camera may send beyond its rate before its stream is ended."""
    streams_per_peer: int = 128
    """Ingest streams from one address."""
    hellos_per_second: float = 2.0
    """Ingest streams that one address may begin, in the long run; one camera may begin a quarter of that."""
    hellos_at_once: int = 256
    """Streams that one address may begin at once, as a site does after a restart; one camera a quarter of that."""
    names_watched: int = 4096
    """Addresses and cameras whose beginnings are counted; beyond that the oldest are forgotten."""
    stream_age: float = 3600.0
    """After which an ingest stream is drained, so that edges spread again over servers that came and went."""
    connection_age: float = 2 * 3600.0
    """After which a connection is closed; an ingest stream has left it by then, a Subscribe call is begun again."""
    store_look: float = 5.0
    """Between two looks at the store for its metrics."""
    overview_step: float = 10.0
    """Between two looks at what the uplinks carry, for the overview,"""
    overview_steps: int = 360
    """of which it keeps so many."""

    store_patience: float = 15.0
    """How long a store that does not answer is asked again before the caller is told."""
    store_pause: float = 0.2
    """Between two of these attempts."""
    store_retry_after: int = 2
    """Told to REST clients when the store does not answer."""
    results_read_at_once: int = 32
    """Of a camera, for one subscriber."""
    recent_bytes: int = 2**18
    """Of a camera's last results, in memory for those who follow them; beside that `results_read_at_once`."""
    streams_at_once: int = 64
    """Event streams (`/v1/events`) at once,"""
    streams_each: int = 16
    """and of one user."""
    stream_behind: int = 500
    """Results of a camera that a reader of an event stream may be behind before some are dropped."""
    stream_silent: float = 15.0
    """Longest silence on an event stream."""
    stream_stuck: float = 30.0
    """For which a reader may take nothing before its event stream is ended."""
    stream_gather: float = 0.05
    """For which an event stream with a rate gathers what it sends at once."""
    cameras_look: float = 1.0
    """Between two looks at the state of the cameras for event streams, however many there are."""
    documents_kept: int = 1024
    """Frame documents in memory, shared by event streams."""
    block: float = 0.5
    """Longest blocking read of a stream, and so the delay until a new camera is seen."""

    replicas: int = 0
    """Of the store, that must have a frame before it is acknowledged (WAIT). Not with a cluster."""
    replicas_within: float = 1.0
    """For which they are waited for at each attempt."""

    lease: float = 8.0
    """A worker that is not heard of for so long loses its cameras to others. By the store's clock."""
    lease_look: float = 1.0
    """Between two looks at which cameras there are and who has them; each lengthens the worker's leases."""
    cameras_at_most: int = 256
    """Of one worker. Each takes a connection to the store."""
    frames_in_hand: int = 4
    """Of one worker, being decoded or recognised. Their pictures are in memory."""
    tries: int = 5
    """After so many workers have died with a frame, it is given up, and its result says so."""
    recognise_within: float = 300.0
    """One frame in hand. A worker that does not come to an end with it ends itself."""

    codec_threads: int = 2
    recogniser_threads: int = 1
    minimum_score: float = 0.3
    """Detections below it are not published."""
    pictures_bytes: int = 64 * 2**20
    """Decoded machine views kept in memory, shared by recognition and REST."""
    references_bytes: int = 256 * 2**20
    """Decoded key frames kept in memory, for the frames predicted from them."""

    views_at_once: int = 4
    """REST views decoding or waiting for the codec; more are refused with 503."""
    view_retry_after: int = 1
    views_bytes: int = 32 * 2**20
    """Finished pictures kept in memory for whoever looks again. Each look goes on record all the same."""
    jpeg_quality: int = 90
    webp_quality: int = 90
    avif_quality: int = 75
    page_frames: int = 20
    page_frames_limit: int = 100
    timeline_buckets: int = 240
    timeline_buckets_limit: int = 600
    timeline_results: int = 2000
    """Results that are read for parts of a timeline finer than a minute; with more of them it tells of minutes."""
    gap_intervals: float = 10.0
    """A camera that sends nothing for so many of its usual intervals has a gap in its timeline,"""
    gap_least: float = 5.0
    """of at least so many seconds."""
    things_read: int = 2000
    """Of a page, with those that a filter leaves out."""
    frames_read_at_once: int = 8
    """Of a page. The machine layers of so many are in memory at a time."""

    camera_stores: Mapping[str, str] = field(default_factory=dict)
    """URLs of the stores in which enhancement layers of cameras lie, where that is not the server's own."""
    camera_store_patience: float = 3.0
    """For one answer of such a store."""
    camera_store_rest: float = 10.0
    """For which one that did not answer is not asked again: its layers count as out of reach."""
    retain_detection: float | None = None
    """How long an enhancement layer in a store that the server reaches is kept when something was recognised; None: as
    long as any other. Of those that wait at an edge the edge's configuration says it."""
    retain_alert: float = 7 * 24 * 3600.0
    """Likewise, when somebody has to look at it."""
    retain_mark: float = 30 * 24 * 3600.0
    """Likewise, when somebody has marked a result in it."""
    marks_kept: int = 10_000
    """Of a camera; beyond it those of the oldest frames go."""
    mark_characters: int = 200
    """Of a mark's note; a label has 64."""
    rules: Path | None = None
    """File of what is published of each camera's detections, and of its zones, see `server.watch.rules`."""
    alert_labels: tuple[str, ...] = ()
    """Detections with these labels make a frame one that somebody has to look at,"""
    alert_score: float = 0.5
    """from this score on."""
    enhancement_wait: float = 5.0
    """How long a request waits for an enhancement layer to come over the uplink, unless it says so itself,"""
    enhancement_wait_most: float = 30.0
    """and at most."""
    enhancement_waits: int = 32
    """Requests that wait for edges at once."""
    enhancement_poll: float = 0.05
    """Between two looks whether it has come."""
    enhancement_fetched: float = 60.0
    """For which a layer that came over the uplink is kept."""
    enhancement_lack: float = 3600.0
    """For which the edge is not asked again for a layer that it does not have."""
    enhancement_requests: int = 4
    """Layers asked of one edge and not yet answered."""
    wanted_kept: int = 1024
    """Requests and notes for one edge that wait for its uplink."""
    wanted_again: float = 120.0
    """When an uplink is opened again, what it was told so long ago is told again: nobody knows whether it came."""
    uplink_retry_after: int = 10
    """Told to REST clients when the edge that has a layer is not connected."""
    uplink_seen: float = 10.0
    """An uplink that its server has not spoken of for so long is gone."""

    access_file: Path | None = None
    """Who may do what. None: nobody is asked while all addresses are the loopback's, else `data`/access.json."""
    tls: ServerTlsConfig | None = None
    """On the gRPC and HTTP ports; None: plaintext."""
    insecure_transport: bool = False
    """Listen beyond the loopback without TLS, because something before the server does it."""
    session_idle: float = 30 * 60
    """A browser session ends so long after its last use,"""
    session_longest: float = 12 * 3600
    """and so long after its first."""
    logins_per_minute: int = 10
    """From one address."""
    human_views_per_minute: int = 120
    """Human views and raw enhancement layers, of one user; a clip or an export counts as one here,"""
    human_views_per_hour: int = 7200
    """and all its frames here."""
    credentials_per_minute: int = 20
    """One-time passwords, API keys and camera tokens made by one user."""
    audit_looks_per_minute: int = 60
    """Looks at the audit of one user, its exports among them."""
    reason_characters: int = 500
    address_bytes: int = 4096
    """Of a request: path and query."""
    header_bytes: int = 8 * 1024
    """Of a request: all its headers. Uvicorn reads no more than 16 KiB of them with the address."""
    body_bytes: int = 64 * 1024
    """Of a request."""
    metadata_bytes: int = 8 * 1024
    """Of a gRPC call."""
    audit_days: int = 365
    """For which records of the audit are kept; those of a segment go together."""
    audit_segment_bytes: int = 8 * 2**20

    jobs_at_once: int = 1
    """Clips and exports that are being made. Whoever waits for a picture goes before them."""
    jobs_waiting: int = 16
    """That wait to be made, of all users,"""
    jobs_waiting_of_user: int = 4
    """and of one."""
    jobs_kept: int = 200
    """That have ended; beyond it the oldest go, with their files."""
    jobs_age: float = 24 * 3600.0
    """For which one that has ended is kept."""
    jobs_bytes: int = 4 * 2**30
    """Of all their files; beyond it the oldest go."""
    job_bytes: int = 2 * 2**30
    """Of one file."""
    job_frames: int = 20_000
    """Of one clip or export; of results ten times as many."""
    job_within: float = 4 * 3600.0
    """For one clip or export, from its beginning."""
    job_attempts: int = 2
    """A job with which the server has ended so often without notice is not begun again."""
    job_yields: float = 2.0
    """For which a frame of a job waits, at most, until nobody else needs the codec."""
    job_waits_for_edges: float = 60.0
    """For layers at edges that are not connected, all frames of a job together; then they are left out."""
    disk_left_free: int = 256 * 2**20
    """Below it no job goes on."""

    drain_grace: float = 3.0
    """For edges to close their streams, and for REST answers under way."""
    leave_within: float = 20.0
    """For a worker to finish the frames in hand."""
    probe_within: float = 2.0
    """The store has to take a write, or a probe calls it away."""

    store_connections: int = 1024
    """To the store, or to each node of a cluster, for each of the two purposes that it has clients for."""

    def __post_init__(self) -> None:
        for address in self._addresses:
            parse_address(address)
        if not self.on_loopback and self.tls is None and not self.insecure_transport:
            raise ServerConfigError(
                f"{' and '.join(self._addresses)} are not on this machine's loopback alone, and there is no TLS: keys "
                "and pictures would be sent in the clear; give --tls-certificate and --tls-key (`secondsight "
                "certificates make` makes them), listen on 127.0.0.1, or give --insecure-transport when something "
                "before the server does TLS"
            )
        if self.history_days < 0 or self.things_kept < 1:
            raise ServerConfigError("history_days has to be at least 0, and things_kept at least 1")
        if self.audit_days < 1:
            raise ServerConfigError("audit_days is 0: nothing would be on record; use at least 1")
        if not 0 <= self.minimum_score <= 1:
            raise ServerConfigError(f"minimum_score is {self.minimum_score}; use 0 to 1")
        if min(self.codec_threads, self.recogniser_threads) < 1:
            raise ServerConfigError("codec_threads and recogniser_threads have to be at least 1")
        for camera_id in self.camera_stores:
            try:
                store_keys.checked_camera_id(camera_id)
            except store_keys.InvalidCameraIdError as error:
                raise ServerConfigError(f"a store is named for a camera that cannot be: {error}") from error
        if self.retain_detection is not None and not 0 < self.retain_detection <= self.retain_alert:
            raise ServerConfigError(
                f"retain_detection ({self.retain_detection}) is not between 0 and retain_alert "
                f"({self.retain_alert}): an alert is kept for at least as long as a detection"
            )
        if self.retain_mark <= 0 or self.marks_kept < 1:
            raise ServerConfigError(
                f"retain_mark is {self.retain_mark}, marks_kept {self.marks_kept}: use more than 0, or marks "
                "would be of frames that are gone"
            )
        if not 0 <= self.alert_score <= 1:
            raise ServerConfigError(f"alert_score is {self.alert_score}; use 0 to 1")
        if not 0 <= self.enhancement_wait <= self.enhancement_wait_most:
            raise ServerConfigError(
                f"enhancement_wait is {self.enhancement_wait}; use 0 to {self.enhancement_wait_most}, the most"
            )
        if min(self.jobs_at_once, self.job_attempts) < 1:
            raise ServerConfigError("jobs_at_once and job_attempts have to be at least 1")
        if self.job_bytes > self.jobs_bytes:
            raise ServerConfigError(
                f"job_bytes ({self.job_bytes}) is above jobs_bytes ({self.jobs_bytes}): a file would find no room "
                "even alone; raise jobs_bytes"
            )
        if self.backlog_frames < 1:
            raise ServerConfigError("backlog_frames is 0: no frame could ever be taken in; use at least 1")
        if self.group_frames < 1:
            raise ServerConfigError("group_frames is 0: a group has at least its key frame; use at least 1")
        try:
            store_keys.checked_camera_id(self.task)
        except store_keys.InvalidCameraIdError as error:
            raise ServerConfigError(f"{self.task!r} is no name of a task: {error}") from error
        if self.replicas and is_cluster(self.store):
            raise ServerConfigError(
                "replicas are waited for at a single store only (--store-replicas); of a cluster, have each node "
                "refuse writes without replicas (min-replicas-to-write)"
            )
        if self.frames_most < self.frames_kept:
            raise ServerConfigError(
                f"frames_most ({self.frames_most}) is below frames_kept ({self.frames_kept}), which stay in any case; "
                "raise frames_most"
            )
        if not 0 < self.lease_look <= self.lease / 2:
            raise ServerConfigError(
                f"lease_look ({self.lease_look:g} s) has to be above 0 and at most half of lease ({self.lease:g} s): "
                "a worker would lose its cameras between two looks"
            )
        if min(self.tries, self.frames_in_hand, self.cameras_at_most) < 1:
            raise ServerConfigError("tries, frames_in_hand and cameras_at_most have to be at least 1")
        if self.frames_kept <= self.backlog_frames:
            raise ServerConfigError(
                f"frames_kept ({self.frames_kept}) is not above backlog_frames ({self.backlog_frames}): "
                "frames would be trimmed before they are recognised; raise frames_kept"
            )
        if self.frame_pixels < _LEAST_PIXELS:
            raise ServerConfigError(
                f"frame_pixels is {self.frame_pixels}; use at least {_LEAST_PIXELS}, the codec's least is 16x16"
            )

    @property
    def _addresses(self) -> tuple[str, ...]:
        return self.grpc, self.http

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return all(is_loopback(parse_address(address)[0]) for address in self._addresses)

    @property
    def access_path(self) -> Path | None:
        """The access file; None when nobody is asked who they are."""
        if self.access_file is None and not self.on_loopback:
            return self.data / "access.json"
        return self.access_file

    @property
    def audit_folder(self) -> Path:
        """Where the audit is kept."""
        return self.data / "audit"


def is_loopback(host: str) -> bool:
    """Whether it names this machine's loopback."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``.

    Raises:
        ServerConfigError: it is no such address.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65535:
        raise ServerConfigError(f"{address!r} is no address; use HOST:PORT, port 0 for a free one")
    return host.strip("[]"), int(port)
