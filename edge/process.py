"""One camera's edge: capture, encode, store, send."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from edge.capture import Capture
from edge.change import ChangeMeter
from edge.channel import check_credentials
from edge.config import EdgeConfig
from edge.diagnosis import Diagnosis
from edge.drop_policy import DropPolicy, KeepAll, NewestWins, SpoolAll, SpoolNewest
from edge.encoder import Encoder
from edge.enhancement import EnhancementKeeper
from edge.frame import EncodedFrame
from edge.frame_trace import FrameTraces
from edge.home import Home, Memory
from edge.metrics import DropReason, Stage, Tally
from edge.pending import Pending
from edge.rate_control import Admission, RateControl
from edge.sources import FrameSource, open_source
from edge.spool import Spool
from edge.uplink import Uplink
from secondsight import limits
from secondsight.cancelling import cancel_all
from shared_models.errors import CodecError

_LOG = logging.getLogger(__name__)


class EdgeProcess:
    """Runs one source to its end, or until told to stop."""

    def __init__(self, config: EdgeConfig, edge_version: str, tally: Tally) -> None:
        """Opens the source's address, without reading it.

        Raises:
            SourceError: there is no such source.
            ConfigError: options that exclude each other, or a certificate, key or token that cannot be read.
        """
        check_credentials(config)
        self._config = config
        self._edge_version = edge_version
        self._tally = tally
        if config.tls is not None:
            tally.certificate = config.tls.certificate
        self._stopped = threading.Event()
        self._source: FrameSource = open_source(config.source, self._stopped, tally, config.capture.watchdog)
        self._policy = _drop_policy(config, self._source.live)
        self._traces = FrameTraces(config.camera_id, config.trace_share)
        self._pending = Pending(tally, _home(config, tally), traces=self._traces)
        self._last_encode_problem = ""
        self._in_work = 0
        self._gave_up = False

    async def run(self, encoder: Encoder, stop: asyncio.Event) -> None:
        """Capture until the source ends or `stop` is set, then wait for what is under way.

        After the end of the source the wait goes on while the server makes progress; after `stop` it is bounded by
        the grace time. What is still unacknowledged then is told by the tally. A recording that is held back has not
        ended while it waits.

        Raises:
            SourceError: the source failed; what it gave before was flushed.
            ConfigError: the codec does not have the levels that rate control may choose from.
            SpoolError: the spool's folder is in use or may not be written.
        """
        config = self._config
        keeper = None if config.store is None else EnhancementKeeper(config, self._tally)
        uplink = Uplink(config, encoder.model_id, self._edge_version, self._pending, keeper, self._tally)
        capture = Capture(self._source, config.capture, self._tally, self._policy.holds_source, self._stopped)
        rate = None
        if config.rate is not None:
            ladder = encoder.ladder(config.rate)
            rate = RateControl(config.rate, ladder, encoder.frames_at_once, self._tally.spending)
        await self._pending.open()
        capture.start()
        pump = asyncio.create_task(self._pump(capture, encoder, rate))
        background = [
            asyncio.create_task(uplink.run()),
            asyncio.create_task(self._report()),
            asyncio.create_task(Diagnosis(self._tally).run()),
        ]
        if keeper is not None:
            background.append(asyncio.create_task(keeper.run()))
        if config.spool is not None:
            background.append(asyncio.create_task(self._pending.tend()))
        stopping = asyncio.create_task(stop.wait())
        ending = asyncio.create_task(capture.until_ended())
        for told in (stopping, ending):
            told.add_done_callback(lambda _: self._pending.notify())
        try:
            await _unless_failed(
                asyncio.wait({pump, stopping}, return_when=asyncio.FIRST_COMPLETED), background
            )
            capture.stop()
            self._pending.notify()
            flush = asyncio.create_task(self._flush(pump, stop))
            try:
                await _unless_failed(
                    asyncio.wait({flush, stopping}, return_when=asyncio.FIRST_COMPLETED), background
                )
                if stopping.done():
                    await _unless_failed(asyncio.wait({flush}, timeout=config.grace_s), background)
            finally:
                await cancel_all([flush])
            if pump.done():
                pump.result()
        finally:
            capture.stop()
            await cancel_all([pump, stopping, ending, *background])
            await self._pending.close()
            if keeper is not None:
                await keeper.close()

    async def _pump(self, capture: Capture, encoder: Encoder, rate: RateControl | None) -> None:
        """Captured frames to the pending queue, in order, as drop policy and rate control let them.

        Several are encoded at once.
        """
        places = asyncio.Semaphore(encoder.frames_at_once)
        meter = ChangeMeter()
        last: asyncio.Task[None] | None = None
        failure: Exception | None = None
        async with asyncio.TaskGroup() as encoding:
            while True:
                capture.why_waiting = self._policy.reason
                await self._leave_to_encode(capture)
                capture.why_waiting = DropReason.ENCODER_SLOW
                await places.acquire()
                await capture.ready()
                async with encoder.threads.place() as place:
                    try:
                        captured = await capture.take()
                    except Exception as error:
                        # The frames in work are good: they are queued before the failure is told.
                        failure = error
                        break
                    if captured is None:
                        break
                    admission = None
                    if rate is not None:
                        admission = rate.admit(meter.measure(captured.image))
                        self._tally.rate = rate.report()
                        if admission is None:
                            self._tally.drop(rate.why_left_out)
                            places.release()
                            continue
                        meter.sent()
                    self._in_work += 1
                    if self._pending.key_wanted or (admission is not None and admission.key_frame):
                        self._pending.key_wanted = False
                        encoder.request_key()
                    # Here and not in the task, so that turns are taken in the order of capture.
                    coding = encoder.encode(captured, None if admission is None else admission.levels)
                    place.lasts_until(coding)
                if rate is not None and admission is not None:
                    coding.add_done_callback(partial(self._account, rate, admission))
                last = encoding.create_task(self._encode(coding, places, last))
                last.add_done_callback(self._left_encoder)
        if failure is not None:
            raise failure

    async def _leave_to_encode(self, capture: Capture) -> None:
        """Wait until a frame may be encoded or none is left. The last of a source is given up with what is pending."""

        def settled() -> bool:
            return capture.over or self._may_encode()

        # While the encoder works it is not the server that is waited for.
        await self._pending.until(lambda: settled() or (capture.ended and not self._in_work))
        while not settled():
            if not await self._makes_progress(settled):
                capture.leave(self._policy.reason)

    def _may_encode(self) -> bool:
        return self._policy.may_encode(self._pending.backlog_with(self._in_work))

    def _account(self, rate: RateControl, admission: Admission, coding: asyncio.Future[EncodedFrame]) -> None:
        """Tell rate control what an admitted frame has cost."""
        if coding.cancelled() or coding.exception() is not None:
            rate.failed(admission)
            return
        frame = coding.result()
        assert self._config.rate is not None
        count = len(frame.machine)
        if self._config.rate.both_layers and self._config.enhancement.policy == "every":
            count += len(frame.enhancement)  # with other policies it is counted when it goes
        rate.coded(admission, 8 * count, key=not frame.predicted, encode_s=frame.encode_us / 1e6)

    async def _encode(
        self,
        coding: asyncio.Future[EncodedFrame],
        places: asyncio.Semaphore,
        before: asyncio.Task[None] | None,
    ) -> None:
        """Wait for a frame and queue it behind the one `before` it."""
        encoded: EncodedFrame | None = None
        try:
            encoded = await coding
        except CodecError as error:
            self._traces.encoding_failed(str(error))
            if (problem := str(error)) != self._last_encode_problem:
                _LOG.warning("frames cannot be encoded: %s", problem)
                self._last_encode_problem = problem
        finally:
            places.release()
        # A frame that failed waits, too: the one after it waits for nobody else.
        if before is not None:
            await asyncio.wait({before})
        if encoded is None:
            self._tally.drop(DropReason.ENCODE_FAILED)
        else:
            # It is queued even if nobody waits for that any more.
            with suppress(asyncio.CancelledError):
                await self._queue(encoded)

    def _left_encoder(self, task: asyncio.Task[None]) -> None:
        self._in_work -= 1
        if task.cancelled():
            self._tally.drop(DropReason.STOPPED)
        self._pending.notify()

    async def _queue(self, encoded: EncodedFrame) -> None:
        self._tally.encoded += 1
        self._tally.encode_us.append(encoded.encode_us)
        self._tally.spent(Stage.ENCODE, encoded.encode_us / 1e6)
        if encoded.predicted:
            self._tally.encoded_predicted += 1
            self._tally.changed += encoded.changed
        if len(encoded.machine) > limits.MACHINE_LAYER_BYTES:
            _LOG.warning(
                "a machine layer of %d bytes is above the limit of %d and not sent: "
                "lower the machine quality or the size of the picture",
                len(encoded.machine),
                limits.MACHINE_LAYER_BYTES,
            )
            self._tally.drop(DropReason.TOO_LARGE)
            if not encoded.predicted:
                await self._pending.lose(encoded)
            return
        await self._pending.add(encoded)

    async def _flush(self, pump: asyncio.Task[None], stop: asyncio.Event) -> None:
        """Wait until nothing is pending, or for `flush_timeout_s` without any progress.

        After `stop` what is in the spool waits for the next start.
        """
        await asyncio.wait({pump})
        pending = self._pending

        def left_to_the_spool() -> bool:
            return stop.is_set() and not pending.backlog.in_memory

        while pending.backlog.unacknowledged and not self._gave_up and not left_to_the_spool():
            await self._makes_progress(left_to_the_spool)

    async def _makes_progress(self, enough: Callable[[], bool]) -> bool:
        """Wait until fewer frames are unacknowledged or it is `enough`; False after `flush_timeout_s` without that."""
        pending = self._pending
        before = pending.backlog.unacknowledged
        try:
            async with asyncio.timeout(self._config.flush_timeout_s):
                await pending.until(lambda: enough() or pending.backlog.unacknowledged < before)
        except TimeoutError:
            _LOG.warning("the server has acknowledged nothing for %g s", self._config.flush_timeout_s)
            self._gave_up = True
            return False
        return True

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(self._config.status_interval_s)
            _LOG.info("%s: %s", self._config.camera_id, self._tally.status_line())


def _drop_policy(config: EdgeConfig, live: bool) -> DropPolicy:
    if config.spool is not None and config.delivery == "complete":
        return SpoolAll(config.keep_all or not live, config.max_unacknowledged)
    if config.spool is not None:
        return SpoolNewest(config.max_unsent, config.max_unacknowledged)
    if config.keep_all:
        return KeepAll(config.max_unacknowledged)
    return NewestWins(config.max_unsent, config.max_unacknowledged)


def _home(config: EdgeConfig, tally: Tally) -> Home:
    if config.spool is None:
        return Memory()
    return Spool(config.spool, config.camera_id, config.delivery == "complete", config.spool_age_s, tally)


async def _unless_failed(work: Coroutine[Any, Any, Any], background: list[asyncio.Task[None]]) -> None:
    """Await `work`, but raise at once when a task that should run for ever has ended."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task, *background}, return_when=asyncio.FIRST_COMPLETED)
        for ended in done:
            ended.result()
    finally:
        await cancel_all([task])
