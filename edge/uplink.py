"""Machine layers to the server over one bidirectional stream that is opened again whenever it breaks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio

from edge.backoff import Backoff
from edge.channel import call_metadata, open_channel
from edge.config import EdgeConfig
from edge.enhancement import EnhancementKeeper
from edge.errors import (
    EnhancementGoneError,
    EnhancementUnavailableError,
    ProtocolError,
    ServerRefusedError,
    ServerSilentError,
    UplinkError,
)
from edge.metrics import KeyCause, Tally
from edge.pending import Pending, PendingFrame
from edge.retry_info import retry_after_s
from secondsight.cancelling import cancelled_by_server, first_of
from secondsight.v1 import frame_pb2, ingest_pb2, ingest_pb2_grpc
from secondsight.verdict import Cause

_LOG = logging.getLogger(__name__)

_TELL_EVERY_S: Final = 1.0
_TELL_AGAIN_S: Final = 20.0
_TELL_LOSSES_S: Final = 5.0
_NOTHING_TO_SEND_S: Final = 0.05
_UNKNOWN_REASON: Final = "NACK_REASON_UNKNOWN"

if TYPE_CHECKING:
    PushCall = grpc.aio.StreamStreamCall[ingest_pb2.PushRequest, ingest_pb2.PushResponse]


class Uplink:
    """Sends pending frames in order, within the server's credits, and settles them as the server answers.

    Before a frame is sent its enhancement layer is stored, so that whoever sees the frame finds the layer. A layer that
    the server asks for goes between two frames, when no frame may be sent or it has waited for its turn.
    """

    def __init__(
        self,
        config: EdgeConfig,
        model_id: bytes,
        edge_version: str,
        pending: Pending,
        keeper: EnhancementKeeper | None,
        tally: Tally,
    ) -> None:
        self._config = config
        self._model_id = model_id
        self._edge_version = edge_version
        self._pending = pending
        self._keeper = keeper
        self._tally = tally
        self._backoff = Backoff(config.backoff_base_s, config.backoff_cap_s, config.backoff_healthy_s)

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        while True:
            began = time.monotonic()
            reconnect_after_s: float | None = None
            try:
                reconnect_after_s = await self._connection()
                self._backoff.reset()
            except UplinkError as error:
                self._backoff.lived(time.monotonic() - began if self._tally.connected else 0.0)
                if isinstance(error, ServerRefusedError):
                    reconnect_after_s = error.retry_after_s
                # As text: a log handler that keeps the error would keep its frames, and in them the call's socket.
                _LOG.warning("uplink to %s: %s", self._config.server, str(error))
            finally:
                self._tally.connected = False
                self._tally.credits = 0
            # Jitter also after a drain, or all edges of a server would come back in one moment.
            wait = self._backoff.next_wait() + (reconnect_after_s or 0.0)
            await asyncio.sleep(wait)

    async def _connection(self) -> float:
        """One stream from Hello to its end; the drain's `reconnect_after` in seconds when it ended by a drain."""
        config = self._config
        channel = open_channel(config)
        call: PushCall | None = None
        try:
            call = ingest_pb2_grpc.IngestServiceStub(channel).Push(metadata=call_metadata(config))
            stream = _Stream(call, self._pending, self._keeper, config, self._tally)
            async with _within(config.connect_timeout_s, "Welcome"):
                welcome = await stream.greet(
                    ingest_pb2.Hello(
                        camera_id=config.camera_id,
                        session=self._pending.session,
                        model_id=self._model_id,
                        edge_version=self._edge_version,
                        keeps_enhancement=self._keeper is not None,
                    )
                )
            await self._pending.welcome(welcome.session, welcome.last_stored_sequence)
            self._tally.credits = welcome.credits
            self._tally.connect()
            _LOG.info(
                "uplink to %s: session %d, %d frames may be under way",
                config.server,
                self._pending.session,
                welcome.credits,
            )
            return await stream.exchange()
        except grpc.aio.AioRpcError as error:
            wait = retry_after_s(error, self._config.backoff_cap_s)
            told = f"{error.code().name}: {error.details()}"
            self._tally.refusal = _refusal(error.code(), told, config)
            raise ServerRefusedError(self._tally.refusal or told, wait) from error
        finally:
            # grpcio keeps calls that were not cancelled, and their sockets (grpc/grpc#43462, #42125).
            if call is not None:
                call.cancel()
            self._pending.hang_up()
            await channel.close(grace=None)


def _refusal(code: grpc.StatusCode, told: str, config: EdgeConfig) -> str:
    """What it means that the server ended a call so; empty where it does not mean this edge."""
    match code:
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            remedy = (
                f"give a file with the token that was made for camera {config.camera_id} (--token-file)"
                if config.token_file is None
                else f"write the token that was made for camera {config.camera_id} to {config.token_file} "
                "(--token-file)"
            )
            return f"the server refused this edge ({told}): {remedy}"
        case grpc.StatusCode.ABORTED:
            return (
                f"another edge has the name of camera {config.camera_id} and took its place ({told}): stop one of "
                "them, or give every camera a name of its own (--camera)"
            )
        case grpc.StatusCode.FAILED_PRECONDITION | grpc.StatusCode.INVALID_ARGUMENT:
            return f"the server refused this edge ({told})"
        case _:
            return ""


class _Stream:
    """One connection's conversation."""

    def __init__(
        self,
        call: PushCall,
        pending: Pending,
        keeper: EnhancementKeeper | None,
        config: EdgeConfig,
        tally: Tally,
    ) -> None:
        self._call = call
        self._pending = pending
        self._keeper = keeper
        self._config = config
        self._tally = tally
        self._requests: asyncio.Queue[ingest_pb2.EnhancementRequest] = asyncio.Queue(
            config.enhancement.replies_at_once
        )
        self._writing = asyncio.Lock()
        self._draining: ingest_pb2.Drain | None = None
        self._heard_at = time.monotonic()
        self._refusals: set[str] = set()

    async def greet(self, hello: ingest_pb2.Hello) -> ingest_pb2.Welcome:
        """Send Hello and take Welcome."""
        await self._write(ingest_pb2.PushRequest(hello=hello))
        response = await self._read()
        if response is None or response.WhichOneof("kind") != "welcome":
            raise ProtocolError("the server's first answer is no Welcome")
        welcome = response.welcome
        if welcome.session == 0:
            raise ProtocolError("the server welcomed this edge to session 0")
        return welcome

    async def exchange(self) -> float:
        """Send and settle frames until the stream ends; `reconnect_after` in seconds if by a drain.

        Raises:
            UplinkError: it ended in any other way.
            grpc.aio.AioRpcError: the call failed.
        """
        await first_of(self._send(), self._receive(), self._watch(), self._answer(), self._tell())
        if self._draining is None:
            raise ServerRefusedError("the server closed the stream")
        return self._draining.reconnect_after.ToNanoseconds() / 1e9

    async def _send(self) -> None:
        pending = self._pending
        while True:
            await pending.until(lambda: self._draining is not None or self._may_send())
            if self._draining is not None:
                return await self._leave()
            frame = await pending.next_unsent()
            if frame is None:
                # What there was is dropped, or its home cannot give it just now.
                await asyncio.sleep(_NOTHING_TO_SEND_S)
                continue
            if self._keeper is not None:
                usable = await self._keeper.stow(frame)
                if not usable and frame.key is not None:
                    pending.want_key(KeyCause.STORE, instead_of=frame.key)
                # Meanwhile the server may have begun to drain, or refused the key frame that this one needs.
                if self._draining is not None or await pending.next_unsent() is not frame:
                    continue
            if pending.under_way == 0:
                self._heard_at = time.monotonic()
            pending.mark_sent(frame)
            await self._write(ingest_pb2.PushRequest(frame=_message(frame, self._config.camera_id)))

    def _may_send(self) -> bool:
        return self._pending.has_unsent and self._pending.under_way < self._tally.credits

    async def _leave(self) -> None:
        """After a Drain: what the server took before it is still acknowledged."""
        _LOG.info("uplink to %s: the server drains", self._config.server)
        try:
            async with asyncio.timeout(self._config.drain_timeout_s):
                await self._pending.until(lambda: self._pending.under_way == 0)
        except TimeoutError:
            _LOG.info("%d frames are left for the next connection", self._pending.under_way)
        await self._call.done_writing()

    async def _receive(self) -> None:
        while (response := await self._read()) is not None:
            self._heard_at = time.monotonic()
            match response.WhichOneof("kind"):
                case "ack":
                    self._tally.credits = response.ack.credits
                    if response.ack.HasField("server_time"):
                        self._tally.hear_clock(response.ack.server_time.ToNanoseconds() / 1e9)
                    await self._pending.acknowledge(response.ack.acked_sequence)
                case "nack":
                    reason = _reason(response.nack.reason)
                    # Once per reason: whatever is wrong with one frame tends to be wrong with all.
                    level = logging.DEBUG if reason in self._refusals else logging.WARNING
                    self._refusals.add(reason)
                    nack = response.nack
                    _LOG.log(level, "frame %d refused, %s: %s", nack.sequence, reason, nack.detail)
                    await self._pending.refuse(response.nack.sequence, reason)
                case "key_request":
                    _LOG.info("the server asks for a key frame: %s", response.key_request.detail)
                    self._pending.server_wants_key()
                case "retain" if self._keeper is not None:
                    retain = response.retain
                    self._keeper.retain(retain.session, retain.sequence, retain.retention)
                case "enhancement_request" if self._keeper is not None:
                    if self._requests.full():
                        # Whoever waits for the layer is told by the server that it took too long.
                        _LOG.warning("the server asks for more enhancement layers at once than are answered")
                    else:
                        self._requests.put_nowait(response.enhancement_request)
                case "drain":
                    self._draining = response.drain
                    self._pending.notify()
                case kind:
                    raise ProtocolError(
                        f"the server sent {kind or 'an empty message'} in the middle of the stream"
                    )

    async def _answer(self) -> None:
        """Send the enhancement layers that the server asks for, one at a time and behind frames that may be sent."""
        while True:
            reply = await self._reply(await self._requests.get())
            with suppress(TimeoutError):
                async with asyncio.timeout(self._config.enhancement.reply_patience_s):
                    await self._pending.until(lambda: self._draining is not None or not self._may_send())
            if self._draining is None:
                self._tally.spending.reply(len(reply.enhancement_layer))
                self._tally.reply_bytes += len(reply.enhancement_layer)
                await self._write(ingest_pb2.PushRequest(enhancement=reply))

    async def _reply(self, request: ingest_pb2.EnhancementRequest) -> ingest_pb2.EnhancementReply:
        assert self._keeper is not None
        reply = ingest_pb2.EnhancementReply(request=request.request)
        try:
            reply.enhancement_layer = await self._keeper.fetch(request.session, request.sequence)
            self._tally.enhancements_replied += 1
        except EnhancementGoneError as error:
            _LOG.info("the server asks for what is not there: %s", str(error))
            reply.lack = ingest_pb2.ENHANCEMENT_LACK_GONE
        except EnhancementUnavailableError:
            reply.lack = ingest_pb2.ENHANCEMENT_LACK_UNAVAILABLE
        self._tally.enhancement_lacks += bool(reply.lack)
        return reply

    async def _tell(self) -> None:
        """How this edge does: soon after that has changed, and again before it is forgotten."""
        told: tuple[object, ...] | None = None
        told_at, told_lost = 0.0, 0
        while True:
            # First of all, so that a connection which ends at once is not burdened with it.
            await asyncio.sleep(_TELL_EVERY_S)
            tally = self._tally
            spool, cause = tally.spool, tally.verdict.cause
            state = (
                tally.source,
                spool is not None and spool.full,
                spool is not None and spool.failing,
                cause,
            )
            lost = sum(tally.drops().values())
            again_s = _TELL_AGAIN_S if lost == told_lost else _TELL_LOSSES_S
            if self._draining is None and (state != told or time.monotonic() - told_at >= again_s):
                told, told_at, told_lost = state, time.monotonic(), lost
                await self._write(ingest_pb2.PushRequest(report=edge_report(tally)))

    async def _watch(self) -> None:
        """End a connection whose server has frames to answer for and says nothing."""
        limit_s = self._config.ack_timeout_s
        while True:
            silent_s = time.monotonic() - self._heard_at if self._pending.under_way else 0.0
            if silent_s >= limit_s:
                raise ServerSilentError(
                    f"no answer for {silent_s:.0f} s with {self._pending.under_way} frames under way"
                )
            await asyncio.sleep(limit_s - silent_s)

    async def _write(self, request: ingest_pb2.PushRequest) -> None:
        try:
            async with self._writing:
                await self._call.write(request)
        except asyncio.InvalidStateError as error:
            raise ServerRefusedError("the server closed the stream") from error

    async def _read(self) -> ingest_pb2.PushResponse | None:
        """The next answer; None at a clean end of the stream."""
        with cancelled_by_server(ServerRefusedError("the server cancelled the stream")):
            response = await self._call.read()
        if response is grpc.aio.EOF:
            return None
        assert isinstance(response, ingest_pb2.PushResponse)
        return response


def _reason(reason: ingest_pb2.NackReason) -> str:
    """Its name; one and the same for all that a newer server may have, since it becomes the label of a metric."""
    return ingest_pb2.NackReason.Name(reason) if reason in ingest_pb2.NackReason.values() else _UNKNOWN_REASON


def _message(pending: PendingFrame, camera_id: str) -> frame_pb2.Frame:
    frame = pending.frame
    reference_session, reference_sequence = (0, 0) if pending.key is None else pending.key.name
    message = frame_pb2.Frame(
        id=frame_pb2.FrameId(camera_id=camera_id, session=pending.session, sequence=pending.sequence),
        pts_us=frame.pts_us,
        machine_layer=frame.machine,
        enhancement=pending.receipt,
        timing=frame_pb2.EdgeTiming(
            encode_us=_uint32(frame.encode_us), queue_us=_uint32(pending.queue_us or 0)
        ),
        reference_sequence=reference_sequence,
        reference_session=reference_session,
        traceparent="" if pending.trace is None else pending.trace.traceparent,
    )
    message.captured_at.FromNanoseconds(frame.captured_at_ns)
    return message


def edge_report(tally: Tally) -> frame_pb2.EdgeReport:
    """How an edge does, by its tally."""
    lately = {reason: count for reason, count in tally.drops_last_minute().items() if count}
    report = frame_pb2.EdgeReport(
        source=str(tally.source),
        dropped=tally.drops(),
        dropped_last_minute=lately,
        reconnects_last_hour=round(tally.reconnects_hour.total),
        verdict="" if tally.verdict.cause is Cause.NONE else tally.verdict.cause.value,
    )
    spool = tally.spool
    if spool is not None:
        report.spool.frames, report.spool.bytes = spool.frames, spool.bytes
        report.spool.limit_bytes, report.spool.full = spool.limit_bytes, spool.full
        report.spool.failing = spool.failing
        if spool.oldest_s is not None:
            report.spool.oldest.FromMilliseconds(max(0, round(1000 * spool.oldest_s)))
    return report


def _uint32(value: int) -> int:
    """A frame that waited for more than 71 minutes is reported as having waited for 71."""
    return min(value, 2**32 - 1)


@asynccontextmanager
async def _within(seconds: float, awaited: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise ServerSilentError(f"no {awaited} within {seconds:g} s") from error
