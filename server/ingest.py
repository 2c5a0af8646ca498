"""Takes in frames: each is checked, stored under its name, and only then acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from enum import StrEnum, auto
from typing import Final, NoReturn
from weakref import WeakValueDictionary

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from secondsight import limits, store_keys
from secondsight.cancelling import cancel_all
from secondsight.logs import log_fields
from secondsight.tracing import Stretch, TraceContext, tracer
from secondsight.v1 import frame_pb2, ingest_pb2, ingest_pb2_grpc
from server import metrics
from server.access.access import Access
from server.access.caller import CameraCaller, caller
from server.config import ServerConfig
from server.enhancement_forwarding import Forwarding
from server.enhancement_wanted import Wanted
from server.errors import StoreUnavailableError
from server.frame_bus import Appending, FrameBus
from server.groups import KeyFrame
from server.layers import Codec
from server.pace import Pace, Paces
from server.session import PushContext, Uplink, now
from server.too_much import TooMuchError, end_with_too_much
from shared_models import Header
from shared_models import errors as codec_errors
from shared_models.bitstream import FrameType

_log = logging.getLogger(__name__)

_SOURCE_STATE: Final = re.compile(r"[a-z_]{1,32}")
_REASON: Final = re.compile(r"[a-z0-9_]{1,64}")
_REPORT_BYTES: Final = 2048
_REPORT_INTERVAL: Final = 1.0

SUPERSEDED: Final = "superseded"
"""Details of the status of a stream whose camera has opened another."""


class _Lack(StrEnum):
    """Why a key frame is asked for."""

    NOT_STORED = auto()
    """The frame is predicted from another one than the last key frame stored."""
    CONTRADICTION = auto()
    """What the frame says about its reference contradicts its machine layer."""
    GROUP_FULL = auto()
    """Too many frames are predicted from one key frame."""
    STORE_FULL = auto()
    """The store is full, and nothing else may go than the group that the frame belongs to."""


class _RefusedError(Exception):
    """A frame that is answered with a Nack."""

    def __init__(self, reason: ingest_pb2.NackReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class _NoReferenceError(_RefusedError):
    """A frame that is answered with a Nack and with a request for a key frame."""

    def __init__(self, lack: _Lack, detail: str) -> None:
        super().__init__(ingest_pb2.NACK_REASON_REFERENCE, f"{detail}; send a key frame")
        self.lack = lack


class _StaleSessionError(Exception):
    """The camera has gone on in a later session, through another server."""


class _RevokedError(Exception):
    """The token that opened the stream was revoked."""


class _ProtocolError(Exception):
    """The edge sent what it may not send here."""


class Ingest(ingest_pb2_grpc.IngestServiceServicer):
    """IngestService. One stream per camera; a newer one takes over from an older one."""

    def __init__(
        self, bus: FrameBus, wanted: Wanted, codec: Codec, access: Access, config: ServerConfig
    ) -> None:
        self._bus = bus
        self._wanted = wanted
        self._codec = codec
        self._access = access
        self._config = config
        self._uplinks: dict[str, Uplink] = {}
        self._streams: Counter[str] = Counter()
        self._peers = Paces(config.hellos_per_second, config.hellos_at_once, config.names_watched)
        self._cameras = Paces(config.hellos_per_second / 4, config.hellos_at_once / 4, config.names_watched)
        # A lock lives as long as somebody holds or awaits it: names that come once leave nothing behind.
        self._opening: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._draining = False

    async def drain(self) -> None:
        """Ask every edge to close, wait for them up to `config.drain_grace`, and take no stream from now on."""
        self._draining = True
        uplinks = list(self._uplinks.values())
        farewells = [uplink.drain(self._config.reconnect_after) for uplink in uplinks]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.drain_grace):
                await asyncio.gather(*farewells, return_exceptions=True)
                for uplink in uplinks:
                    await uplink.ended.wait()

    # The stubs know handlers that yield; grpc.aio also takes one that writes, as several tasks do here.
    async def Push(  # type: ignore[override]
        self, request_iterator: AsyncIterator[ingest_pb2.PushRequest], context: PushContext
    ) -> None:
        """See ingest.proto."""
        peer = _host(context.peer())
        self._streams[peer] += 1
        try:
            self._admit(peer)
            requests = aiter(request_iterator)
            hello = await self._hello(requests, context)
            if hello.only_asks:
                await context.write(ingest_pb2.PushResponse(welcome=_answer_to_a_question()))
                return
            self._admit_camera(hello.camera_id)
            with log_fields(camera=hello.camera_id):
                await self._converse(hello, requests, context)
        except TooMuchError as error:
            metrics.STREAMS_REFUSED.labels(error.kind).inc()
            await end_with_too_much(context, error)
        finally:
            self._streams[peer] -= 1
            if not self._streams[peer]:
                del self._streams[peer]

    def _admit(self, peer: str) -> None:
        if self._streams[peer] > self._config.streams_per_peer:
            raise TooMuchError(
                "streams", f"{peer} has {self._config.streams_per_peer} streams open, the limit", 5.0
            )
        if wait := self._peers.take(peer):
            raise TooMuchError("hellos", f"{peer} begins streams too often", wait)

    def _admit_camera(self, camera_id: str) -> None:
        if wait := self._cameras.take(camera_id):
            raise TooMuchError(
                "hellos",
                f"camera {camera_id} begins streams too often; do two edges use its name?",
                wait,
            )

    async def _converse(
        self, hello: ingest_pb2.Hello, requests: AsyncIterator[ingest_pb2.PushRequest], context: PushContext
    ) -> None:
        try:
            uplink = await self._open(hello, context)
        except StoreUnavailableError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        metrics.UPLINKS.inc()
        try:
            if self._draining:
                await context.abort(
                    grpc.StatusCode.UNAVAILABLE, "the server is about to leave; connect again"
                )
            with log_fields(session=uplink.session):
                await self._serve(uplink, requests)
        finally:
            metrics.UPLINKS.dec()
            uplink.ended.set()
            if self._uplinks.get(uplink.camera_id) is uplink:
                del self._uplinks[uplink.camera_id]
                if uplink.flow is not None:
                    uplink.flow.connected = False

    async def _hello(
        self, requests: AsyncIterator[ingest_pb2.PushRequest], context: PushContext
    ) -> ingest_pb2.Hello:
        try:
            async with asyncio.timeout(self._config.hello_within):
                first = await anext(requests, None)
        except TimeoutError:
            await context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED, "no Hello came; send it when the stream opens"
            )
        if first is None or first.WhichOneof("kind") != "hello":
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "the first message of a stream has to be a Hello"
            )
        hello = first.hello
        try:
            store_keys.checked_camera_id(hello.camera_id)
        except store_keys.InvalidCameraIdError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        let_in = caller.get()
        if isinstance(let_in, CameraCaller) and let_in.camera_id != hello.camera_id:
            _log.warning("the token of camera %s was used for %r", let_in.camera_id, hello.camera_id)
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                f"the token is of camera {let_in.camera_id!r}, not of {hello.camera_id!r}",
            )
        if hello.model_id != self._codec.predicting_id:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, _other_model(hello.model_id, self._codec.predicting_id)
            )
        return hello

    async def _open(self, hello: ingest_pb2.Hello, context: PushContext) -> Uplink:
        camera_id, config = hello.camera_id, self._config
        opening = self._opening.setdefault(camera_id, asyncio.Lock())
        async with opening:
            older = self._uplinks.get(camera_id)
            if older is not None:
                older.superseded.set()
                await older.ended.wait()
            session = await self._bus.open_session(camera_id, hello.session)
            uplink = Uplink(
                camera_id=camera_id,
                session=session.number,
                backlog_limit=config.backlog_frames,
                context=context,
                acked_sequence=session.last_stored_sequence,
                stored_sequence=session.last_stored_sequence,
                last_key=await self._bus.last_key(camera_id),
                backlog=await self._bus.backlog(camera_id),
                frame_pace=Pace(config.frames_per_second, config.frames_per_second * config.burst),
                byte_pace=Pace(config.bytes_per_second, config.bytes_per_second * config.burst),
                keeps_enhancement=hello.keeps_enhancement,
            )
            if camera_id in await self._bus.cameras():
                self._watch(uplink)
            self._uplinks[camera_id] = uplink
        _log.info(
            "camera %s connected: session %d after frame %d, edge %s",
            camera_id,
            session.number,
            session.last_stored_sequence,
            repr(hello.edge_version[:40]),
        )
        return uplink

    async def _serve(self, uplink: Uplink, requests: AsyncIterator[ingest_pb2.PushRequest]) -> None:
        await uplink.welcome()
        forwarding = Forwarding(uplink, self._wanted, self._config)
        taking = asyncio.create_task(self._take(uplink, requests, forwarding))
        granting = asyncio.create_task(self._grant(uplink))
        superseded = asyncio.create_task(uplink.superseded.wait())
        ageing = asyncio.create_task(self._age(uplink))
        tasks = [taking, granting, superseded, ageing]
        if uplink.keeps_enhancement:
            tasks.append(asyncio.create_task(forwarding.run()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Cancelled tasks have to be over before the call is, or grpc keeps what they hold.
            await cancel_all(tasks)
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        if uplink.superseded.is_set():
            await uplink.context.abort(grpc.StatusCode.ABORTED, SUPERSEDED)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                await self._end(uplink, outcome)

    async def _end(self, uplink: Uplink, error: Exception) -> NoReturn:
        if isinstance(error, _StaleSessionError):
            await uplink.context.abort(grpc.StatusCode.ABORTED, SUPERSEDED)
        if isinstance(error, StoreUnavailableError):
            _log.error("camera %s: %s", uplink.camera_id, error)
            await uplink.context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        if isinstance(error, TooMuchError):
            _log.warning("camera %s was ended: %s", uplink.camera_id, error)
        if isinstance(error, _RevokedError):
            _log.info("camera %s: its token was revoked", uplink.camera_id)
            await uplink.context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token was revoked")
        if isinstance(error, _ProtocolError):
            await uplink.context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        raise error

    async def _take(
        self, uplink: Uplink, requests: AsyncIterator[ingest_pb2.PushRequest], forwarding: Forwarding
    ) -> None:
        async for request in requests:
            match request.WhichOneof("kind"):
                case "enhancement":
                    if not await forwarding.take(request.enhancement):
                        raise _ProtocolError("an enhancement layer came that was not asked for")
                case "report":
                    await self._take_report(uplink, request.report)
                case "frame" if not uplink.draining.is_set():
                    await self._take_frame(uplink, request.frame)
                case "frame":
                    continue
                case _:
                    raise _ProtocolError(
                        "after its Hello a stream carries frames, reports and answers to requests, and nothing else"
                    )

    def _watch(self, uplink: Uplink) -> None:
        """Measure this camera from now on: the store knows it."""
        if uplink.flow is None:
            uplink.flow = metrics.FLOWS.watch(uplink.camera_id)
            uplink.flow.connected = True
            uplink.flow.uplinks.add()

    async def _age(self, uplink: Uplink) -> None:
        """Let the camera connect again now and then; what it sends meanwhile waits at the edge."""
        # Those that began together do not end together.
        await asyncio.sleep(self._config.stream_age * random.uniform(0.9, 1.1))
        _log.info("camera %s is asked to connect again: its stream is old", uplink.camera_id)
        await uplink.drain(0.0)
        await asyncio.sleep(2 * self._config.drain_grace)

    async def _keep_pace(self, uplink: Uplink, frame: frame_pb2.Frame) -> None:
        """Make a camera wait that sends more than it may. One that minds its credits never does.

        Raises:
            TooMuchError: it has gone on for too long.
        """
        wait = max(uplink.frame_pace.wait, uplink.byte_pace.wait)
        uplink.frame_pace.take()
        uplink.byte_pace.take(len(frame.machine_layer))
        if not wait:
            uplink.beyond_pace = 0
            return
        uplink.beyond_pace += 1
        metrics.FRAMES_BEYOND_PACE.inc()
        if uplink.beyond_pace > self._config.flood_frames + uplink.backlog_limit:
            raise TooMuchError(
                "flood",
                f"camera {uplink.camera_id} sent {uplink.beyond_pace} frames beyond its rate of "
                f"{self._config.frames_per_second:g} frames and {self._config.bytes_per_second / 1e6:g} MB a second "
                "although it had no credits",
                max(1.0, wait),
            )
        await asyncio.sleep(wait)

    async def _take_report(self, uplink: Uplink, report: frame_pb2.EdgeReport) -> None:
        reasons = (*report.dropped, *report.dropped_last_minute)
        if (
            not _SOURCE_STATE.fullmatch(report.source)
            or not all(map(_REASON.fullmatch, reasons))
            or report.ByteSize() > _REPORT_BYTES
        ):
            raise _ProtocolError("an edge's report names no state of a source or no reason, or is too long")
        now = asyncio.get_running_loop().time()
        if now - uplink.reported_at >= _REPORT_INTERVAL:
            uplink.reported_at = now
            await self._bus.keep_report(uplink.camera_id, report.SerializeToString())

    async def _take_frame(self, uplink: Uplink, frame: frame_pb2.Frame) -> None:
        sequence = frame.id.sequence
        await self._keep_pace(uplink, frame)
        try:
            header = self._check(uplink, frame)
            await self._store(uplink, frame, _key_of(uplink, frame, header))
        except _RefusedError as refused:
            reason = ingest_pb2.NackReason.Name(refused.reason)
            metrics.FRAMES_REFUSED.labels(reason).inc()
            if uplink.flow is not None:
                uplink.flow.refused[reason].add()
            _trace(frame, "refuse", 0.0, failure=f"{reason}: {refused.detail}")
            await uplink.refuse(sequence, refused.reason, refused.detail)
            if isinstance(refused, _NoReferenceError) and await uplink.request_key(refused.detail):
                metrics.KEY_REQUESTS.labels(refused.lack.value).inc()
                _log.info("camera %s was asked for a key frame: %s", uplink.camera_id, refused.detail)
            if refused.reason in (ingest_pb2.NACK_REASON_IDENTITY, ingest_pb2.NACK_REASON_ORDER):
                # Its number is not one of this stream's, so it does not move the acknowledgement on.
                return
        uplink.acked_sequence = max(uplink.acked_sequence, sequence)
        await uplink.acknowledge()

    def _check(self, uplink: Uplink, frame: frame_pb2.Frame) -> Header:
        """The header of its machine layer. Raise _RefusedError unless the frame may be stored on this uplink."""
        if (frame.id.camera_id, frame.id.session) != (uplink.camera_id, uplink.session):
            raise _RefusedError(
                ingest_pb2.NACK_REASON_IDENTITY,
                f"the frame is of camera {frame.id.camera_id!r}, session {frame.id.session}; this stream is of "
                f"camera {uplink.camera_id!r}, session {uplink.session}",
            )
        if frame.id.sequence == 0:
            raise _RefusedError(ingest_pb2.NACK_REASON_ORDER, "sequence numbers count from 1")
        self._check_limits(frame)
        try:
            header = self._codec.inspect(frame.machine_layer)
        except codec_errors.ModelError as error:
            raise _RefusedError(ingest_pb2.NACK_REASON_MODEL, str(error)) from error
        except codec_errors.CodecError as error:
            raise _RefusedError(
                ingest_pb2.NACK_REASON_BITSTREAM, f"{type(error).__name__}: {error}"
            ) from error
        if header.width * header.height > self._config.frame_pixels:
            raise _RefusedError(
                ingest_pb2.NACK_REASON_LIMIT,
                f"a frame of {header.width}x{header.height} is above the limit of {self._config.frame_pixels} pixels; "
                "let the edge scale its frames down (--max-side), or raise the server's limit (--frame-pixels)",
            )
        return header

    def _check_limits(self, frame: frame_pb2.Frame) -> None:
        layer, most_slices = len(frame.machine_layer), self._config.most_slices
        faults = (
            (
                layer > limits.MACHINE_LAYER_BYTES,
                f"a machine layer of {layer} bytes is above the limit of {limits.MACHINE_LAYER_BYTES}; "
                "lower the machine quality or the size of the picture",
            ),
            (
                frame.ByteSize() - layer > limits.FRAME_OVERHEAD_BYTES,
                f"the fields beside the machine layer take more than {limits.FRAME_OVERHEAD_BYTES} bytes",
            ),
            (
                frame.enhancement.slices > most_slices,
                f"an enhancement layer has at most {most_slices} slices, not {frame.enhancement.slices}",
            ),
            (
                not (_is_moment(frame.captured_at) and _is_moment(frame.enhancement.expires_at)),
                "a time is outside the years 1 to 9999; set the clock of the camera's host",
            ),
        )
        for broken, detail in faults:
            if broken:
                raise _RefusedError(ingest_pb2.NACK_REASON_LIMIT, detail)

    async def _store(self, uplink: Uplink, frame: frame_pb2.Frame, key: KeyFrame) -> None:
        while uplink.backlog >= uplink.backlog_limit:
            # The edge has sent more than it was granted. Its frame waits here rather than push one out of the store
            # that is not recognised yet.
            await asyncio.sleep(self._config.backlog_poll)
            await self._look_at_backlog(uplink)
        sequence = frame.id.sequence
        begun = time.perf_counter()
        frame.stored_at.CopyFrom(now())
        appended = await self._bus.append(
            uplink.camera_id, uplink.session, sequence, frame.SerializeToString(deterministic=True), key
        )
        uplink.backlog = appended.backlog
        metrics.BACKLOG.labels(uplink.camera_id).set(appended.backlog)
        match appended.outcome:
            case Appending.STORED:
                uplink.note_stored(sequence, key)
                self._measure(uplink, frame, time.perf_counter() - begun)
                frame_type = "predicted" if frame.reference_sequence else "key"
                metrics.FRAMES_STORED.labels(uplink.camera_id, frame_type).inc()
                metrics.LAYER_BYTES.labels(uplink.camera_id, "machine").inc(len(frame.machine_layer))
            case Appending.REPEATED:
                uplink.note_stored(sequence, key)
                metrics.FRAMES_REPEATED.labels(uplink.camera_id).inc()
            case Appending.WITHOUT_KEY:
                uplink.last_key = appended.last_key
                raise _not_stored(key, appended.last_key)
            case Appending.GROUP_FULL:
                raise _NoReferenceError(
                    _Lack.GROUP_FULL,
                    f"the group of key frame {key.entry_id} holds {self._config.group_frames} frames, the limit "
                    "(--group-frames)",
                )
            case Appending.NO_ROOM:
                raise _NoReferenceError(
                    _Lack.STORE_FULL,
                    f"the store is full; only when the next group begins can it let go of that of {key.entry_id}",
                )
            case Appending.NOT_RISING:
                raise _RefusedError(
                    ingest_pb2.NACK_REASON_ORDER,
                    f"frame {sequence} came after frame {uplink.acked_sequence}; send frames in order",
                )
            case Appending.STALE_SESSION:
                raise _StaleSessionError(
                    f"camera {uplink.camera_id} has gone on in a session after {uplink.session}"
                )

    def _measure(self, uplink: Uplink, frame: frame_pb2.Frame, store_wait: float) -> None:
        self._watch(uplink)
        assert uplink.flow is not None
        timing = frame.timing
        captured_to_stored = (frame.stored_at.ToNanoseconds() - frame.captured_at.ToNanoseconds()) / 1e9
        way = captured_to_stored - timing.queue_us / 1e6
        metrics.UPLINK_SECONDS.observe(max(0.0, way))
        edge_wait = max(0, timing.queue_us - timing.encode_us) / 1e6
        uplink.flow.store(len(frame.machine_layer), edge_wait, store_wait, way)
        uplink.flow.carried.store(
            len(frame.machine_layer), frame.enhancement.bytes, came_along=self._came_along(frame)
        )
        _trace(frame, "store", store_wait)

    def _came_along(self, frame: frame_pb2.Frame) -> bool:
        """Whether the edge has sent the enhancement layer to this server's store."""
        at_edge = frame.enhancement.place == frame_pb2.ENHANCEMENT_PLACE_EDGE
        return not at_edge and frame.id.camera_id not in self._config.camera_stores

    async def _grant(self, uplink: Uplink) -> None:
        """Give credits back as recognition catches up, and let the edge hear from us when nothing else happens."""
        quiet_until = asyncio.get_running_loop().time() + self._config.ack_interval
        while True:
            await asyncio.sleep(self._config.backlog_poll)
            if self._access.renewed(caller.get()) is None:
                raise _RevokedError
            if uplink.draining.is_set():
                continue
            if uplink.holds_back:
                await self._look_at_backlog(uplink)
            if uplink.flow is not None:
                uplink.flow.look(uplink.backlog, uplink.credits, uplink.backlog_limit)
            moment = asyncio.get_running_loop().time()
            if uplink.has_more_to_grant or moment >= quiet_until:
                await uplink.acknowledge()
                quiet_until = moment + self._config.ack_interval

    async def _look_at_backlog(self, uplink: Uplink) -> None:
        uplink.backlog = await self._bus.backlog(uplink.camera_id)
        if uplink.flow is not None:
            metrics.BACKLOG.labels(uplink.camera_id).set(uplink.backlog)


def _answer_to_a_question() -> ingest_pb2.Welcome:
    """For an edge that only asks: to no session."""
    welcome = ingest_pb2.Welcome()
    welcome.server_time.GetCurrentTime()
    return welcome


def _key_of(uplink: Uplink, frame: frame_pb2.Frame, header: Header) -> KeyFrame:
    """The key frame that the frame is predicted from, or itself.

    Raises:
        _NoReferenceError: it cannot be predicted from what it says it is.
    """
    claimed = KeyFrame(frame.reference_session, frame.reference_sequence, header.reference)
    if header.frame_type is FrameType.SELF_CONTAINED:
        if claimed.place != (0, 0):
            raise _NoReferenceError(
                _Lack.CONTRADICTION,
                f"the frame names {claimed.entry_id} as its reference, and its machine layer is self-contained",
            )
        uplink.key_came()
        return KeyFrame(uplink.session, frame.id.sequence, header.name)
    if 0 in claimed.place:
        raise _NoReferenceError(
            _Lack.CONTRADICTION,
            f"the machine layer is predicted from another ({header.reference:016x}), and the frame names "
            f"{claimed.entry_id} as its reference, which is no frame",
        )
    # What may be stored already is the store's to tell, whichever key frame is the last by now.
    if frame.id.sequence > uplink.stored_sequence and claimed != uplink.last_key:
        raise _not_stored(claimed, uplink.last_key)
    return claimed


def _not_stored(claimed: KeyFrame, last_key: KeyFrame | None) -> _NoReferenceError:
    found = (
        "no key frame of the camera is stored" if last_key is None else f"the last one stored is {last_key}"
    )
    return _NoReferenceError(
        _Lack.NOT_STORED, f"the frame is predicted from key frame {claimed}, but {found}"
    )


def _trace(frame: frame_pb2.Frame, stage: str, seconds: float, failure: str = "") -> None:
    """A stage of a frame that has just ended, as a span; a failure in any case."""
    attributes: dict[str, str | int] = {
        "camera": frame.id.camera_id[:64],
        "session": frame.id.session,
        "sequence": frame.id.sequence,
    }
    context = TraceContext.parse(frame.traceparent)
    tracer().record(context, [Stretch.ending_now(stage, seconds)], attributes, failure)


def _host(peer: str) -> str:
    """The address of ``ipv4:10.0.0.7:4711`` and the like, without its port."""
    return peer.rpartition(":")[0] or peer


def _is_moment(timestamp: Timestamp) -> bool:
    try:
        timestamp.ToDatetime()
    except (ValueError, OverflowError):
        return False
    return True


def _other_model(theirs: bytes, ours: bytes) -> str:
    return (
        f"coded with model {theirs.hex() or 'unnamed'}, the server holds {ours.hex()}; "
        "run the same release with the same codec profile on both sides"
    )
